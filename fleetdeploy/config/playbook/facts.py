"""``facts``: what conditions can know of a host once it was looked at.

They are those of the host in the inventory, also where another one does the task, as the last look before the task has
them. What could not be read is an error on that host wherever a condition comes to it: it is neither there nor absent,
and nothing follows from it. What was looked for and is not there is ``none``, and of GPUs an empty list. A path that
leads nowhere is told when the playbook is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from jinja2 import nodes

from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    Gpu,
    ObservedHost,
    ObservedService,
    Present,
    Reading,
    Unknown,
)

NAME = "facts"


@dataclass(frozen=True)
class Fact:
    """What stands at one place of the tree. ``keys`` are the names below it; ``each`` is what a list holds, or, with
    ``named``, a mapping by names that only the host knows. ``moves`` where the run itself changes it.
    """

    meaning: str
    keys: Mapping[str, Fact] = field(default_factory=dict)
    each: Fact | None = None
    named: str = ""
    moves: bool = False


_CONTAINER = {
    "name": Fact("its name"),
    "status": Fact("Docker's word, such as running"),
    "running": Fact("whether it runs"),
    "image_id": Fact("the id of its image"),
    "restart_count": Fact("how often Docker has restarted it"),
    "exit_code": Fact("with what it ended last"),
}
_GPU = {
    "index": Fact("its index"),
    "name": Fact("its model, as nvidia-smi says it"),
    "memory_bytes": Fact("its memory"),
    "memory_used_bytes": Fact("how much of it is used"),
    "compute_capability": Fact('a text, such as "8.0"'),
    "driver": Fact("the driver's version, a text"),
    "uuid": Fact("its UUID"),
}
_SERVICE = {
    "release": Fact("the id of the recorded release, or none"),
    "container": Fact("its container, or none", _CONTAINER),
    "drained_by": Fact("the run that took it out of its balancer and has not put it back, or none"),
    "served": Fact(
        "the models it shall serve",
        each=Fact("versions by number, each with its state, such as AVAILABLE"),
        named="MODEL",
    ),
    "versions": Fact("the models on its disk", each=Fact("the numbers of their versions"), named="MODEL"),
    "disk": Fact(
        "the file system of its directory, or none",
        {"free_bytes": Fact("free space"), "free_inodes": Fact("free inodes")},
    ),
}
TREE = Fact(
    "what the host was seen to have",
    {
        "addresses": Fact("its IPv4 addresses", each=Fact("a text")),
        "boot_id": Fact("another one after each boot"),
        "containers": Fact("all containers", each=Fact("a container", _CONTAINER), moves=True),
        "docker": Fact(
            "its Docker engine, or none",
            {"version": Fact("a text"), "runtimes": Fact("names", each=Fact("a text"))},
        ),
        "gpus": Fact("its GPUs", each=Fact("a GPU", _GPU)),
        "listening": Fact("the TCP ports that something listens on", each=Fact("a number"), moves=True),
        "services": Fact("the services it shall run", each=Fact("a service", _SERVICE), named="SERVICE", moves=True),
    },
)


class Unreadable(Exception):
    """A condition came to a fact that a look at the host could not read."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path} is not known: {reason}")


class _Facts(Mapping[str, object]):
    """A mapping whose values are found out when a condition comes to them."""

    def __init__(self, path: str, found: Mapping[str, Callable[[], object]]) -> None:
        self._path = path
        self._found = found

    def __getitem__(self, key: str) -> object:
        return self._found[key]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __str__(self) -> str:
        return self._path

    __repr__ = __str__


def facts_of(seen: ObservedHost) -> Mapping[str, object]:
    """The tree for one look at a host. Reading what could not be seen raises :class:`Unreadable`."""
    boot: Reading[str] = Present(seen.boot_id) if seen.boot_id else Unknown("the host did not say")
    return _facts(
        NAME,
        addresses=(seen.addresses, list),
        boot_id=(boot, str),
        containers=(seen.containers, lambda items: [_container(item) for item in items]),
        docker=(seen.docker, lambda item: {"version": item.version, "runtimes": list(item.runtimes)}),
        gpus=(
            Present(()) if isinstance(seen.gpus, Absent) else seen.gpus,
            lambda items: [_gpu(item) for item in items],
        ),
        listening=(seen.listening, list),
        services=(
            Present(seen.services),
            lambda items: {name: _service(f"{NAME}.services.{name}", item) for name, item in items.items()},
        ),
    )


def _facts(path: str, **readings: tuple[Reading[Any], Callable[[Any], object]]) -> _Facts:
    return _Facts(path, {name: _taking(f"{path}.{name}", *item) for name, item in readings.items()})


def _taking(path: str, reading: Reading[Any], made: Callable[[Any], object]) -> Callable[[], object]:
    def take() -> object:
        if isinstance(reading, Unknown):
            raise Unreadable(path, reading.reason)
        return made(reading.value) if isinstance(reading, Present) else None

    return take


def _service(path: str, seen: ObservedService) -> _Facts:
    served = {
        model: _taking(
            f"{path}.served.{model}", states, lambda found: {item.number: item.state.value for item in found}
        )
        for model, states in seen.served.items()
    }
    return _facts(
        path,
        release=(seen.release, lambda item: item.id),
        container=(seen.container, _container),
        drained_by=(seen.drained_by, str),
        served=(Present(_Facts(f"{path}.served", served)), lambda item: item),
        versions=(seen.versions, lambda found: {model: sorted(versions) for model, versions in found.items()}),
        disk=(seen.disk, asdict),
    )


def _container(item: ContainerFacts) -> dict[str, object]:
    return {name: getattr(item, name) for name in _CONTAINER}


def _gpu(item: Gpu) -> dict[str, object]:
    return {name: getattr(item, name) for name in _GPU}


def strangers(expression: nodes.Node) -> Iterator[tuple[str, str]]:
    """Paths in an expression that lead to no fact, each with a hint."""
    for path in _paths(expression):
        place, text = TREE, NAME
        for step in path:
            if step is None:
                break
            below = place.keys.get(step) if isinstance(step, str) else None
            if below is None and place.each is not None and bool(place.named) is isinstance(step, str):
                below = place.each
            if below is None:
                if place.keys or place.each:  # what stands by a version's number is not in the tree
                    yield f"there is no {text}{_written(step)}", _hint(place, text, step)
                elif isinstance(step, str):
                    yield f"there is no {text}{_written(step)}", f"{text} has nothing below it: {place.meaning}"
                break
            place, text = below, text + _written(step)


def no_answers(expression: nodes.Node) -> Iterator[tuple[str, str]]:
    """Whether an expression is nothing but a part of the tree that is no boolean, with a hint."""
    path: list[str | int | None] = []
    node = expression
    while isinstance(node, (nodes.Getattr, nodes.Getitem)):
        path.insert(0, _step(node))
        node = node.node
    if not isinstance(node, nodes.Name) or node.name != NAME:
        return
    place: Fact | None = TREE
    for step in path:
        place = (place.keys.get(str(step)) or place.each) if place is not None else None
    if place is not None and place.meaning not in {"", _CONTAINER["running"].meaning}:
        yield "this is neither true nor false", "compare it, such as facts.gpus | length > 1, facts.docker is not none"


def services_named(expression: nodes.Node) -> Iterator[str]:
    """The names below ``facts.services`` that an expression writes out."""
    for path in _paths(expression):
        if len(path) > 1 and path[0] == "services" and isinstance(path[1], str):
            yield path[1]


def moves(expression: nodes.Node) -> bool:
    """Whether the run itself may change what the expression comes to, so that an early look does not decide it."""
    roots = [path[0] if path else None for path in _paths(expression)]
    return any(not isinstance(root, str) or root not in TREE.keys or TREE.keys[root].moves for root in roots)


def lines() -> Iterator[tuple[str, str]]:
    """Every path of the tree, with its meaning."""
    yield from _below(TREE, NAME)


def _below(place: Fact, path: str) -> Iterator[tuple[str, str]]:
    for name, fact in place.keys.items():
        yield f"{path}.{name}", fact.meaning
        yield from _below(fact, f"{path}.{name}")
    if place.each is not None:
        inner = f"{path}.{place.named}" if place.named else f"{path}[0]"
        if place.named:
            yield inner, place.each.meaning
        yield from _below(place.each, inner)


def _paths(expression: nodes.Node) -> Iterator[tuple[str | int | None, ...]]:
    """What is written behind each ``facts``; None where only the run can tell the step."""
    found: Iterator[nodes.Getattr | nodes.Getitem] = expression.find_all((nodes.Getattr, nodes.Getitem))
    owners = {id(owner.node): owner for owner in found}
    for name in expression.find_all(nodes.Name):
        if name.name != NAME or name.ctx != "load":
            continue
        steps: list[str | int | None] = []
        node: nodes.Node = name
        while id(node) in owners:
            node = owners[id(node)]
            steps.append(_step(node))
        yield tuple(steps)


def _step(node: nodes.Node) -> str | int | None:
    if isinstance(node, nodes.Getattr):
        return str(node.attr)
    key = node.arg if isinstance(node, nodes.Getitem) else None
    return key.value if isinstance(key, nodes.Const) and isinstance(key.value, (str, int)) else None


def _written(step: str | int) -> str:
    return f".{step}" if isinstance(step, str) else f"[{step}]"


def _hint(place: Fact, text: str, step: str | int) -> str:
    if place.each is not None and not place.named:
        return f"{text} is a list: {text}[0], or {text} | length"
    return hint_for(str(step), place.keys or (place.named,), what=f"below {text}")
