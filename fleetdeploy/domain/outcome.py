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
    went well is ``taken_back`` where it was reverted, or could not be, because another one failed; one that was skipped
    or failed is ``as_wanted`` where it serves what it shall all the same. One that the run could not take out or put
    back because somebody else keeps it out of its balancer is ``withheld``: by what, as in "left in maintenance".
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
    as_wanted: bool = False
    withheld: str = ""
    steps_changed: int = 0
    steps_ok: int = 0


@dataclass(frozen=True)
class RunOutcome:
    """The run's end. ``last_line`` is the sentence that stands last on the terminal, and it is true; ``again`` the
    command that goes on from there, empty where nothing is left to do.
    """

    run: str
    exit_code: int
    last_line: str
    hosts: Mapping[str, HostOutcome] = field(default_factory=dict)
    again: str = ""
