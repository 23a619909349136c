"""Text of others on a terminal: what a terminal would obey is shown as an escape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text


def safe(text: str) -> str:
    """The text with escapes for whatever is not printable, such as an ESC or a newline; a tab stays."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char == "\t" else char.encode("unicode_escape").decode() for char in text
    )


def safe_line(line: Text) -> Text:
    """The line, as it is where it is printable; else with escapes and in the style of the whole line."""
    plain = safe(line.plain)
    return line if plain == line.plain else Text(plain, style=line.style)


def safe_lines(lines: Iterable[Text]) -> Iterator[Text]:
    """Each of the lines on one line of the terminal."""
    return map(safe_line, lines)
