"""What models require against the GPUs that the inventory declares: what can be told before any host is contacted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import Absent, ObservedService
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.errors import Problem
from fleetdeploy.planning.gpu_fit import declared_gpus, misfits
from fleetdeploy.planning.gpu_sums import gpu_fits, too_little

_HINT = "mend `requires`, or the `gpus` of the service or of the host; or place models on other hosts"


def declared_problems(hosts: Iterable[tuple[Host, Sequence[DesiredService]]]) -> tuple[Problem, ...]:
    """Models that cannot fit the GPUs declared for their hosts; one that several hosts have is told once, with them.

    What the inventory does not declare stands against nothing: the hosts are asked before anything is done.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for host, desired in hosts:
        for message, where in _problems(host, desired):
            found.setdefault((message, where), []).append(host.name)
    return tuple(Problem(f"{_named(names)}: {message}", where, _HINT) for (message, where), names in found.items())


def _problems(host: Host, desired: Sequence[DesiredService]) -> Iterator[tuple[str, str]]:
    gpus = declared_gpus(host.gpus) if host.gpus else ()
    single = set()
    for service in desired:
        for model, text in misfits(service.wish, gpus, declared=True):
            single.add(service.name)
            yield f"{text} by the inventory" if service.wish.gpus.wanted else text, model.where("requires")
    if host.gpus is None or not host.gpus.memory_bytes:
        return
    others = [(item, ObservedService(item.name, Absent())) for item in desired if item.name not in single]
    for fit, message in too_little(gpu_fits(others, gpus)):
        last = next(item.wish for item in desired if item.name == fit.services[-1])
        yield f"{message}, by the inventory", last.where


def _named(names: Sequence[str]) -> str:
    more = len(names) - 1
    return names[0] if not more else f"{names[0]} and {more} more host{'s' if more > 1 else ''}"
