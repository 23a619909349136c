"""The variables of plays: over the inventory's, and under those of ``-e``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from fleetdeploy.config.inventory.rendered import names_in
from fleetdeploy.domain.inventory import Host, Inventory
from fleetdeploy.domain.playbook import Play
from fleetdeploy.errors import InputError, Problem
from fleetdeploy.rollout.bound_play import BoundPlay


def with_variables(play: Play, inventory: Inventory, extra: Mapping[str, object]) -> Inventory:
    """The inventory as the play's conditions see it: its own variables win over the inventory's and yield to ``-e``."""
    if not play.variables:
        return inventory
    own = {key: value for key, value in play.variables.items() if key not in extra}
    hosts = {name: replace(host, variables={**host.variables, **own}) for name, host in inventory.hosts.items()}
    return replace(inventory, hosts=hosts)


def with_play_variables(hosts: Sequence[Host], plays: Sequence[BoundPlay], extra: Mapping[str, object]) -> list[Host]:
    """The hosts with the variables of their plays, which win over the inventory's and yield to ``-e``.

    See Ansible's guide "Using variables" on precedence. What a host serves does not depend on the play that is running:
    raises InputError where two plays set one variable of a host to different values.
    """
    found: dict[str, dict[str, object]] = {host.name: {} for host in hosts}
    problems: dict[Problem, None] = {}
    for bound in plays:
        for name in bound.hosts:
            for key, value in bound.play.variables.items():
                if key in extra:
                    continue
                if found[name].setdefault(key, value) != value:
                    hint = "what a host serves is the same in every play: let the plays agree, or use group_vars"
                    message = f"play {bound.play.name!r} sets {key} to another value than a play before it"
                    problems[Problem(message, str(bound.play.origin), hint)] = None
    if problems:
        raise InputError(problems=tuple(problems))
    return [
        replace(host, variables={**host.variables, **found[host.name]}) if found[host.name] else host for host in hosts
    ]


def check_seen(play: Play, hosts: Sequence[Host], extra: Mapping[str, object]) -> None:
    """Refuse a play's variable of which an expression of the inventory is made: unlike in Ansible, that would go on to
    be made of the inventory's own value, in silence. Raises InputError.
    """
    own = {name: value for name, value in play.variables.items() if name not in extra}
    found = {problem: None for host in hosts for problem in _unseen(play, own, host)} if own else {}
    if found:
        raise InputError(problems=tuple(found))


def _unseen(play: Play, own: Mapping[str, object], host: Host) -> Iterator[Problem]:
    others = {name for name, value in own.items() if host.variables.get(name) != value}
    for key, value in host.variables.items() if others else ():
        for name in sorted(names_in(value) & others if key not in own else ()):
            yield Problem(
                f"play {play.name!r} sets {name}, of which the inventory makes {key}: its expressions do not see a "
                "play's variables",
                str(play.origin),
                f"set {name} in group_vars or with -e, or set {key} in the play as well",
            )
