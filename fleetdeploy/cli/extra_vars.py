"""``-e`` in Ansible's three forms: ``key=value`` words, a YAML or JSON mapping, ``@FILE``."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import ListNode, MapNode, Node
from fleetdeploy.errors import InputError

WHERE = "--extra-vars"


def parse(given: Sequence[str]) -> Mapping[str, object]:
    """All of them merged, later ones over earlier ones. Raises InputError.

    As in Ansible, the value of ``key=value`` is always text; a mapping or a file keeps YAML's types.
    """
    merged: dict[str, object] = {}
    for text in given:
        if text.startswith("@"):
            merged |= _mapping(yaml.load(Path(text[1:]), what="variables file"), text)
        elif text.lstrip().startswith("{"):
            merged |= _mapping(yaml.loads(text, file=WHERE), text)
        else:
            merged |= _words(text)
    return merged


def _words(text: str) -> Mapping[str, str]:
    found = {}
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise InputError(f"{text!r}: {error}", where=WHERE, hint="close the quote") from error
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise InputError(
                f"{word!r} is not key=value",
                where=WHERE,
                hint="or give a mapping, '{key: value}', or a file, @vars.yml",
            )
        found[key] = value
    return found


def _mapping(node: Node, text: str) -> Mapping[str, object]:
    if not isinstance(node, MapNode):
        raise InputError(f"{text!r} is not a mapping", where=WHERE, hint="write {key: value}")
    plain = _plain(node)
    assert isinstance(plain, dict)
    return plain


def _plain(node: Node) -> object:
    if isinstance(node, MapNode):
        return {entry.key.raw: _plain(entry.value) for entry in node}
    if isinstance(node, ListNode):
        return [_plain(item) for item in node.items]
    return node.value
