"""The release record as it lies on a host: ``releases/<id>.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

from fleetdeploy.domain.observed import Release

_TEXTS = ("id", "service", "run", "config_text")


def release_to_json(release: Release) -> str:
    """The record as JSON a person can read, keys sorted."""
    return json.dumps(asdict(release), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def release_from_json(text: str) -> Release:
    """Read a record back. Raises ValueError, with what is wrong, for anything that is not one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the release record is not JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(found.get(name), str) for name in _TEXTS):
        raise ValueError("the release record lacks one of " + ", ".join(_TEXTS))
    return Release(
        id=found["id"],
        service=found["service"],
        run=found["run"],
        models={model: tuple(map(_number, numbers)) for model, numbers in _mapping(found, "models").items()},
        labels={
            model: {label: _number(number) for label, number in _mapping(labels, model).items()}
            for labels in (_mapping(found, "labels"),)
            for model in labels
        },
        config_text=found["config_text"],
        container=_mapping(found, "container"),
    )


def _mapping(found: Mapping[str, object], name: str) -> dict[str, list[object]]:
    value = found.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"the release record's {name} is not an object")  # noqa: TRY004  one kind of error for the caller
    return value


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"the release record holds {value!r} where a version number belongs")  # noqa: TRY004
    return value
