"""What a YAML file holds, as a tree in which every key and every value knows where it was written, and how."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Union

from fleetdeploy.domain.origin import Origin

_PLAIN_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Scalar:
    """One value: as Ansible's reader (YAML 1.1) takes it, and ``raw``, the text as it stands in the file."""

    value: object
    raw: str
    origin: Origin
    quoted: bool = False

    @property
    def is_null(self) -> bool:
        return self.value is None

    @property
    def surprising(self) -> bool:
        """True for a number that is not written in plain decimal: ``012``, ``1_000``, ``0x1F``, ``22:22``."""
        return type(self.value) is int and not _PLAIN_DECIMAL.fullmatch(self.raw)

    def plain(self) -> object:
        return self.value


@dataclass(frozen=True)
class ListNode:
    """A YAML sequence."""

    items: tuple[Node, ...]
    origin: Origin

    def plain(self) -> list[object]:
        return [item.plain() for item in self.items]


@dataclass(frozen=True)
class Entry:
    """A key of a mapping with its value."""

    key: Scalar
    value: Node


@dataclass(frozen=True)
class MapNode:
    """A YAML mapping in file order. ``entries`` is keyed by the keys' values."""

    entries: Mapping[Hashable, Entry]
    origin: Origin

    def plain(self) -> dict[object, object]:
        return {key: entry.value.plain() for key, entry in self.entries.items()}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries.values())

    def get(self, key: Hashable) -> Node | None:
        entry = self.entries.get(key)
        return entry.value if entry else None


Node = Union[Scalar, ListNode, MapNode]
Path = Sequence[Union[str, int]]


def find(node: Node, path: Path) -> Node | None:
    """The node at ``path`` (keys and list indexes), or None when there is none."""
    for step in path:
        if isinstance(node, MapNode):
            entry = node.entries.get(step)
            if entry is None:
                return None
            node = entry.value
        elif isinstance(node, ListNode) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
        else:
            return None
    return node


def origin_of(node: Node, path: Path) -> Origin:
    """Where the value at ``path`` was written; the place of the nearest enclosing node when it was not."""
    for length in range(len(path), 0, -1):
        found = find(node, path[:length])
        if found is not None:
            return found.origin
    return node.origin


def key_origin_of(node: Node, path: Path) -> Origin:
    """Where the key that ends ``path`` was written; the value's place where there is no such key."""
    parent = find(node, path[:-1]) if path else None
    if isinstance(parent, MapNode) and path[-1] in parent.entries:
        return parent.entries[path[-1]].key.origin
    return origin_of(node, path)


def from_python(value: object, origin: Origin) -> Node:
    """A tree for values that were not read from a file, all with one origin; nodes in it stay what they are."""
    if isinstance(value, (Scalar, ListNode, MapNode)):
        return value
    if isinstance(value, Mapping):
        entries: dict[Hashable, Entry] = {
            key: Entry(Scalar(key, str(key), origin, quoted=isinstance(key, str)), from_python(item, origin))
            for key, item in value.items()
        }
        return MapNode(entries, origin)
    if isinstance(value, (list, tuple)):
        return ListNode(tuple(from_python(item, origin) for item in value), origin)
    return Scalar(value, str(value), origin, quoted=isinstance(value, str))


class Placed(dict[str, object]):
    """A plain mapping that still knows the node it was made from, so that a later check can name the place."""

    def __init__(self, node: MapNode) -> None:
        super().__init__((str(key), value) for key, value in node.plain().items())
        self.node = node
