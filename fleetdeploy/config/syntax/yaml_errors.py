"""What a YAML parser complains about, said so that a person finds the place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import Problem

UNQUOTED_TEMPLATE = "`{{ ... }}` without quotes is read as a mapping, not as text"
_TEMPLATE_START = re.compile(r"""(?:^|[:,\-\[])\s*\{\{""")


@dataclass
class Unfinished:
    """What was open when the parser gave up: brackets, and the last quoted text that spans several lines, which is
    often one whose end was forgotten.
    """

    brackets: list[tuple[str, Origin]] = field(default_factory=list)
    long_quote: Origin | None = None


def explain(error: yaml.MarkedYAMLError, text: str, *, file: str, unfinished: Unfinished) -> Problem:
    """The problem behind a scanner's or parser's error."""
    place = _origin(error.problem_mark or error.context_mark, file)
    opened = _origin(error.context_mark, file) if error.context_mark else place
    context = error.context or ""
    lines = text.splitlines()
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return Problem("a tab is used for indentation; tabs are not allowed there", str(place), "indent with spaces")
    if "quoted scalar" in context:
        return Problem("the quote opened here is never closed", str(opened), "close the quote")
    if _TEMPLATE_START.search(line):
        return Problem(UNQUOTED_TEMPLATE, str(place), 'put the whole value in quotes: "{{ name }}/rest"')
    if unfinished.brackets and ("while parsing a flow" in context or place.line > len(lines)):
        bracket, opened = unfinished.brackets[-1]
        missing = "" if place.line > len(lines) else f", or a comma is missing before line {place.line}"
        return Problem(f"the `{bracket}` opened here is not closed{missing}", str(opened), "close the bracket")
    long_quote = unfinished.long_quote
    if long_quote is not None and "expected" in str(error.problem):
        return Problem(
            f"not valid YAML here; the quote opened at line {long_quote.line}, column {long_quote.column} "
            "runs over several lines",
            str(place),
            "is that quote closed where it should be?",
        )
    return Problem(f"not valid YAML: {error.problem or context}", str(place), _hint(str(error.problem), context))


def explain_character(error: yaml.reader.ReaderError, text: str, *, file: str) -> Problem:
    """A character that YAML does not allow anywhere, such as a NUL."""
    code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
    place = _place(text, text.find(chr(code)), file)
    return Problem(f"the control character U+{code:04X} is not allowed", place, "remove it")


def explain_surrogate(error: UnicodeEncodeError, text: str, *, file: str) -> Problem:
    """Half a character: what stands in a text for a byte of the command line that is not UTF-8."""
    place = _place(text, error.start, file)
    return Problem(f"U+{ord(text[error.start]):04X} is no character that can be written", place, "write it as UTF-8")


def _place(text: str, position: int, file: str) -> str:
    before = text[: max(position, 0)]
    return str(Origin(file, before.count("\n") + 1, len(before) - before.rfind("\n")))


def _origin(mark: yaml.Mark | None, file: str) -> Origin:
    return Origin(file, mark.line + 1, mark.column + 1) if mark else Origin(file)


def _hint(problem: str, context: str) -> str:
    if "alias" in context or "anchor" in context:
        return "quote the value if a text that starts with * or & is meant"
    if "mapping values are not allowed" in problem:
        return "a text that holds `: ` needs quotes; or check the indentation of this line and the one above"
    if "cannot start any token" in problem:
        return "a text that starts with @, ` or % needs quotes"
    if "tag" in context:
        return "a text that starts with ! needs quotes"
    return "check the indentation and the quotes of this line and the one above"
