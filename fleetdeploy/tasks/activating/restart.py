"""Servers that take no configuration any more, and the restart that clears them, where nobody sends them requests.

A reload that waits for a new model which never settles holds a lock for ever, and every later reload waits for it in
vain (server_core.cc, ReloadConfig; serving #1565). A list that the server refused for its platforms may be remembered
all the same, and then every later list is refused with it. Only a new process is without either.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleetdeploy.domain.observed import State, Traffic, VersionState
from fleetdeploy.domain.protocols import Serving
from fleetdeploy.errors import BalancerFailed, NotHealthy
from fleetdeploy.gates.agreement import differences
from fleetdeploy.gates.readiness import CALL_S
from fleetdeploy.planning.container import container_name
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving.simulation import listed

HUNG = "an earlier reload of this server never ended and holds its lock, so that it takes no other"
_MOVING = frozenset({State.UNKNOWN, State.START, State.LOADING, State.UNLOADING})
_OUT = frozenset({Traffic.DRAINED, Traffic.MAINTENANCE})


def is_hung(serving: Serving, text: str, *, final: bool) -> bool:
    """Whether a server that did not answer the reload of ``text`` has not even begun with it, and nothing moves in it.

    A version that is START or LOADING is slow, which is no hang. With ``final`` the labels of ``text`` and what it does
    not list are looked at as well. A server that does not answer is no case of this.
    """
    begun = True
    try:
        for model, entry in listed(text).items():
            states = {item.number: item for item in serving.status(model, deadline_s=CALL_S)}
            if any_moves(states.values()):
                return False
            lacking = [number for number in entry.versions if _not_begun(states.get(number))]
            left = [n for n, item in states.items() if item.state is State.AVAILABLE and n not in entry.versions]
            begun = begun and not lacking and not (final and left)
        return not begun or (final and any(differences(serving, text)))
    except NotHealthy:
        return False


def any_moves(states: Iterable[VersionState]) -> bool:
    """Whether one of them is neither in memory nor out of it."""
    return any(item.state in _MOVING for item in states)


def _not_begun(state: VersionState | None) -> bool:
    """A version that failed was tried; one that ended without an error was unloaded before."""
    return state is None or (state.state is State.END and not state.error)


def reached_by(step: Step) -> str:
    """Who may be sending requests to the host; empty where the balancer itself says that nobody does."""
    if step.balancer is None or not step.pools:
        return "it has no balancer that could tell that nobody sends it requests"
    try:
        members = [item for item in step.balancer.members(step.pools) if item.server == step.server]
    except BalancerFailed as error:
        return f"its balancer cannot be asked whether anybody sends it requests: {error.message}"
    missing = sorted(set(step.pools) - {item.pool for item in members})
    if missing:
        return f"its balancer does not name it in {', '.join(missing)}"
    busy = [f"{item.pool} ({item.traffic.value})" for item in members if item.traffic not in _OUT or item.sessions]
    return f"it may get requests through {', '.join(busy)}" if busy else ""


def restart(step: Step, *, grace_s: float) -> None:
    """End the service's process and start it again in the same container, on the configuration that lies on disk."""
    name = container_name(step.plan.desired.name)
    step.containers.stop(name, grace_s=grace_s)
    step.containers.start(name)


def clear(step: Step, why: str, *, grace_s: float) -> bool:
    """Restart a server that takes no configuration any more, or say why it is left alone. Whether it was restarted."""
    reached = reached_by(step)
    if reached:
        step.say(f"{why}; only a restart would clear that, and {reached}: it is left as it is")
        return False
    step.say(f"{why}; nobody sends it requests, so its container is restarted")
    restart(step, grace_s=grace_s)
    return True
