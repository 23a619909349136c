"""How variables from several places become one mapping for a host.

Ordinary variables follow Ansible: the last one set wins, mappings included. ``services`` alone merges key by key: a
null removes what an outer place set, lists and plain values replace.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from fleetdeploy.config.reserved.names import SERVICES
from fleetdeploy.config.syntax.nodes import Entry, MapNode, Node, Scalar
from fleetdeploy.domain.origin import Origin


def merge_variables(layers: Iterable[MapNode]) -> MapNode:
    """One mapping of all layers, the weakest first."""
    entries: dict[Hashable, Entry] = {}
    origin = Origin("")
    for layer in layers:
        origin = layer.origin
        for key, entry in layer.entries.items():
            if key == SERVICES and key in entries:
                merged = merge_deep(entries[key].value, entry.value)
                entries[key] = Entry(entries[key].key, merged)
            else:
                entries[key] = entry
    return MapNode(entries, origin)


def merge_deep(lower: Node, upper: Node) -> Node:
    """``upper`` laid over ``lower``, key by key.

    A null for a key that ``lower`` lacks stays: it removes nothing, so it is a forgotten value, and the schema says so.
    """
    if not isinstance(lower, MapNode) or not isinstance(upper, MapNode):
        return upper
    entries = dict(lower.entries)
    for key, entry in upper.entries.items():
        below = entries.get(key)
        if below is None:
            entries[key] = entry
        elif isinstance(entry.value, Scalar) and entry.value.is_null:
            del entries[key]
        elif isinstance(below.value, MapNode) and isinstance(entry.value, MapNode):
            entries[key] = Entry(below.key, merge_deep(below.value, entry.value))
        else:
            entries[key] = entry
    return MapNode(entries, lower.origin)
