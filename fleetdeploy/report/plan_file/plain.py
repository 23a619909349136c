"""What a run was made of as plain JSON values, whatever dataclass or model it stands in. No secret is among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from pathlib import PurePath
from urllib.parse import urlsplit

from pydantic import BaseModel

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.secret import Secret
from fleetdeploy.planning.container import shown_environment


def plain(value: object, *, without: Collection[str] = ()) -> object:
    """The value as JSON knows it. Fields named in ``without``, and where something was written, are left out.

    Another host is told by its name, a secret by ``<secret>``.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, (str, Secret)):
        return str(value.value) if isinstance(value, Enum) else str(value)
    if isinstance(value, Host):
        return value.name
    if isinstance(value, BaseModel):
        return {name: _field(name, getattr(value, name)) for name in type(value).model_fields}
    if is_dataclass(value) and not isinstance(value, type):
        named = {item.name: getattr(value, item.name) for item in fields(value) if item.name not in without}
        return {name: _field(name, item) for name, item in named.items() if not isinstance(item, Origin)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    # Anything else by its kind alone: what Python makes a text of may be another one in each process.
    return str(value) if isinstance(value, (PurePath, date)) else type(value).__name__


def digest(value: object) -> str:
    """SHA-256 of a value as JSON with sorted keys: 64 hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _field(name: str, value: object) -> object:
    """Masked by its name: variables of an environment as a plan shows them, of a web address all but its host.

    Whoever knows a webhook's address may post to it.
    """
    if name == "environment" and isinstance(value, Mapping):
        return dict(shown_environment({str(key): str(item) for key, item in value.items()}))
    if name == "url" and isinstance(value, str):
        return urlsplit(value).hostname or ""
    return plain(value)
