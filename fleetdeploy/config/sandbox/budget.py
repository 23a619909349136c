"""What one rendering may take, counted in steps.

A step is about a microsecond of work, or 64 bytes of a value. Counting says the same on every machine and in every
thread; a clock would not, and a limit of the process (``RLIMIT_AS``) would fail whatever else is going on in it.
Whatever a template does is counted *before* it is done or bounded by the size of what is at hand, as nothing can stop
one long operation inside Python itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from jinja2.exceptions import SecurityError

STEPS: Final = 1_000_000
"""Of one rendering, with everything that it renders in turn: some seconds and about 128 MiB at the very most."""
ORDINARY: Final = 20_000
"""Of one rendering, that no total counts: a large fleet has many renderings, and small ones come to an end."""
TOTAL: Final = 60 * STEPS
"""Of all renderings for one command, beyond what is ordinary: about a minute or two."""
MOST_TEXT: Final = 1024 * 1024
"""Characters of one text."""
MOST_ITEMS: Final = 100_000
"""Items of one value, those of inner lists and mappings included, and as often as they stand in it."""
_MOST_BITS: Final = 1024
_CHARACTERS_A_STEP: Final = 16


class TooMuch(SecurityError):
    """A template that takes more work or memory than one may."""


class Total:
    """What many renderings may take together: an expression that takes a second takes half an hour on 2,000 hosts."""

    def __init__(self, steps: int = TOTAL) -> None:
        self.left = steps


class _Budget:
    __slots__ = ("left", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self.left = most


_current: ContextVar[_Budget] = ContextVar("budget of the rendering")


@contextmanager
def rendering(total: Total | None = None) -> Iterator[None]:
    """What is evaluated inside has ``STEPS`` together; a rendering inside another one has what that one has left.

    What it takes beyond ``ORDINARY`` is taken from ``total``, and ends when nothing is left there.
    """
    if _current.get(None) is not None:
        yield
        return
    budget = _Budget(STEPS if total is None else min(STEPS, ORDINARY + total.left))
    token = _current.set(budget)
    try:
        yield
    finally:
        _current.reset(token)
        if total is not None:
            total.left = max(0, total.left - max(0, budget.most - budget.left - ORDINARY))


def spend(steps: int) -> bool:
    """Count ``steps``. Raises TooMuch when there are not that many left, LookupError outside of a rendering."""
    budget = _current.get()
    budget.left -= steps
    if budget.left < 0:
        if budget.most < STEPS:
            raise TooMuch(f"more than {TOTAL:,} steps of work for all hosts together")
        raise TooMuch(f"more than {STEPS:,} steps of work")
    return True


def weigh(value: Any) -> int:
    """The steps that it takes to look at all of ``value`` once. Raises TooMuch for one that is too large.

    A list that stands in another one twice counts twice, as it does for whoever compares, sorts or prints it. Only
    what templates are made of is looked into: a mapping that opens secrets stays as it is.
    """
    total, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        total += 1
        if isinstance(item, str):
            total += _weight_of_text(len(item))
        elif isinstance(item, int):
            if item.bit_length() > _MOST_BITS:
                raise TooMuch("a number of more than 300 digits")
        elif isinstance(item, (list, tuple, set, frozenset)):
            check_items(total + len(waiting) + len(item))
            waiting.extend(item)
        elif isinstance(item, dict):
            check_items(total + len(waiting) + 2 * len(item))
            waiting.extend(item.keys())
            waiting.extend(item.values())
        elif isinstance(item, range):
            total += len(item)
    check_items(total)
    return total


def check_items(count: int) -> None:
    """Raise TooMuch for a value of that many items."""
    if count > MOST_ITEMS:
        raise TooMuch(f"a value of more than {MOST_ITEMS:,} items")


def check_text(length: int) -> None:
    """Raise TooMuch for a text of that many characters."""
    if length > MOST_TEXT:
        raise TooMuch(f"a text of more than {MOST_TEXT:,} characters")


def weight_of_text(length: int) -> int:
    """The steps of one text."""
    return 1 + _weight_of_text(length)


def _weight_of_text(length: int) -> int:
    check_text(length)
    return length // _CHARACTERS_A_STEP


def counted(items: Iterator[Any]) -> list[Any]:
    """What an iterator gives, as a list of a bearable size."""
    found: list[Any] = []
    for item in items:
        spend(1)
        check_items(len(found))
        found.append(item)
    return found
