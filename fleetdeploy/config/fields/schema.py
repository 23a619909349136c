"""From a mapping to a typed object, with all problems at once, each with its place, value and a hint.

The rules are pydantic models (strict, no unknown keys, frozen). What pydantic reports is said here in the words of the
file: the key as a dotted path, the value as it was written, and what was expected.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from fleetdeploy.config.fields.misspelt import MISSING, UNKNOWN, Loc, less_misspelt
from fleetdeploy.config.syntax.nodes import (
    ListNode,
    MapNode,
    Node,
    Placed,
    Scalar,
    find,
    from_python,
    key_origin_of,
    origin_of,
)
from fleetdeploy.config.syntax.refusal import NotA, Refused, Several
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import InputError, Problem

M = TypeVar("M", bound=BaseModel)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_BOUNDS = (
    ("greater_than_equal", "small", "ge", "at least"),
    ("greater_than", "small", "gt", "more than"),
    ("less_than_equal", "large", "le", "at most"),
    ("less_than", "large", "lt", "less than"),
)
_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}


def validate(model: type[M], value: Node | Mapping[str, object], *, what: str = "", origin: Origin | None = None) -> M:
    """``value`` as a ``model``. Raises InputError with every problem.

    ``value`` is a node, or a mapping; a mapping that came from a playbook (:class:`Placed`) knows its places. ``what``
    stands in front of every key in messages, ``origin`` is the place for values that have none.
    """
    problems: list[Problem] = []
    result = check(model, value, problems, what=what, origin=origin)
    if result is None:
        raise InputError(problems=problems)
    return result


def check(
    model: type[M],
    value: Node | Mapping[str, object],
    problems: list[Problem],
    *,
    what: str = "",
    origin: Origin | None = None,
) -> M | None:
    """Like :func:`validate`, but problems are appended to ``problems`` and None is returned when there are any."""
    node = _as_node(value, origin or Origin(what))
    noted = dict(_readings(node, ()))
    result = None
    try:
        result = model.model_validate(_for_pydantic(node))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            for loc, problem in _explain(detail, model, node):
                noted.setdefault(loc, problem)
    if not noted:
        return result
    for loc, problem in less_misspelt(noted):
        path = dotted((what, *loc))
        found = find(node, loc)
        if isinstance(found, Scalar) and isinstance(found.value, Secret):
            hint = "`environment` and templates may hold secrets; write the value itself here"
            problems.append(Problem(f"{path}: a secret cannot stand here", str(found.origin), hint))
            continue
        where = problem.where or str(origin_of(node, loc) if find(node, loc) else key_origin_of(node, loc))
        problems.append(Problem(f"{path}: {problem.message}" if path else problem.message, where, problem.hint))
    return None


def dotted(path: tuple[str | int, ...]) -> str:
    """``services.ranking.models.ranker.versions[0]``; the first step is a title and stands as it is."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step and (not text or _PLAIN_KEY.fullmatch(step)):
            text += f".{step}"
        elif text:
            text += f"[{step[:80]!r}]"
    return text.removeprefix(".")


def shown(node: Node | None) -> str:
    """A value for a message: as it was written, and as what it was read when that is a surprise."""
    if isinstance(node, ListNode):
        return "a list"
    if isinstance(node, MapNode):
        return "a mapping"
    if node is None or node.is_null:
        return "nothing"
    raw = node.raw if len(node.raw) <= 80 else f"{node.raw[:80]}..."
    if isinstance(node.value, str):
        return repr(raw)
    reading = read_as(node)
    return f"{raw} (read as {reading})" if reading else raw


def read_as(node: Scalar) -> str:
    """What an unquoted word was taken for, when that is not what it looks like."""
    value = node.value
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}" if node.raw.lower() != str(value).lower() else "a boolean"
    if node.surprising:
        return f"the number {value}"
    if isinstance(value, float):
        return f"the number {value}" if node.raw != str(value) else "a number"
    if isinstance(value, dt.date):
        return "a date"
    return ""


def _as_node(value: Node | Mapping[str, object], origin: Origin) -> Node:
    if isinstance(value, (Scalar, ListNode, MapNode)):
        return value
    return value.node if isinstance(value, Placed) else from_python(value, origin)


def _readings(node: Node, loc: Loc) -> Iterator[tuple[Loc, Problem]]:
    """What the file's own text makes unusable, whatever the field: odd numbers, odd keys, templates."""
    if isinstance(node, ListNode):
        for index, item in enumerate(node.items):
            yield from _readings(item, (*loc, index))
    elif isinstance(node, MapNode):
        for entry in node:
            key = entry.key
            if not isinstance(key.value, str):
                reading = read_as(key) or "a number"
                yield (*loc, key.raw), Problem(f"the key {key.raw} is read as {reading}", str(key.origin), _quote(key))
            yield from _readings(entry.value, (*loc, key.raw))
    elif node.surprising:
        hint = f"write it in plain decimal, or in quotes if text is meant: {_quoted(node)}"
        yield loc, Problem(f"{node.raw} is read as the number {node.value}", str(node.origin), hint)
    elif isinstance(node.value, str) and ("{{" in node.value or "{%" in node.value):
        yield (
            loc,
            Problem(
                f"{shown(node)} is a template; templates are not rendered here",
                str(node.origin),
                "write the value itself",
            ),
        )


def _for_pydantic(node: Node) -> object:
    if isinstance(node, ListNode):
        return [_for_pydantic(item) for item in node.items]
    if isinstance(node, MapNode):
        return {entry.key.raw: _for_pydantic(entry.value) for entry in node}
    if isinstance(node.value, float) and node.raw != str(node.value):
        return _Unclear()
    return node.value


class _Unclear:
    """Stands for a number such as 1.10 whose text would be lost; no field accepts it."""


def _explain(detail: ErrorDetails, model: type[BaseModel], node: Node) -> Iterator[tuple[Loc, Problem]]:
    """What one of pydantic's errors means, at which path."""
    kind, loc = detail["type"], tuple(detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    is_key = bool(loc) and loc[-1] == "[key]"
    loc = loc[:-1] if is_key else loc
    if isinstance(cause, (Refused, Several)):
        for part in cause.parts if isinstance(cause, Several) else (cause,):
            yield (*loc, *part.at), _refusal(part, node, (*loc, *part.at), is_key=is_key)
    elif kind == "extra_forbidden":
        hint = _elsewhere(model, loc) or hint_for(str(loc[-1]), _keys_at(model, loc[:-1]), what="keys here", most=24)
        yield loc, Problem(UNKNOWN, str(key_origin_of(node, loc)), hint)
    elif kind == "missing":
        yield loc, Problem(MISSING, str(_owner(node, loc)), _description(model, loc))
    else:
        yield loc, _mismatch(detail, find(node, loc), _description(model, loc))


def _refusal(part: Refused, node: Node, loc: Loc, *, is_key: bool) -> Problem:
    if is_key:
        return Problem(f"{str(loc[-1])[:80]!r} is {part.message}", str(key_origin_of(node, loc)), part.hint)
    found = find(node, loc)
    if isinstance(found, Scalar) and found.is_null:
        return Problem("the value is missing", "", part.hint)
    if isinstance(part, NotA):
        return Problem(f"{shown(found)} is {part.message}", "", part.hint)
    return Problem(part.message, "", part.hint)


def _mismatch(detail: ErrorDetails, found: Node | None, description: str) -> Problem:
    if isinstance(found, Scalar) and found.is_null:
        return Problem("the value is missing", "", "write a value after the key, or remove the key")
    expected = _EXPECTED.get(detail["type"], "")
    if expected == "text" and isinstance(found, Scalar):
        return Problem(f"{shown(found)} where text is expected", "", _quote(found))
    if expected:
        return Problem(f"expected {expected}, got {shown(found)}", "", description)
    if detail["type"] in {"literal_error", "enum"}:
        allowed = str(detail.get("ctx", {}).get("expected", "")).replace("'", "").replace(" or ", ", ").split(", ")
        text = found.raw if isinstance(found, Scalar) else ""
        return Problem(f"{shown(found)} is not allowed", "", hint_for(text, allowed, what="allowed"))
    if detail["type"] in {"too_short", "string_too_short"}:
        message = "at least one is needed" if detail["type"] == "too_short" else "the text is empty"
        return Problem(message, "", description)
    for kind, size, bound, word in _BOUNDS:
        if detail["type"] == kind:
            hint = f"expected {word} {detail['ctx'][bound]}; {description}"
            return Problem(f"{shown(found)} is too {size}", "", hint)
    return Problem(f"{shown(found)} cannot be used", "", description)


def _quoted(node: Scalar) -> str:
    return f'"{node.raw}"'


def _quote(node: Scalar) -> str:
    return f"quote it: {_quoted(node)}"


def _owner(node: Node, loc: Loc) -> Origin:
    """The place of the key that holds the mapping in which something is missing."""
    return key_origin_of(node, loc[:-1]) if len(loc) > 1 else node.origin


def _elsewhere(model: type[BaseModel], loc: Loc) -> str:
    """What a model's own table ``elsewhere`` says to do instead of a key that it has not."""
    known: Mapping[str, str] = getattr(_model_at(model, loc[:-1]), "elsewhere", {})
    return known.get(str(loc[-1]), "")


def _keys_at(model: type[BaseModel], loc: Loc) -> list[str]:
    found = _model_at(model, loc)
    return [field.alias or name for name, field in found.model_fields.items()] if found else []


def _description(model: type[BaseModel], loc: Loc) -> str:
    owner = _model_at(model, loc[:-1]) if loc else None
    field = _field(owner, loc[-1]) if owner else None
    return f"`{loc[-1]}`: {field.description}" if field and field.description else ""


def _model_at(model: type[BaseModel], loc: Loc) -> type[BaseModel] | None:
    """The model whose keys stand at ``loc``."""
    current: Any = model
    for step in loc:
        if isinstance(current, type) and issubclass(current, BaseModel):
            field = _field(current, step)
            current = _bare(field.annotation) if field else None
        elif get_origin(current) in {dict, list, tuple}:
            current = _bare(get_args(current)[-1 if get_origin(current) is dict else 0])
        else:
            return None
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _field(model: type[BaseModel], key: Any) -> FieldInfo | None:
    """What stands in a file under ``key``: of some fields that is an alias."""
    return next((field for name, field in model.model_fields.items() if (field.alias or name) == key), None)


def _bare(annotation: Any) -> Any:
    """An annotation without ``Annotated`` and ``| None``."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    rest = [item for item in get_args(annotation) if item is not type(None)]
    if len(rest) == 1 and type(None) in get_args(annotation):
        return _bare(rest[0])
    return annotation
