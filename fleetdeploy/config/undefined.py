"""What expressions and templates say of a name that is not there: where it was looked for, and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from jinja2 import StrictUndefined, UndefinedError
from jinja2.utils import missing

from fleetdeploy.config.secrets.sealed import Sealed


class NotThere(UndefinedError):
    """``name`` is not in the mapping at ``path``, which has ``known``; ``path`` is empty where nobody can tell it."""

    def __init__(self, message: str, name: str, path: str, known: tuple[str, ...]) -> None:
        super().__init__(message)
        self.name = name
        self.path = path
        self.known = known


class Missing(StrictUndefined):
    """Jinja2's strict undefined, in words for whoever wrote the inventory."""

    __slots__ = ()

    def __init__(
        self, hint: str | None = None, obj: Any = missing, name: Any = None, exc: Any = UndefinedError
    ) -> None:
        if hint is None and obj is not missing and exc is UndefinedError:
            path = getattr(obj, "_path", "")
            path = path if isinstance(path, str) else ""
            what = path or ("null" if obj is None else kind_of(obj))
            hint = f"{what} has no {name!r}" if isinstance(name, str) else f"{what} has no item {name!r}"
            known = tuple(key for key in obj if isinstance(key, str)) if isinstance(obj, Mapping) else ()
            exc = partial(NotThere, name=str(name), path=path, known=known)
        super().__init__(hint, obj, name, exc)


def kind_of(value: object) -> str:
    """What a value is, for a message that does not show it."""
    if isinstance(value, Sealed):
        return "a secret"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    return "nothing (null)" if value is None else f"a {type(value).__name__}"
