"""Who may change a service on its host: one run at a time, and only as long as it keeps saying that it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fleetdeploy.errors import LockHeld

TRY_LATER = "wait for it to end, or pass --wait-lock TIME"
WHICHEVER: Mapping[str, int] = MappingProxyType({})
"""In place of the numbers of leases that were seen: whoever has them."""


@dataclass(frozen=True)
class Holder:
    """The run that wants a lease, and who started it where, as ``user@machine``.

    ``origin`` names the lock that it holds on its controller for this host, empty where it has none: whoever holds that
    lock now knows that an earlier holder has ended.
    """

    run: str
    owner: str
    origin: str = ""

    def follows(self, other: Holder) -> bool:
        """Whether this run may take a lease of ``other`` before its time is over: its own, or of one that is gone."""
        return self.run == other.run or bool(self.origin and self.origin == other.origin)

    def __str__(self) -> str:
        return f"run {self.run} of {self.owner}"


@dataclass(frozen=True)
class Lease:
    """A lease as it was read on its host. ``fence`` grows with every holder and never goes back: what carries an older
    number changes nothing any more. ``age_s`` is how long it has been held, ``left_s`` how long it still holds, both by
    the host's own clock since it booted.
    """

    holder: Holder
    fence: int
    age_s: float
    left_s: float

    @property
    def live(self) -> bool:
        return self.left_s > 0


def held_elsewhere(host: str, lease: Lease) -> LockHeld:
    """The error of a run that wants to work on a host while another one holds a lease there."""
    return LockHeld(
        f"another run works on {host}: {lease.holder}, for {lease.age_s:.0f} s; "
        f"free in {lease.left_s:.0f} s unless it goes on",
        hint=TRY_LATER,
    )
