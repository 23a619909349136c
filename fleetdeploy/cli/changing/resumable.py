"""Which run ``resume`` carries on when none is named.

The newest that may have left something half-done, or did not reach what it was for, and whose hosts no later run has
brought to *its* end. A later run that ended well and switches over all that a host needs makes an earlier one of that
host a thing of the past, and so does one that carried it on, or was the same command; one with other hosts, with
``--tags``, or that was refused before it touched anything (a cron job's, every five minutes) does not hide the one that
was killed. A person's own command is never carried on: what it did is for them to see.

A run that ended with 3 is carried on as well: nothing of it is half-done, but its hosts are not what they were to be,
who types ``resume`` has mended why, and a release that is as bad as before is taken back once more. One that ended
with 8 goes to the hosts that were skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fleetdeploy.rollout.journal.recorded_run import RecordedRun

INTERRUPTED = (130, 143)
OWN = "was a command of your own, which is not repeated by itself"


def left_behind(runs: Path, *, now: str) -> frozenset[str]:
    """The hosts of the newest run that is not done with, if it was cut off after it had switched some over; ``now`` is
    the run that asks.
    """
    found, _ = newest(runs, but=now)
    cut_off = found is not None and found.activated and found.exit_code in {None, *INTERRUPTED}
    return frozenset(hosts_of(found)) if found is not None and cut_off else frozenset()


def newest(runs: Path, *, but: str = "") -> tuple[RecordedRun | None, str]:
    """The newest run that is not done with, and is not ``but``; without one, why there is none."""
    from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

    done, settled, last = set[str](), _Settled(), ""
    for found in RecordedRuns.list(runs):
        if found.id == but:
            continue
        hosts = set(hosts_of(found))
        if found.exit_code == 0:
            last = last or f"run {found.id} ended well: {found.last_line}"
            done |= hosts if found.started.get("whole") is True else set()
            settled.by(found)
        elif is_own(found):
            last = last or f"run {found.id} {OWN}; to give it again: {found.command}"
        elif _may_matter(found) and not (done and hosts <= done) and found not in settled:
            return found, ""
    return None, last or f"no run below {runs} has changed anything"


class _Settled:
    """The runs that a later one has brought to their end: it carried them on, or was the same command on as many hosts,
    and ended well. Values of -e are kept nowhere, so that two commands with some may have been two things.
    """

    def __init__(self) -> None:
        self._runs: set[str] = set()
        self._commands: dict[tuple[str, str], set[str]] = {}

    def by(self, found: RecordedRun) -> None:
        """A run that ended well."""
        self._runs.update(found.resumes)
        if called := self._called(found):
            self._commands.setdefault(called, set()).update(hosts_of(found))

    def __contains__(self, found: RecordedRun) -> bool:
        hosts = hosts_of(found)
        same = self._commands.get(self._called(found) or ("", ""), set())
        return found.id in self._runs or (bool(hosts) and same.issuperset(hosts))

    @staticmethod
    def _called(found: RecordedRun) -> tuple[str, str] | None:
        directory = found.started.get("directory")
        return None if found.started.get("masked") or not directory else (str(directory), found.command)


def _may_matter(found: RecordedRun) -> bool:
    """Not one that was refused before it touched anything."""
    return bool(found.plays) or found.exit_code is None or found.exit_code in INTERRUPTED


def is_own(found: RecordedRun) -> bool:
    """Whether it was a person's own command on hosts, which nobody but them can carry on."""
    return found.started.get("own") is True


def hosts_of(found: RecordedRun) -> list[str]:
    """The hosts that it was about, in its order."""
    listed = found.started.get("hosts")
    return [str(name) for name in listed] if isinstance(listed, list) else []
