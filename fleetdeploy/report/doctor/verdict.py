"""What findings come to: for a host, and for the whole command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from fleetdeploy.domain.checkup import Finding, Health
from fleetdeploy.errors import HostError, HostKeyRefused, PreflightRefused
from fleetdeploy.report.wording import counted

ORDER = (Health.BAD, Health.UNKNOWN, Health.WARN)
"""What is told first."""


@dataclass(frozen=True)
class Diagnosis:
    """All findings: of each host in inventory order, and of the controller. ``refused`` are the hosts whose key was."""

    hosts: Mapping[str, Sequence[Finding]]
    controller: Sequence[Finding] = ()
    refused: frozenset[str] = field(default_factory=frozenset)

    @property
    def exit_code(self) -> int:
        """2 for a host key that is not the pinned one, 5 for problems, 4 for what is not known, else 0."""
        states = {health_of(self.controller), *map(health_of, self.hosts.values())}
        if self.refused:
            return HostKeyRefused.exit_code
        if Health.BAD in states:
            return PreflightRefused.exit_code
        return HostError.exit_code if Health.UNKNOWN in states else 0

    @property
    def last_line(self) -> str:
        """The whole in one sentence."""
        count = Counter(map(health_of, self.hosts.values()))
        told = {
            Health.BAD: "with problems",
            Health.UNKNOWN: "not known",
            Health.WARN: "with warnings",
            Health.OK: "fine",
        }
        total = counted(len(self.hosts), "host")
        parts = [f"{count[health]} {words}" for health, words in told.items() if count[health]]
        text = f"{total} fine" if set(count) <= {Health.OK} else f"{total}: {', '.join(parts)}"
        here = tally(self.controller)
        return f"DOCTOR: {text}" + (f"; this machine: {here}" if here != "ok" else "")


def health_of(findings: Iterable[Finding]) -> Health:
    """The worst of them; what is not known and does not matter is none of it."""
    found = {item.health for item in findings if not item.aside}
    return next((health for health in ORDER if health in found), Health.OK)


def tally(findings: Sequence[Finding]) -> str:
    """``1 problem, 2 warnings``, ``ok``; things that are not known last, also where they do not matter."""
    count = Counter(item.health for item in findings if not item.aside)
    parts = [counted(count[Health.BAD], "problem")] if count[Health.BAD] else []
    parts += [f"{count[Health.UNKNOWN]} not known"] if count[Health.UNKNOWN] else []
    parts += [counted(count[Health.WARN], "warning")] if count[Health.WARN] else []
    return ", ".join(parts) or "ok"
