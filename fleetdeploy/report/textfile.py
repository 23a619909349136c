"""Metrics of the last run, for the textfile collector of Prometheus' node exporter.

Every sample has the label ``inventory``, so that files of several fleets stand beside each other. What an attempt that
was turned away does not know (it found the hosts locked, or was refused) stays as the last run wrote it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def text_of(ending: Ending, *, before: str = "") -> str:
    """The whole file. ``before`` is what stood in it: damaged, it is as if there had been nothing."""
    found = _Metrics(ending.inventory)
    found.add("last_attempt_timestamp_seconds", ending.ended_s, command=ending.command)
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
    found.keep(_families(before), but={"freeze_until_timestamp_seconds"})
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
        self._families: dict[str, Metric] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        """One sample of the metric, which has the same labels in all of them."""
        family = self._families.setdefault(name, GaugeMetricFamily(PREFIX + name, _HELP[name]))
        family.add_sample(PREFIX + name, {"inventory": self._inventory, **labels}, value)

    def keep(self, before: Mapping[str, Metric], *, but: Iterable[str]) -> None:
        """What was known before of that which is not known now."""
        for name in _HELP.keys() - self._families.keys() - set(but):
            if old := before.get(PREFIX + name):
                for sample in old.samples:
                    self.add(name, sample.value, **{key: text for key, text in sample.labels.items()
                                                    if key != "inventory"})  # fmt: skip

    def collect(self) -> Iterable[Metric]:
        return [self._families[name] for name in _HELP if name in self._families]


def _families(text: str) -> Mapping[str, Metric]:
    try:
        return {family.name: family for family in text_string_to_metric_families(text)}
    except ValueError:
        return {}


def write(path: Path, ending: Ending) -> None:
    """Put the file in place in one step: whoever reads it meanwhile sees the one before. Raises OSError."""
    write_whole(path, text_of(ending, before=_read(path)), mode=MODE)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
