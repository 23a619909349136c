"""The watchdog of a host: what goes back to the release before by itself unless the controller confirms in time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class WatchState(str, Enum):
    """``ARMED`` counts down, ``CONFIRMED`` was told in time, ``RESTORED`` went back, ``FAILED`` could not."""

    ARMED = "armed"
    CONFIRMED = "confirmed"
    RESTORED = "restored"
    FAILED = "failed"


@dataclass(frozen=True)
class Watch:
    """The last verdict as it lies on the host: of which run, over which release (its id), and why."""

    state: WatchState
    run: str
    release: str
    reason: str = ""
