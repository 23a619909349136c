"""Jinja2's filters and tests, each of which is counted, and refused before it builds something huge."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import Undefined

from fleetdeploy.config.sandbox.budget import TooMuch, check_items, check_text, counted, spend, weigh

Function = Callable[..., Any]
_MOST_WIDTH = 1000
_MOST_DIGITS = 20


def bounded(name: str, function: Function) -> Function:
    """The filter or test with its arguments and its result counted; what gives items one by one gives a list."""
    refuse = _GROWING.get(name)
    # The first argument of these is the template's context or the environment.
    skipped = 1 if hasattr(function, "jinja_pass_arg") else 0

    @functools.wraps(function)
    def run(*arguments: Any, **named: Any) -> Any:
        given = [_at_hand(item) for item in arguments[skipped:]]
        named = {key: _at_hand(item) for key, item in named.items()}
        spend(2 + sum(map(weigh, given)) + sum(map(weigh, named.values())))
        if refuse is not None and given:
            refuse(*given, **named)
        result = _at_hand(function(*arguments[:skipped], *given, **named))
        spend(weigh(result))
        return result

    return run


def _at_hand(value: Any) -> Any:
    return counted(value) if isinstance(value, Iterator) else value


def _length(value: Any) -> int:
    """Characters of a value as text, not less than there will be for a text or a number."""
    return len(value) if isinstance(value, str) else 310


def check_join(items: Any, separator: Any = "", **_: Any) -> None:
    """For ``items | join(separator)`` and ``separator.join(items)``."""
    if isinstance(items, str):
        check_text(len(items) * (1 + _length(separator)))
    elif isinstance(items, Iterable) and not isinstance(items, (Undefined, Mapping)):
        found = list(items)
        length = sum(len(item) if isinstance(item, str) else weigh(item) * 16 for item in found)
        check_text(length + len(found) * (_length(separator) if separator else 0))


def check_replace(text: Any, old: Any = "", new: Any = "", count: Any = None, **_: Any) -> None:
    """For the filter and for the method."""
    if not isinstance(old, (str, int, float)) or isinstance(text, Undefined):
        return
    text, old = str(text), str(old)
    found = text.count(old)
    if isinstance(count, int) and count >= 0:
        found = min(found, count)
    check_text(len(text) + found * max(_length(new) - len(old), 0))


def _check_indent(text: Any, width: Any = 4, *_: Any, **__: Any) -> None:
    if isinstance(text, str):
        lines = 1 + len(text.splitlines())
        check_text(len(text) + lines * (width if isinstance(width, int) else _length(width)))


def _check_batch(_: Any, linecount: Any, *__: Any, **___: Any) -> None:
    if isinstance(linecount, int):
        check_items(linecount)


def _check_round(_: Any, precision: Any = 0, *__: Any, **___: Any) -> None:
    if isinstance(precision, int) and abs(precision) > _MOST_DIGITS:
        raise TooMuch(f"rounding to more than {_MOST_DIGITS} digits")


def _check_int(text: Any, *_: Any, **__: Any) -> None:
    if isinstance(text, str) and len(text) > _MOST_WIDTH:
        raise TooMuch(f"a number of more than {_MOST_WIDTH} characters")


def _check_list(value: Any, *_: Any, **__: Any) -> None:
    if isinstance(value, str):
        check_items(len(value))


def _check_sum(_: Any, __: Any = None, start: Any = 0, **___: Any) -> None:
    # Of lists it would copy every one of them again and again.
    if not isinstance(start, (int, float)):
        raise TooMuch("`sum` is for numbers")


_GROWING: Mapping[str, Callable[..., None]] = {
    "batch": _check_batch,
    "float": _check_int,
    "indent": _check_indent,
    "int": _check_int,
    "join": check_join,
    "list": _check_list,
    "replace": check_replace,
    "round": _check_round,
    "slice": _check_batch,
    "sort": _check_list,
    "sum": _check_sum,
    "unique": _check_list,
}
