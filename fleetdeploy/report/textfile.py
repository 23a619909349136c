"""Metrics of the last run, for the textfile collector of Prometheus' node exporter.

Every sample has the label ``inventory``, so that several fleets stand beside each other, in one file or in several.
What an attempt that was turned away does not know (it found the hosts locked, or was refused) stays as the last run
wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry

from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.settings import News
from fleetdeploy.report.ending import Ending
from fleetdeploy.report.whole_file import write_whole

PREFIX = "fleetdeploy_"
MODE = 0o644
"""The node exporter is another user."""
KEPT_S = 28 * 86400.0
"""How long an inventory stays in the file whose commands have ended, and a command that is not called any more."""
_ATTEMPT = "last_attempt_timestamp_seconds"
_OF_ATTEMPTS = frozenset({_ATTEMPT, "last_attempt_exit_code"})
"""What each command has of its own: a person's `deploy` says nothing of whether the timer still runs."""
_GOOD = frozenset({News.CHANGED, News.UNCHANGED})
_HELP = {
    "last_attempt_timestamp_seconds": "When a command that may change the fleet ended last, whatever came of it.",
    "last_attempt_exit_code": "Its exit code: 6 is locked, 10 held back, 5 refused.",
    "last_run_timestamp_seconds": "When the last run ended that looked at the hosts and was let do its work.",
    "last_run_duration_seconds": "How long it took.",
    "last_run_exit_code": "Its exit code: 0 is converged.",
    "last_success_timestamp_seconds": "When the last run ended that left nothing to do.",
    "hosts": "Hosts of the last run by how it ended for them.",
    "hosts_pending": "Hosts that differ from the inventory behind the last attempt that looked at them.",
    "debts": "Hosts that could not be reached and owe a release that others have.",
    "version_served": "1 for each version that a host served behind the last attempt that looked at it.",
    "capacity_hosts": "Hosts of a play, at the end of the last run that counted them.",
    "capacity_in_service": "Hosts of a play in service, at the end of the last run that counted them.",
    "capacity_floor": "Hosts of a play that had to be in service.",
    "freeze_active": "1 in a freeze window.",
    "freeze_until_timestamp_seconds": "When the freeze ends; absent without one, and where no end is in sight.",
}


_Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class _Sample:
    """``name`` is the metric's, less the prefix."""

    name: str
    labels: Mapping[str, str]
    value: float


def text_of(ending: Ending, *, before: str = "") -> str:
    """The whole file. ``before`` is what stood in it: lines that are damaged are as if they had not been there."""
    found = _Metrics(ending.inventory)
    found.add(_ATTEMPT, ending.ended_s, command=ending.command)
    found.add("last_attempt_exit_code", ending.exit_code, command=ending.command)
    found.add("freeze_active", float(ending.frozen is not None))
    if ending.frozen is not None and ending.frozen.until is not None:
        found.add("freeze_until_timestamp_seconds", ending.frozen.until.timestamp())
    if ending.debts is not None:
        found.add("debts", ending.debts)
    if ending.outcome is not None:
        _of_the_run(found, ending)
    if ending.plan is not None:
        found.add("hosts_pending", len(ending.pending))
    for host, service, model, version in ending.served():
        found.add("version_served", 1, host=host, service=service, model=model, version=str(version))
    found.keep(list(_samples(before)), but={"freeze_until_timestamp_seconds"}, now_s=ending.ended_s)
    registry = CollectorRegistry()
    registry.register(found)
    return generate_latest(registry).decode()


def _of_the_run(found: _Metrics, ending: Ending) -> None:
    found.add("last_run_timestamp_seconds", ending.ended_s, command=ending.command)
    found.add("last_run_duration_seconds", max(0.0, ending.ended_s - ending.started_s), command=ending.command)
    found.add("last_run_exit_code", ending.exit_code, command=ending.command)
    if ending.news in _GOOD:
        found.add("last_success_timestamp_seconds", ending.ended_s)
    for state in HostState:
        found.add("hosts", len(ending.names(state)), state=state.value)
    for sample in {sample.play: sample for sample in ending.story.capacity}.values():
        found.add("capacity_hosts", sample.total, play=sample.play)
        found.add("capacity_in_service", sample.in_service, play=sample.play)
        found.add("capacity_floor", sample.floor, play=sample.play)


class _Metrics(Collector):
    def __init__(self, inventory: str) -> None:
        self._inventory = inventory
        self._families: dict[str, dict[_Labels, float]] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        """One sample of the metric, which has the same labels in all of them."""
        self._add(_Sample(name, {"inventory": self._inventory, **labels}, value))

    def keep(self, before: Iterable[_Sample], *, but: Iterable[str], now_s: float) -> None:
        """What was known before of that which is not known now, and whatever is another inventory's."""
        known = self._families.keys() | set(but)
        attempts = [sample for sample in before if sample.name == _ATTEMPT and abs(now_s - sample.value) <= KEPT_S]
        inventories = {sample.labels["inventory"] for sample in attempts}
        commands = {_key(sample.labels) for sample in attempts}
        for sample in before:
            if sample.labels["inventory"] != self._inventory:
                kept = sample.labels["inventory"] in inventories
            elif sample.name in _OF_ATTEMPTS:
                kept = _key(sample.labels) in commands
            else:
                kept = sample.name not in known
            if kept:
                self._add(sample)

    def _add(self, sample: _Sample) -> None:
        """What was added first stands: a file that says a thing twice is refused as a whole."""
        self._families.setdefault(sample.name, {}).setdefault(_key(sample.labels), sample.value)

    def collect(self) -> Iterable[Metric]:
        for name, meaning in _HELP.items():
            if samples := self._families.get(name):
                family = GaugeMetricFamily(PREFIX + name, meaning)
                for labels, value in samples.items():
                    family.add_sample(PREFIX + name, dict(labels), value)
                yield family


def _key(labels: Mapping[str, str]) -> _Labels:
    return tuple(sorted(labels.items()))


def _samples(text: str) -> Iterator[_Sample]:
    """Each of ours, line by line: one that is damaged takes nothing of another fleet's with it."""
    for line in text.split("\n"):
        if not line.startswith(PREFIX) or "\ufffd" in line:
            continue
        with suppress(ValueError, LookupError):
            for family in text_string_to_metric_families(line):
                for sample in family.samples:
                    name = sample.name.removeprefix(PREFIX)
                    if name in _HELP and "inventory" in sample.labels:
                        yield _Sample(name, sample.labels, sample.value)


def write(path: Path, ending: Ending) -> None:
    """Put the file in place in one step: whoever reads it meanwhile sees the one before. Raises OSError."""
    write_whole(path, text_of(ending, before=_read(path)), mode=MODE)


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""
