"""How things ended: for a host, and for the run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class HostState(str, Enum):
    """The end of one host's part in a run. Every host of the run gets exactly one."""

    OK = "ok"
    CHANGED = "changed"
    REVERTED = "reverted"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


FAILURES = frozenset({HostState.REVERTED, HostState.FAILED, HostState.UNREACHABLE})
"""What the one failure budget counts, all alike."""


@dataclass(frozen=True)
class HostOutcome:
    """``untouched`` is true while nothing was changed on the host; ``activated`` once it serves something new;
    ``mixed`` when what it serves is not what it served before and not what it shall serve, or is not known. One that
    went well is ``taken_back`` where it was reverted, or could not be, because another one failed.
    """

    host: str
    state: HostState
    reason: str = ""
    detail: str = ""
    hint: str = ""
    untouched: bool = True
    activated: bool = False
    mixed: bool = False
    taken_back: bool = False
    steps_changed: int = 0
    steps_ok: int = 0


@dataclass(frozen=True)
class RunOutcome:
    """The run's end. ``last_line`` is the sentence that stands last on the terminal, and it is true."""

    run: str
    exit_code: int
    last_line: str
    hosts: Mapping[str, HostOutcome] = field(default_factory=dict)
