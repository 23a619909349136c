"""Which hosts a play has: those of its pattern, and of them those that ``--limit`` leaves.

As in Ansible, a play that the limit leaves none is passed over, and told; here the run is refused where no play is left
any. A name that does not exist, in a pattern or in the limit, is always an error.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.domain.inventory import Host, Inventory
from fleetdeploy.domain.playbook import Play
from fleetdeploy.errors import PatternError, Problem
from fleetdeploy.rollout.bound_play import BoundPlay


def within(play: Play, inventory: Inventory, limit: str | None) -> tuple[str, ...]:
    """The play's hosts that the limit leaves, maybe none. Raises PatternError for names that do not exist in either."""
    try:
        return select(inventory, play.hosts, limit=limit)
    except PatternError as error:
        try:
            select(inventory, limit or "")
        except PatternError:
            raise error from None
        return ()  # there are hosts in both, but none in common


def outside(bound: BoundPlay, limit: str | None) -> Problem:
    """That the limit leaves a play no host, as an error with the play's place."""
    hosts = ", ".join([*bound.everyone][:8]) + (", ..." if len(bound.everyone) > 8 else "")
    return Problem(
        f"play {bound.play.name!r}: no host is in both the pattern {bound.play.hosts!r} and the limit {limit!r}",
        str(bound.play.origin),
        f"the pattern stands for {hosts}",
    )


def everyone_of(play: Play, inventory: Inventory) -> Mapping[str, Host]:
    """The play's hosts without any limit. Raises PatternError with the place of the pattern."""
    try:
        return {name: inventory.hosts[name] for name in select(inventory, play.hosts)}
    except PatternError as error:
        place = str(play.hosts_origin or play.origin)
        raise PatternError(problems=[replace(item, where=item.where or place) for item in error.problems]) from error


def beyond(plays: Sequence[BoundPlay], meant: Collection[str]) -> Mapping[str, Host]:
    """The hosts that share the capacity of these plays and are not ``meant``. In plays that take nobody out of service
    there is nothing to share.
    """
    return {
        name: host
        for bound in plays
        if bound.touches_traffic
        for name, host in bound.everyone.items()
        if name not in meant and host.services
    }
