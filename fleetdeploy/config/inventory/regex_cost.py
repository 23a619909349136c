"""How many ways a regular expression has to match one name, before it is used.

Python's ``re`` tries them one after the other when the last one fails, and cannot be interrupted: ``~(a+)+$`` takes
years for a name of 60 letters. The count here is what a name of ``_NAME`` letters allows at the worst. Expressions
that have nested repetitions are refused by it, those that people write for names are not.
"""

from __future__ import annotations

import math
import re

_NAME = 64
MOST_WAYS = 32_000_000
"""Four repetitions without an end, one after the other; a fifth is refused."""
_DEEPEST = 50
_REPEAT = re.compile(r"[*+?]|\{(?P<least>[0-9]*)(?P<comma>,)?(?P<most>[0-9]*)\}")
_GROUP = re.compile(r"\(\?(?:P<\w+>|<?[=!]|[aiLmsux-]*:|>)")
_FLAGS = re.compile(r"\(\?(?:[aiLmsux-]+|#[^)]*)\)")
_SET = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_BACKREFERENCE = re.compile(r"\\[1-9]|\(\?P=|\(\?\(")


class Costly(ValueError):
    """An expression that may never come to an end; the text says why."""


def check_regex(text: str) -> None:
    """Raise Costly for an expression, known to be valid, that may take too long for a name."""
    ways, end = _alternatives(text, 0, 0)
    if end < len(text):
        raise Costly("it cannot be judged")
    if ways > MOST_WAYS:
        raise Costly("it has more repetitions in a row, or in alternatives, than come to an end")


def _alternatives(text: str, at: int, depth: int) -> tuple[float, int]:
    """The ways of what begins ``at``, and where it ends: behind the text, or at a closing bracket."""
    if depth > _DEEPEST:
        raise Costly(f"more than {_DEEPEST} brackets in brackets")
    total, ways = 0.0, 1.0
    while at < len(text) and text[at] != ")":
        if text[at] == "|":
            total, ways, at = total + ways, 1.0, at + 1
            continue
        inner, at = _atom(text, at, depth)
        while (found := _quantifier(text, at)) is not None:
            inner, at = _repeated(inner, found), found.end()
        ways *= inner
    return total + ways, at


def _atom(text: str, at: int, depth: int) -> tuple[float, int]:
    if _BACKREFERENCE.match(text, at):
        raise Costly("it refers back to what it has matched")
    if text[at] == "\\":
        return 1.0, at + 2
    if (found := _FLAGS.match(text, at) or _SET.match(text, at)) is not None:
        return 1.0, found.end()
    if text[at] != "(":
        return 1.0, at + 1
    begun = _GROUP.match(text, at)
    ways, end = _alternatives(text, begun.end() if begun else at + 1, depth + 1)
    return ways, end + 1


def _quantifier(text: str, at: int) -> re.Match[str] | None:
    found = _REPEAT.match(text, at)
    if found is None or found[0] in {"*", "+", "?"}:
        return found
    return found if found["least"] or found["comma"] else None  # `{}` stands for itself


def _repeated(ways: float, quantifier: re.Match[str]) -> float:
    """The ways of something with ``ways`` of its own that is repeated."""
    if quantifier[0] == "?":
        return ways + 1
    word = quantifier[0] in {"*", "+"}
    least = int(quantifier["least"] or 0) if not word else 0
    endless = word or (bool(quantifier["comma"]) and not quantifier["most"])
    most = _NAME if endless else min(int(quantifier["most"] or least), _NAME)
    least = min(least, most)
    if ways == 1:
        return float(most - least + 1)
    if endless:
        raise Costly("a repetition stands in a repetition, or alternatives do")
    return math.inf if most * math.log10(ways) > 15 else sum(ways**count for count in range(least, most + 1))
