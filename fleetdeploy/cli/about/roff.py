"""Text as roff's man macros want it: nothing in it is ever taken for a macro or an escape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def escaped(text: str) -> str:
    """Text within a line. What is not ASCII is named by its code, so that no locale matters."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    plain = plain.replace("^", "\\(ha").replace("~", "\\(ti").replace('"', "\\(dq")
    return "".join(char if char.isascii() else f"\\[u{ord(char):04X}]" for char in plain)


def line(text: str) -> str:
    """A line of its own, which begins with no macro."""
    found = escaped(text)
    return f"\\&{found}" if found[:1] in {".", "\\"} else found


def bold(text: str) -> str:
    """What is typed as it stands."""
    return f"\\fB{escaped(text)}\\fR"


def italic(text: str) -> str:
    """What stands for something else."""
    return f"\\fI{escaped(text)}\\fR"


def section(title: str) -> str:
    """The heading of a part of the page."""
    return f'.SH "{escaped(title)}"'


def subsection(title: str) -> str:
    """A heading within a section."""
    return f'.SS "{escaped(title)}"'


def item(tag: str, text: str) -> Iterator[str]:
    """A paragraph with a tag that is roff already."""
    yield from (".TP", tag, line(text))


def paragraph(text: str) -> Iterator[str]:
    """One that is filled, whatever lines it had."""
    yield from (".PP", line(" ".join(text.split())))


def as_it_is(lines: Iterable[str]) -> Iterator[str]:
    """Lines that stay lines, such as commands."""
    yield from (".PP", ".nf", *map(line, lines), ".fi")


def raw_text(text: str) -> Iterator[str]:
    """A text that was laid out for a terminal: what has a heading or is indented stays as it is, the rest is filled."""
    for block in text.strip("\n").split("\n\n"):
        rows = block.split("\n")
        if len(rows) > 1 and rows[0].endswith(":") and not rows[0].startswith(" "):
            yield from (".PP", bold(rows[0]), ".nf", *map(line, rows[1:]), ".fi")
        elif any(row.startswith(" ") for row in rows):
            yield from as_it_is(rows)
        else:
            yield from paragraph(block)
