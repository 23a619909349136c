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

    @property
    def told(self) -> str:
        """What a person has to know of it, in one sentence without its host; empty where all went well."""
        why = f": {self.reason}" if self.reason else ""
        if self.state is WatchState.ARMED:
            return f"its watchdog is armed over release {self.release} of run {self.run}{why}"
        if self.state is WatchState.RESTORED:
            return f"its watchdog took release {self.release} of run {self.run} back{why}"
        if self.state is WatchState.FAILED:
            return f"its watchdog could not take release {self.release} of run {self.run} back{why}"
        return ""
