"""Expressions of inventories and conditions: a sandbox with the filters that put names together, and nothing that
builds much.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined

from fleetdeploy.config.sandbox.environment import CountingSandbox

_FILTERS = frozenset({
    "abs", "capitalize", "count", "d", "default", "first", "float", "int", "join", "last", "length", "list", "lower",
    "max", "min", "replace", "reverse", "round", "sort", "string", "sum", "title", "trim", "unique", "upper",
})  # fmt: skip


class NoValue(Exception):
    """An expression that gives no value; the text says why, ``hint`` what to do, ``where`` which one, if known."""

    def __init__(self, message: str, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.hint = hint
        self.where = where


class Expressions(CountingSandbox):
    """The sandbox with strict undefined, the filters that put names together, and nothing that builds much."""

    def __init__(self) -> None:
        super().__init__(_FILTERS, undefined=StrictUndefined, autoescape=False)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        small = all(isinstance(item, (int, float)) and abs(item) < 10**6 for item in (left, right))
        if operator == "**" or (operator in {"*", "%"} and not small):
            raise NoValue(f"`{operator}` is for small numbers here", "write the value itself")
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Methods of texts and numbers are not needed: filters do that."""
        return isinstance(obj, Mapping) and not callable(value) and super().is_safe_attribute(obj, attr, value)
