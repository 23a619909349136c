"""What a load balancer is to the upper floors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from fleetdeploy.domain.measured import PoolLoad
from fleetdeploy.domain.observed import PoolMember


def nothing() -> None:
    """For who has nothing to check."""


class Balancer(Protocol):
    """One balancer. Every change is read back before it counts.

    It knows no leases: ``check`` is called right before everything it is told, and what that raises ends the call. It
    puts no server into maintenance, and ends none: whoever set it does, and meanwhile ``drain`` and ``undrain`` raise
    InMaintenance.
    """

    def members(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        """What the balancer reports for every server of the pools."""

    def noted(self, pools: Sequence[str]) -> tuple[PoolMember, ...]:
        """The same with the notes of who keeps a server out; a pool that it does not have is left out."""

    def load(self, pools: Sequence[str]) -> Mapping[str, PoolLoad]:
        """What it has counted in each of the pools that it has since it started, by one question. Raises BalancerFailed
        where it does not answer.
        """

    def obeys(self) -> bool:
        """Whether it may be told anything, and not only asked. Raises BalancerFailed where it does not say."""

    def drain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        """Send no new requests to the server and wait until it has none in flight. Raises BalancerFailed."""

    def keep_out(
        self,
        pools: Sequence[str],
        server: str,
        *,
        run: str,
        deadline_s: float,
        ours: bool = False,
        check: Callable[[], None] = nothing,
    ) -> None:
        """Send no new requests to a server that is lost; those in flight there may never end, and are not waited for.

        A balancer that can, notes in the same step that ``run`` did so. A pool in which the server is drained already
        is left as it is, for that may be a person's order, unless the drain is ``ours``. Raises BalancerFailed.
        """

    def undrain(
        self, pools: Sequence[str], server: str, *, deadline_s: float, check: Callable[[], None] = nothing
    ) -> None:
        """Send requests to the server again and wait until the balancer holds it for healthy. A note that it is kept
        out says from then on that this is over.
        """

    def forget(self, pools: Sequence[str], server: str, *, run: str) -> None:
        """Where somebody else has put the server back, say so in the notes that ``run`` left of it. Raises
        BalancerFailed.
        """
