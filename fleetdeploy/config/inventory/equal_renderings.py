"""Expressions that give the same on many hosts, so that one rendering does for all: ``groups['db'] | first``.

Two hosts share a rendering when the text is the same, and every variable in it comes from the same place, as do those
in these. Nothing is compared but places, which costs little, however large the values are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Set

from fleetdeploy.config.syntax.nodes import ListNode, MapNode, Node, Scalar

Key = tuple[object, ...]
_OF_ALL = frozenset({"groups", "hostvars"})
_OF_HOST = frozenset({"inventory_hostname", "inventory_hostname_short"})
_DEEPEST = 4


class EqualRenderings:
    """What was rendered, by what it depends on."""

    def __init__(
        self,
        merged: Mapping[str, MapNode],
        groups_of: Callable[[str], tuple[str, ...]],
        names_in: Callable[[str], Set[str]],
        is_templated: Callable[[Node], bool],
    ) -> None:
        self.values: dict[Key, object] = {}
        self._merged = merged
        self._groups_of = groups_of
        self._names_in = names_in
        self._is_templated = is_templated

    def key(self, host: str, text: str) -> Key | None:
        """What the value of ``text`` for ``host`` depends on; None where that cannot be told, or is the host itself."""
        return self._of_text(host, text, 0)

    def _of_text(self, host: str, text: str, depth: int) -> Key | None:
        if depth > _DEEPEST:
            return None
        parts: list[object] = [text]
        for name in sorted(self._names_in(text)):
            part = self._of_name(host, name, depth)
            if part is None:
                return None
            parts.append(part)
        return tuple(parts)

    def _of_name(self, host: str, name: str, depth: int) -> object:
        if name in _OF_HOST:
            return None
        if name == "group_names":
            return self._groups_of(host)
        if name in _OF_ALL:
            return name
        entry = self._merged[host].entries.get(name)
        if entry is None:
            return ""
        parts: list[object] = [id(entry.value)]
        for text in self._templates(entry.value):
            part = self._of_text(host, text, depth + 1)
            if part is None:
                return None
            parts.append(part)
        return tuple(parts)

    def _templates(self, node: Node) -> Iterator[str]:
        if not self._is_templated(node):
            return
        if isinstance(node, Scalar):
            yield str(node.value)
            return
        for inner in node.items if isinstance(node, ListNode) else (entry.value for entry in node):
            yield from self._templates(inner)
