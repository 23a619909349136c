"""A look at a fleet as it is, once or again and again: its hosts, and what their balancers say of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Union

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import PoolMember, Present, Reading, Unknown
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.protocols import Clock, Fleet
from fleetdeploy.errors import HostError, HostKeyRefused, Unreachable
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.rounds import Rounds
from fleetdeploy.rollout.targets import Targets, gathered

Place = tuple[tuple[str, str, str], tuple[str, ...]]
"""What two hosts share an answer by: their balancer, and the pools that are asked for."""


@dataclass(frozen=True)
class Answer:
    """What a balancer said of all its servers, and whether its host's key was refused."""

    servers: Reading[tuple[PoolMember, ...]]
    key_refused: bool = False


@dataclass(frozen=True)
class Look:
    """``members`` are each host's own servers in its balancer's pools; a host without a balancer is not in it."""

    plan: Plan
    members: Mapping[str, Reading[tuple[PoolMember, ...]]]
    key_refused: bool
    """Whether a balancer's host key was; those of hosts stand in the plan."""


def look_once(targets: Targets, fleet: Fleet, emit: Emitter, *, forks: int) -> Look:
    """All hosts at the same time, then their balancers. One that cannot be asked costs only its own lines."""
    plan = targets.observe(fleet, emit, forks=forks, alone=True)
    wishes = _balancers(item.host for item in plan.hosts.values())
    return _look(plan, {place: _ask(fleet, wish) for place, wish in wishes.items()})


class Looks:
    """Looks at the same hosts, of whom nobody waits longer than ``patience_s`` for one that does not answer.

    The fleet's connections are kept, so each look is one command a host and balancer.
    """

    def __init__(
        self, targets: Targets, fleet: Fleet, emit: Emitter, clock: Clock, *, forks: int, patience_s: float
    ) -> None:
        self._names = tuple(targets.by_name)
        self._balancers = _balancers(target.host for target in targets.by_name.values())
        self._patience_s = patience_s
        questions: dict[_Question, Callable[[], _Answer]] = {
            name: partial(targets.attempt, fleet, emit, name) for name in self._names
        }
        questions |= {place: partial(_ask, fleet, wish) for place, wish in self._balancers.items()}
        self._rounds = Rounds(questions, clock, forks=forks, is_good=_is_good)

    def look(self, *, over: Callable[[], bool]) -> Look:
        """The next one. What did not answer in time is as unreachable as it was, or is now; cut short when ``over``."""
        answers = self._rounds.ask(patience_s=self._patience_s, over=over)
        late = Unreachable(f"no answer within {self._patience_s:g} s")
        hosts: dict[str, HostPlan | HostError] = {}
        for name in self._names:
            found = answers.get(name, self._rounds.last.get(name))
            fresh = name in answers or isinstance(found, HostError)
            hosts[name] = found if fresh and isinstance(found, (HostPlan, HostError)) else late
        balancers: dict[Place, Answer] = {}
        for place in self._balancers:
            said = answers.get(place)
            balancers[place] = said if isinstance(said, Answer) else Answer(Unknown(late.message))
        return _look(gathered(hosts), balancers)


_Question = Union[str, Place]
_Answer = Union[HostPlan, HostError, Answer]


def _is_good(answer: _Answer) -> bool:
    return isinstance(answer.servers, Present) if isinstance(answer, Answer) else isinstance(answer, HostPlan)


def _place(wish: BalancerWish) -> Place:
    return wish.place, wish.all_pools


def _balancers(hosts: Iterable[Host]) -> dict[Place, BalancerWish]:
    return {_place(host.balancer): host.balancer for host in hosts if host.balancer}


def _ask(fleet: Fleet, wish: BalancerWish) -> Answer:
    try:
        return Answer(Present(tuple(fleet.balancer(wish).members(wish.all_pools))))
    except HostError as error:
        why = f"{error.message} ({error.hint})" if error.hint else error.message
        return Answer(Unknown(why), key_refused=isinstance(error, HostKeyRefused))


def _look(plan: Plan, balancers: Mapping[Place, Answer]) -> Look:
    members: dict[str, Reading[tuple[PoolMember, ...]]] = {}
    for name, host in plan.hosts.items():
        if (wish := host.host.balancer) is None:
            continue
        servers = balancers[_place(wish)].servers
        if isinstance(servers, Present):
            servers = Present(tuple(member for member in servers.value if member.server == wish.server))
        members[name] = servers
    return Look(plan, members, any(answer.key_refused for answer in balancers.values()))
