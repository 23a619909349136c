"""Words and values on the lines of an INI inventory, each with its column.

See Ansible's ``ansible.builtin.ini`` inventory plugin: words of a host's line are split as a POSIX shell would, values
are read as Python literals where they are one, and as text otherwise. A ``#`` that would cut a word or end up in a
value in silence is refused.
"""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass

from fleetdeploy.config.syntax.nodes import Entry, ListNode, MapNode, Node, Scalar
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.domain.origin import Origin

_LONGEST_LITERAL = 64 * 1024
_DEEPEST = 64
_MOST_BITS = 1024


@dataclass(frozen=True)
class Word:
    """A word without its quotes; ``column`` counts from 1."""

    text: str
    column: int


def split_words(line: str) -> list[Word]:
    """The words of a host's line up to a comment. Raises Refused with the column in ``at``."""
    words: list[Word] = []
    position = 0
    while position < len(line) and line[position] != "#":
        if line[position].isspace():
            position += 1
            continue
        text, end = _word(line, position)
        words.append(Word(text, position + 1))
        position = end
    return words


def _word(line: str, begin: int) -> tuple[str, int]:
    """The word that begins there, and where it ends."""
    text, quote, quoted_at, position = "", "", 0, begin
    while position < len(line) and (quote or not line[position].isspace()):
        char = line[position]
        if char == "#" and not quote:
            hint = "quote the value, or put a blank before `#`"
            raise Refused("`#` ends the line here, within a word", hint, at=(position + 1,))
        if char == quote or (not quote and char in {"'", '"'}):
            quote, quoted_at = ("", 0) if quote else (char, position)
        elif char == "\\" and (not quote or (quote == '"' and line[position + 1 : position + 2] in {'"', "\\"})):
            position += 1
            if position == len(line):
                raise Refused("the line ends with a backslash", "remove it", at=(position,))
            text += line[position]
        else:
            text += char
        position += 1
    if quote:
        raise Refused("the quote opened here is never closed", "close the quote", at=(quoted_at + 1,))
    return text, position


def literal(raw: str, origin: Origin) -> Node:
    """A value as Ansible reads it: a Python literal, or the text itself. Raises Refused for bytes and sets."""
    text = raw.strip()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an escape such as "\\d" is no concern of the inventory's reader
            value = ast.literal_eval(text) if len(text) <= _LONGEST_LITERAL else text
    except (ValueError, SyntaxError, TypeError, RecursionError, MemoryError):
        value = text
    if isinstance(value, complex) or value is ...:
        value = text
    return _node(value, text, origin, 0)


def commented(raw: str) -> bool:
    """True when a text value of a ``:vars`` line goes on after `` #``, which begins no comment there."""
    return " #" in raw or "\t#" in raw


def _node(value: object, raw: str, origin: Origin, depth: int) -> Node:
    if depth > _DEEPEST:
        raise Refused(f"nested more than {_DEEPEST} levels deep", "flatten it")
    if isinstance(value, dict):
        entries = {
            key: Entry(Scalar(key, str(key), origin, quoted=isinstance(key, str)), _node(item, "", origin, depth + 1))
            for key, item in value.items()
        }
        return MapNode(entries, origin)
    if isinstance(value, (list, tuple)):
        return ListNode(tuple(_node(item, "", origin, depth + 1) for item in value), origin)
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        raise Refused(f"{raw[:60]!r} is a number of more than 300 digits", "write less, or text in quotes")
    if isinstance(value, (str, int, float, bool)) or value is None:
        text = raw if raw and value != raw else str(value)
        quoted = isinstance(value, str)
        return Scalar(value, value if isinstance(value, str) else text, origin, quoted=quoted)
    raise Refused(f"{raw[:60] or value!r} is a Python {type(value).__name__}", "write a list, or text in quotes")
