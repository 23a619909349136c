"""Load balancers, one module or package each. A module is found by being here: it has ``KIND`` and ``make``.

``exchange`` sends one command to the balancer's own interface and returns its reply; how it gets there is the business
of :mod:`fleetdeploy.remote`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from fleetdeploy.domain.balancer import Balancer
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.errors import InputError

Exchange = Callable[[str], str]


def kinds() -> tuple[str, ...]:
    """Every kind of balancer there is, in alphabetical order."""
    return tuple(sorted(_modules()))


def make_balancer(kind: str, exchange: Exchange, *, host: str, clock: Clock, noting: bool = True) -> Balancer:
    """The client of a balancer on ``host``; with ``noting`` it may keep notes there. Raises InputError for a kind that
    does not exist.
    """
    modules = _modules()
    if kind not in modules:
        raise InputError(f"there is no balancer kind {kind!r}", hint=f"there is {', '.join(sorted(modules))}")
    balancer: Balancer = modules[kind].make(exchange, host=host, clock=clock, noting=noting)
    return balancer


def _modules() -> dict[str, Any]:
    found = (importlib.import_module(f"{__name__}.{entry.name}") for entry in pkgutil.iter_modules(__path__))
    return {module.KIND: module for module in found}
