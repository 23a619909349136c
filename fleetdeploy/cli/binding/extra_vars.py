"""``-e`` in Ansible's three forms: ``key=value`` words, a YAML or JSON mapping, ``@FILE``."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence

from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import Entry, MapNode, Node, Scalar
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.text_file import home_path
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError

WHERE = "--extra-vars"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(
    r"""(?P<key>[^\s=]+)=(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>(?:\{\{.*?\}\}|[^\s"'])*))(?=\s|$)"""
)


def parse(given: Sequence[str], *, secrets: Secrets | None = None) -> MapNode:
    """All of them merged, later ones over earlier ones, each value with its place. Raises InputError.

    As in Ansible, the value of ``key=value`` is always text; a mapping or a file keeps YAML's types, and a variable
    that is given again is replaced, whatever it holds. See its guide "Defining variables at runtime".
    """
    entries: dict[Hashable, Entry] = {}
    for text in given:
        if text.startswith("@"):
            found = _mapping(yaml.load(home_path(text[1:]), what="variables file", secrets=secrets), text)
        elif text.lstrip().startswith(("{", "[")):
            found = _mapping(yaml.loads(text, file=WHERE, secrets=secrets), text)
        else:
            found = _words(text)
        for entry in found:
            if not isinstance(entry.key.value, str) or not _NAME.fullmatch(entry.key.value):
                raise InputError(
                    f"{entry.key.raw[:80]!r} is not a variable's name",
                    where=str(entry.key.origin),
                    hint="a letter or `_`, then letters, digits and `_`",
                )
        entries |= found.entries
    return MapNode(entries, Origin(WHERE))


def by_name(given: Sequence[str], *, secrets: Secrets | None = None) -> dict[str, object]:
    """The same as plain values. Raises InputError."""
    return {str(key): value for key, value in parse(given, secrets=secrets).plain().items()}


def _words(text: str) -> MapNode:
    origin = Origin(WHERE)
    entries: dict[Hashable, Entry] = {}
    if text.startswith(("/", ".")):
        raise InputError(f"{text!r} is not key=value", where=WHERE, hint=f"a file is given as @{text}")
    if "\\" in text:
        # Ansible reads some backslashes as the start of another character, and leaves others.
        raise InputError(f"{text!r}: a backslash", where=WHERE, hint='write it as a mapping: \'{"key": "value"}\'')
    position = 0
    while text[position:].strip():
        position += len(text[position:]) - len(text[position:].lstrip())
        word = _WORD.match(text, position)
        if word is None:
            raise InputError(
                f"{text[position:].split(maxsplit=1)[0]!r} is not key=value"
                if _is_closed(text)
                else f"{text!r}: no closing quote",
                where=WHERE,
                hint="or give a mapping, '{key: value}', or a file, @vars.yml",
            )
        key = word["key"]
        if key in entries:
            raise InputError(f"{key!r} is given twice in {text!r}", where=WHERE, hint="keep one of the two")
        value = next(part for part in (word["double"], word["single"], word["bare"]) if part is not None)
        entries[key] = Entry(Scalar(key, key, origin, quoted=True), Scalar(value, value, origin, quoted=True))
        position = word.end()
    return MapNode(entries, origin)


def _is_closed(text: str) -> bool:
    return text.count('"') % 2 == 0 and text.count("'") % 2 == 0


def _mapping(node: Node, text: str) -> MapNode:
    if not isinstance(node, MapNode):
        raise InputError(f"{text!r} is not a mapping", where=WHERE, hint="write {key: value}")
    return node
