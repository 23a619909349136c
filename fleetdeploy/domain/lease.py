"""Who may change a service on its host: one run at a time, and only as long as it keeps saying that it is there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Holder:
    """The run that wants a lease, and who started it where, as ``user@machine``."""

    run: str
    owner: str


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
