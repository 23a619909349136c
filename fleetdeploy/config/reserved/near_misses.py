"""Variables that are almost called like a reserved one: the target they were meant for would be empty in silence.

Inventories that exist already have variables of their own, such as ``service: nginx`` or ``gpu: true``. So a name that
is almost right is refused only together with a value that has the reserved variable's shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fleetdeploy.config.reserved.names import BALANCER, GPUS, SERVICES
from fleetdeploy.config.reserved.service_schema import BalancerFields, GpusFields, ServiceFields
from fleetdeploy.config.syntax.nodes import ListNode, MapNode, Node, Scalar
from fleetdeploy.config.syntax.suggest import nearest
from fleetdeploy.errors import Problem

_KEYS: Mapping[str, frozenset[str]] = {
    SERVICES: frozenset(ServiceFields.model_fields),
    # Roles that install drivers have variables such as `gpu: {driver: "550"}`.
    GPUS: frozenset(GpusFields.model_fields) - {"driver"},
    BALANCER: frozenset(BalancerFields.model_fields),
}
_CUTOFF = 0.85
"""One letter too many, too few or changed; ``cpus`` and ``devices`` are words of their own."""


def near_misses(layers: Iterable[MapNode]) -> tuple[Problem, ...]:
    """A problem for each variable of ``layers`` that was almost certainly meant to be a reserved one."""
    found: dict[Problem, None] = {}
    for layer in {id(layer): layer for layer in layers}.values():
        for entry in layer:
            name = entry.key.value
            if not isinstance(name, str) or name in _KEYS or not isinstance(entry.value, (MapNode, ListNode)):
                continue
            meant = _meant(name)
            if meant and _has_shape(entry.value, meant):
                found[
                    Problem(
                        f"variable {name!r} looks like the reserved variable {meant!r}, and would be passed over",
                        str(entry.key.origin),
                        f"did you mean {meant!r}? reserved variables: {', '.join(sorted(_KEYS))}",
                    )
                ] = None
    return tuple(found)


def _meant(name: str) -> str:
    swapped = [reserved for reserved in _KEYS if sorted(reserved) == sorted(name.lower())]
    return swapped[0] if swapped else nearest(name, _KEYS, cutoff=_CUTOFF)


def _has_shape(node: Node, reserved: str) -> bool:
    """Whether a value, or an item of a list, holds keys of the reserved variable."""
    if isinstance(node, ListNode):
        return any(_holds(item, reserved) for item in node.items)
    if reserved == SERVICES and isinstance(node, MapNode):
        return any(_holds(entry.value, reserved) or _is_null(entry.value) for entry in node)
    return _holds(node, reserved)


def _holds(node: Node, reserved: str) -> bool:
    return isinstance(node, MapNode) and not _KEYS[reserved].isdisjoint(node.entries)


def _is_null(node: Node) -> bool:
    """A null below ``services`` takes a service away."""
    return isinstance(node, Scalar) and node.is_null
