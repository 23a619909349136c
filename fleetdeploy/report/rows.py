"""A line in rows as wide as a terminal: broken between words, and never inside a command that somebody may type."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size
from rich.text import Text

INDENT = 4
_COMMAND = re.compile(r"(?:^|(?<=[:>] )|(?<= {2}))fleetdeploy \S.*")
"""What a line ends with, behind a colon or at its beginning."""
_QUOTED = re.compile(r"`[^`]*`")
_WORD = re.compile(r"(?:`[^`]*`|\S)+")
_HEAD = re.compile(r"(?:\S+|\s*>)? *")
"""What may stand before a command on its row, as in ``next: ``."""
_LABEL = re.compile(r"\s*(?:\S+ )*?\S+ {2,}(?=\S)")
_MARK = re.compile(r"\s*(?:[-+~|>] +)?")

Part = tuple[int, int]
"""Where a part of a line begins and ends."""


def rows(line: Text, width: int, *, under: int = INDENT) -> Iterator[Text]:
    """The line as it is where it fits; else what goes on below stands ``under`` that column.

    A command that the line ends with has a row of its own, indented. That row, and one with a command in backquotes
    that is longer than a row, may be wider than the terminal: whoever copies it from there gets it whole.
    """
    head, command = _split(line)
    if command is not None and head.plain.strip():
        yield from rows(head, width, under=under)
        yield Text(" " * (_indent(line.plain) + 2)) + command
    elif command is not None or cell_len(line.plain) <= width or width <= 2 * under:
        yield line
    else:
        if _indent(line.plain) > width // 2:  # where blanks fill the row, nothing could stand on it
            line = line[_indent(line.plain) - under :]
        for number, (begin, end) in enumerate(_parts(line.plain, width, under)):
            row = line[begin:end]
            yield Text(" " * under) + row if number else row


def text_column(plain: str, width: int) -> int:
    """Where the text of a line begins: behind its label, where two blanks tell that it has one, else a step further
    than the line itself. Before the middle of ``width`` columns.
    """
    label, mark = _LABEL.match(plain), _MARK.match(plain)
    assert mark is not None, "it matches whatever there is"
    for column in (label.end() if label else 0, mark.end() + 2):
        if 0 < column < width // 2:
            return column
    return 2


def _indent(plain: str) -> int:
    return len(plain) - len(plain.lstrip())


def _split(line: Text) -> tuple[Text, Text | None]:
    """What stands before a command that the line ends with, and the command; a mark or a word stays with it."""
    found = _COMMAND.search(_QUOTED.sub(lambda match: "`" * len(match.group()), line.plain))
    if found is None:
        return line, None
    if _HEAD.fullmatch(line.plain[: found.start()]):
        return Text(), line
    head = line[: found.start()]
    head.rstrip()
    return head, line[found.start() :]


def _parts(plain: str, width: int, under: int) -> Iterator[Part]:
    begin = end = 0  # the blanks that a line begins with are its own
    room = width
    for first, last in _words(plain, width - under, at_first=width - _indent(plain)):
        if end and cell_len(plain[begin:last]) > room:
            yield begin, end
            begin, room = first, width - under
        end = last
    yield begin, end


def _words(plain: str, longest: int, *, at_first: int) -> Iterator[Part]:
    """What is not to be broken: what is quoted, and of words as much as a row holds, of the first one ``at_first``."""
    for number, match in enumerate(_WORD.finditer(plain)):
        first, last = match.span()
        room = longest if number else at_first
        while "`" not in match.group() and cell_len(plain[first:last]) > room:
            cut = first + max(1, len(set_cell_size(plain[first:last], room).rstrip()))
            yield first, cut
            first, room = cut, longest
        yield first, last
