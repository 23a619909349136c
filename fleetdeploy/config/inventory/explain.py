"""Why a host's variable is what it is: every place that sets it, the weakest first, and the one that wins."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass

from fleetdeploy.config.fields.schema import dotted
from fleetdeploy.config.inventory.layers import Layer
from fleetdeploy.config.inventory.load import Loaded
from fleetdeploy.config.inventory.rendered import Rendered, Use, rendered, uses
from fleetdeploy.config.reserved.names import SERVICES
from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Scalar
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError

_INDEX = re.compile(r"\[?([0-9]{1,9})\]?(?:\.|$|(?=\[))")
Step = Hashable


@dataclass(frozen=True)
class Setting:
    """What one layer says: ``layer`` names it, ``removes`` is true for a null that takes a key of ``services`` away."""

    layer: str
    where: Origin
    value: object
    removes: bool = False


@dataclass(frozen=True)
class Explanation:
    """A value in force, where it was written, and all that was said about it, the weakest first.

    ``rendered`` is what the expressions in it give, None where there are none; ``uses`` the variables in these.
    """

    key: str
    value: object
    where: Origin
    settings: tuple[Setting, ...]
    rendered: Rendered | None = None
    uses: tuple[Use, ...] = ()


def explain(loaded: Loaded, host: str, key: str) -> Explanation:
    """The history of one variable of ``host``, or of a key inside it (``services.ranking.image``, ``list[0]``).

    Raises InputError for a key that is not set, with the nearest one, or with the place that removed it.
    """
    merged = loaded.merged[host]
    layers = loaded.layers.of(host)
    path = _resolve(merged, key)
    if path is None:
        raise _unknown(merged, key, host, layers)
    return _explained(loaded, host, path, layers)


def explain_all(loaded: Loaded, host: str) -> list[Explanation]:
    """Every variable of ``host``; of ``services``, every value in it, as they come from several places."""
    merged = loaded.merged[host]
    layers = loaded.layers.of(host)
    return [_explained(loaded, host, path, layers) for entry in merged for path in _paths(entry)]


def _explained(loaded: Loaded, host: str, path: tuple[Step, ...], layers: list[Layer]) -> Explanation:
    node, where = _at(loaded.merged[host], path)
    return Explanation(
        dotted(tuple(_shown(step) for step in path)),
        node.plain(),
        where,
        tuple(_said(layers, path)),
        rendered(loaded.inventory.hosts[host].variables, path),
        tuple(uses(loaded.merged[host], node)),
    )


def _paths(entry: Entry) -> Iterator[tuple[Step, ...]]:
    if entry.key.value == SERVICES:
        yield from ((SERVICES, *rest) for rest in _leaves(entry.value))
    else:
        yield (entry.key.value,)


def _leaves(node: Node) -> Iterator[tuple[Step, ...]]:
    if not isinstance(node, MapNode) or not node.entries:
        yield ()
        return
    for key, entry in node.entries.items():
        yield from ((key, *rest) for rest in _leaves(entry.value))


def _shown(step: Step) -> str | int:
    return step if isinstance(step, int) and not isinstance(step, bool) else str(step)


def _said(layers: list[Layer], path: tuple[Step, ...]) -> Iterator[Setting]:
    """What each layer says about ``path``; a layer that replaces a variable without saying it counts as well."""
    for layer in layers:
        if path[0] not in layer.node.entries:
            continue
        for length in range(1, len(path) + 1):
            found = _lookup(layer.node, path[:length])
            if found is None:
                break
            node, where = found
            if length == len(path) or (path[0] == SERVICES and isinstance(node, Scalar) and node.is_null):
                removes = path[0] == SERVICES and length > 1 and isinstance(node, Scalar) and node.is_null
                yield Setting(layer.what, where, node.plain(), removes)
                break


def _at(merged: MapNode, path: tuple[Step, ...]) -> tuple[Node, Origin]:
    found = _lookup(merged, path)
    assert found is not None
    return found


def _lookup(node: Node, path: tuple[Step, ...]) -> tuple[Node, Origin] | None:
    """The node at ``path``, and its place: of its key for a mapping, which often begins on a later line."""
    where = node.origin
    for step in path:
        if isinstance(node, MapNode) and step in node.entries:
            entry = node.entries[step]
            node = entry.value
            where = entry.key.origin if isinstance(node, MapNode) or not node.origin.line else node.origin
        elif isinstance(node, ListNode) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
            where = node.origin
        else:
            return None
    return node, where


def _resolve(node: Node, key: str) -> tuple[Step, ...] | None:
    """The path that ``key`` writes with dots and brackets; a key with dots in it is taken as a whole where it fits."""
    if not key:
        return ()
    if isinstance(node, MapNode):
        for step in sorted(node.entries, key=lambda step: -len(str(step))):
            name = str(step)
            if key.startswith(name) and key[len(name) : len(name) + 1] in {"", ".", "["}:
                rest = _resolve(node.entries[step].value, key[len(name) :].removeprefix("."))
                if rest is not None:
                    return (step, *rest)
    if isinstance(node, ListNode) and (index := _INDEX.match(key)) is not None and int(index[1]) < len(node.items):
        rest = _resolve(node.items[int(index[1])], key[index.end() :].removeprefix("."))
        return None if rest is None else (int(index[1]), *rest)
    return None


def _unknown(merged: MapNode, key: str, host: str, layers: list[Layer]) -> InputError:
    """The key cannot be followed beyond its longest known beginning; what is there instead is the hint."""
    for layer in reversed(layers):
        path = _resolve(layer.node, key)
        if path is not None:
            last = next((said for said in reversed(list(_said(layers, path))) if said.value is None), None)
            if last is not None:
                return InputError(
                    f"{key} is not set for {host}: it is removed by {last.layer}",
                    where=str(last.where),
                    hint="a null in `services` takes away what an outer group set",
                )
    known, parts = "", re.split(r"\.|(?=\[)", key)
    node: Node = merged
    for length in range(len(parts), 0, -1):
        beginning = ".".join(parts[:length]).replace(".[", "[")
        path = _resolve(merged, beginning)
        if path is not None:
            node, known = _at(merged, path)[0], beginning
            break
    names = [str(step) for step in node.entries] if isinstance(node, MapNode) else []
    rest = key[len(known) :].removeprefix(".")
    inside = f"in {known!r} of {host}" if known else f"of {host}"
    hint = hint_for(rest.partition(".")[0], names, what="keys here" if known else "variables", most=30)
    return InputError(f"no {rest!r} {inside}", hint=hint or "see all with `fleetdeploy inventory explain HOST`")
