"""How long steps take, by what they took in earlier runs. Nothing is guessed: what nobody has seen is unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from fleetdeploy.domain.events import Kind
from fleetdeploy.rollout.work import Work

_LARGE = 8 * 1024**2
"""Bytes from which on copying is what takes the time, and not what goes with it."""
_SHORTEST_S, _LONGEST_S = 0.001, 7 * 86400.0
_MOST_BYTES = 2**60
_BY_ACTIVATION = frozenset({"activate", "verify"})
"""A reload takes another time than a new container."""
_BY_TEXT = frozenset({"run", "notify"})
"""Two commands have nothing in common but the task."""

Key = tuple[str, ...]


def measures(work: Work) -> dict[str, object]:
    """What a finished step says about its size in the journal, so that later runs can tell it from others."""
    if work.name == "stage":
        return {"copy_bytes": sum(item.copy_bytes for item in work.plan.stage)}
    return {"activation": work.plan.activation.value} if work.name in _BY_ACTIVATION else {}


@dataclass(frozen=True)
class Sample:
    """One finished step. ``kind`` is what makes steps alike, ``copied`` None where the journal tells no bytes."""

    kind: Key
    host: str
    seconds: float
    copied: int | None = None


@dataclass(frozen=True)
class Typical:
    """What steps of one kind took: seconds, and where the journal tells bytes, seconds for few and bytes a second for
    many. None is what nobody has seen.
    """

    seconds: float
    tells_bytes: bool = False
    few_bytes_s: float | None = None
    bytes_a_second: float | None = None

    def of(self, copied: int | None) -> float | None:
        """Seconds for ``copied`` bytes. Steps that were all much smaller say nothing about a large one."""
        if copied is None or not self.tells_bytes:
            return self.seconds
        if copied < _LARGE and self.few_bytes_s is not None:
            return self.few_bytes_s
        return copied / self.bytes_a_second if self.bytes_a_second else None


@dataclass(frozen=True)
class Durations:
    """What the steps of earlier runs took: on each host, and under the host ``""`` on all of them."""

    typical: Mapping[tuple[Key, str], Typical] = field(default_factory=dict)

    def of(self, work: Work, host: str) -> float | None:
        """Seconds: the median on that host, else that of all hosts, else None. Large copies go by bytes a second."""
        if work.name == "pause":
            return getattr(work.call.arguments, "seconds", 0.0) or None
        size = measures(work)
        kind = _kind(work.name, work.plan.desired.name, work.summary, size.get("activation"))
        copied = size.get("copy_bytes")
        known = (self.typical.get((kind, place)) for place in (host, ""))
        found = (item.of(copied if isinstance(copied, int) else None) for item in known if item)
        return next((seconds for seconds in found if seconds is not None), None)


def from_events(runs: Iterable[Iterable[Mapping[str, object]]]) -> Durations:
    """What the events of runs tell, each as a line of its journal has them. Lines of another shape are passed over."""
    found: dict[tuple[Key, str], list[Sample]] = {}
    for events in runs:
        for event in events:
            sample = _sample(event)
            if sample is not None:
                found.setdefault((sample.kind, sample.host), []).append(sample)
                found.setdefault((sample.kind, ""), []).append(sample)
    return Durations({key: _typical(samples) for key, samples in found.items()})


def succeeded(events: Iterable[Mapping[str, object]]) -> bool:
    """Whether a run came to its end and went well."""
    ends = [event.get("data") for event in events if event.get("kind") == Kind.RUN_FINISHED.value]
    return any(isinstance(end, dict) and type(end.get("exit_code")) is int and end["exit_code"] == 0 for end in ends)


def _sample(event: Mapping[str, object]) -> Sample | None:
    data, host, task = event.get("data"), event.get("host"), event.get("task")
    if event.get("kind") != Kind.STEP_FINISHED.value or not isinstance(data, dict) or data.get("undo"):
        return None
    seconds, service, copied = data.get("seconds"), data.get("service", ""), data.get("copy_bytes")
    if not (isinstance(host, str) and host and isinstance(task, str) and task and isinstance(service, str)):
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds <= _LONGEST_S:
        return None
    kind = _kind(task, service, event.get("message"), data.get("activation"))
    return Sample(kind, host, float(seconds), copied if type(copied) is int and 0 <= copied <= _MOST_BYTES else None)


def _kind(task: str, service: str, text: object, activation: object) -> Key:
    if task in _BY_TEXT:
        return task, str(text)
    return (task, service, str(activation)) if task in _BY_ACTIVATION else (task, service)


def _typical(samples: Sequence[Sample]) -> Typical:
    told = [(sample.copied, sample.seconds) for sample in samples if sample.copied is not None]
    few = [seconds for copied, seconds in told if copied < _LARGE]
    rates = [copied / max(seconds, _SHORTEST_S) for copied, seconds in told if copied >= _LARGE]
    return Typical(
        seconds=median(sample.seconds for sample in samples),
        tells_bytes=bool(told),
        few_bytes_s=median(few) if few else None,
        bytes_a_second=median(rates) if rates else None,
    )
