"""What the expressions in one variable give, and where the variables in them are set: for explanations."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from jinja2 import TemplateError, meta

from fleetdeploy.config.sandbox.expressions import Expressions
from fleetdeploy.config.syntax.nodes import ListNode, MapNode, Node, Scalar
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.templated import Templated, holds_template
from fleetdeploy.errors import InputError


@dataclass(frozen=True)
class Rendered:
    """What expressions give; with a ``problem`` they give nothing."""

    value: object
    problem: str = ""


@dataclass(frozen=True)
class Use:
    """A variable that an expression needs, as it is written, and where."""

    key: str
    value: object
    where: Origin


def rendered(variables: Mapping[str, object], path: tuple[Hashable, ...]) -> Rendered | None:
    """What stands at ``path`` of a host's variables, rendered; None where no expression is in it."""
    value: object = variables
    for number, step in enumerate(path):
        if isinstance(value, Mapping):
            value = value[step if number else str(step)]
        elif isinstance(value, list) and isinstance(step, int):
            value = value[step]
    if not holds_template(value):
        return None
    try:
        return Rendered(_plain(value))
    except InputError as error:
        return Rendered(None, error.problems[0].message)


def _plain(value: object) -> object:
    if isinstance(value, Templated):
        return value.rendered()
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def uses(variables: MapNode, node: Node) -> Iterator[Use]:
    """The variables of the host that the expressions in ``node`` need, and those that these need, each once."""
    waiting, seen = [node], set[str]()
    while waiting:
        for text in _expressions(waiting.pop(0)):
            for name in sorted(_names(text) - seen):
                seen.add(name)
                found = variables.get(name)
                if found is not None:
                    yield Use(name, found.plain(), found.origin)
                    waiting.append(found)


def names_in(value: object) -> frozenset[str]:
    """The variables that the expressions in a plain value name."""
    if isinstance(value, Templated):
        return _names(str(value))
    if isinstance(value, Mapping):
        return frozenset().union(*map(names_in, value.values()))
    return frozenset().union(*map(names_in, value)) if isinstance(value, (list, tuple)) else frozenset()


@lru_cache(maxsize=4096)
def _names(text: str) -> frozenset[str]:
    """Nothing for a text that is no expression: where it is used, that is told."""
    try:
        return frozenset(meta.find_undeclared_variables(Expressions().parse(text)))
    except TemplateError:
        return frozenset()


def _expressions(node: Node) -> Iterator[str]:
    if isinstance(node, Scalar):
        if isinstance(node.value, str) and "{{" in node.value:
            yield node.value
        return
    for inner in node.items if isinstance(node, ListNode) else (entry.value for entry in node):
        yield from _expressions(inner)
