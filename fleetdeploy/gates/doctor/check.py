"""What a check is, how all of them are found, and how they are asked: one that stumbles over a text is unknown."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import cache
from types import ModuleType
from typing import Generic, TypeVar

from fleetdeploy.domain.checkup import ControllerFacts, Finding, Health, HostFacts, Untold
from fleetdeploy.gates.doctor import controller, host

Facts = TypeVar("Facts")
_MISREAD = (ValueError, LookupError, TypeError, AttributeError, RecursionError, OverflowError)
"""What reading a text raises that is not what it should be."""


class Group(Enum):
    """What a check is about; findings are told in this order."""

    SSH = "SSH"
    ROOT = "root"
    TOOLS = "tools"
    DOCKER = "Docker"
    GPUS = "GPUs"
    DISK = "disk"
    NETWORK = "network"
    SYSTEM = "system"
    FLEET = "fleet"


@dataclass(frozen=True)
class Check(Generic[Facts]):
    """``topic`` goes before "cannot be told"; ``by_hand`` is the command that tells it. ``services``: it is about hosts
    that shall run any; ``aside``: nothing hangs on whether it can be told.
    """

    group: Group
    topic: str
    look: Callable[[Facts], Iterable[Finding]]
    by_hand: str
    services: bool = True
    aside: bool = False


@cache
def host_checks() -> Mapping[str, Check[HostFacts]]:
    """All checks of hosts by name, in the order in which they are told."""
    return _found(host)


@cache
def controller_checks() -> Mapping[str, Check[ControllerFacts]]:
    """All checks of the controller by name."""
    return _found(controller)


def typed(findings: Iterable[Finding], fleet: str) -> Iterator[Finding]:
    """With ``fleet`` in the commands that ask for it: the options that name the inventory, as they were given."""
    for item in findings:
        yield replace(item, fix=item.fix.replace("{fleet}", fleet and f"{fleet} "))


def _found(room: ModuleType) -> Mapping[str, Check[Facts]]:
    names = sorted(found.name for found in pkgutil.iter_modules(room.__path__))
    modules = {name: importlib.import_module(f"{room.__name__}.{name}") for name in names}
    checks = {name: module.CHECK for name, module in modules.items() if hasattr(module, "CHECK")}
    order = list(Group)
    return dict(sorted(checks.items(), key=lambda item: order.index(item[1].group)))


def findings_of_host(facts: HostFacts) -> tuple[Finding, ...]:
    """What all checks say of a host; of one that could not be looked at, only why."""
    if facts.trouble is not None:
        bad = facts.trouble.known
        hint = facts.trouble.hint or "ssh {host}"
        return (Finding(Health.BAD if bad else Health.UNKNOWN, facts.trouble.message, "", hint, "reached"),)
    meant = {name: check for name, check in host_checks().items() if facts.host.services or not check.services}
    return tuple(item for name, check in meant.items() for item in judged(name, check, facts))


def findings_of_controller(facts: ControllerFacts) -> tuple[Finding, ...]:
    """What all checks say of the controller."""
    return tuple(item for name, check in controller_checks().items() for item in judged(name, check, facts))


def judged(name: str, check: Check[Facts], facts: Facts) -> Iterator[Finding]:
    """What one check says. Facts that it cannot read, or that mean nothing, make a finding that says so."""
    try:
        for finding in check.look(facts):
            yield replace(finding, check=name)
    except Untold as reason:
        yield _unknown(name, check, str(reason))
    except _MISREAD as error:
        yield _unknown(name, check, f"the answer could not be understood: {' '.join(str(error).split())[:120]}")


def _unknown(name: str, check: Check[Facts], why: str) -> Finding:
    return Finding(Health.UNKNOWN, f"{check.topic} cannot be told", why, check.by_hand, name, aside=check.aside)


def fine(what: str) -> Finding:
    """Nothing is wrong; ``what`` is for who wants to see it all."""
    return Finding(Health.OK, what)


def warn(what: str, *, why: str = "", fix: str) -> Finding:
    """It works, and may not for long or not for ever."""
    return Finding(Health.WARN, what, why, fix)


def bad(what: str, *, why: str = "", fix: str) -> Finding:
    """A rollout would be refused, or fail."""
    return Finding(Health.BAD, what, why, fix)


def unknown(what: str, *, why: str = "", fix: str = "", aside: bool = False) -> Finding:
    """Could not be read."""
    return Finding(Health.UNKNOWN, what, why, fix, aside=aside)
