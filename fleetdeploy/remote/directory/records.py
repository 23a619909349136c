"""The release record as it lies on a host, ``releases/<id>.json``, and the history of releases beside the records."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict

from fleetdeploy.domain.observed import ProvenRelease, RecordedVersion, Release

_TEXTS = ("id", "service", "run", "config_text")
_OPTIONAL_TEXTS = ("took_back", "bind", "config_shown")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


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
    if not all(isinstance(found.get(name, ""), str) for name in _OPTIONAL_TEXTS):
        raise ValueError("the release record holds something else than text in one of " + ", ".join(_OPTIONAL_TEXTS))
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
        contents=_contents(found),
        **{name: found[name] for name in _OPTIONAL_TEXTS if name in found},
    )


def history_line(release: Release) -> str:
    """What the history keeps of a release: one line of ASCII, without its end."""
    models = {model: list(numbers) for model, numbers in release.models.items()}
    return json.dumps({"id": release.id, "models": models, "took_back": release.took_back}, separators=(",", ":"))


def history_from_text(text: str) -> tuple[tuple[ProvenRelease, ...], int]:
    """The releases of a history, oldest first, and how many of its lines mean nothing. Never raises."""
    found, damaged = list[ProvenRelease](), 0
    for line in filter(str.strip, text.split("\n")):
        try:
            found.append(_proven(json.loads(line)))
        except (ValueError, RecursionError):
            damaged += 1
    return tuple(found), damaged


def _proven(found: object) -> ProvenRelease:
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004  one kind of error for the caller
    identity, took_back = found.get("id"), found.get("took_back", "")
    if not isinstance(identity, str) or not _ID.fullmatch(identity) or not isinstance(took_back, str):
        raise ValueError("no release id")
    models = _mapping(found, "models")
    if not all(isinstance(numbers, list) for numbers in models.values()):
        raise ValueError("no versions")
    return ProvenRelease(identity, {name: tuple(map(_number, numbers)) for name, numbers in models.items()}, took_back)


def _contents(found: Mapping[str, object]) -> dict[str, dict[int, RecordedVersion]]:
    by_model = _mapping(found, "contents") if "contents" in found else {}
    return {
        model: {_numeral(number): _content(versions, number) for number in versions}
        for model in by_model
        for versions in (_mapping(by_model, model),)
    }


def _content(versions: Mapping[str, object], number: str) -> RecordedVersion:
    found = _mapping(versions, number)
    digest = found.get("manifest_digest")
    if not isinstance(digest, str):
        raise ValueError("the release record lacks the digest of a version's manifest")  # noqa: TRY004
    return RecordedVersion(digest, _number(found.get("size_bytes")))


def _mapping(found: Mapping[str, object], name: str) -> dict[str, list[object]]:
    value = found.get(name)
    if not isinstance(value, dict):
        raise ValueError(f"the release record's {name} is not an object")  # noqa: TRY004  one kind of error for the caller
    return value


def _numeral(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"the release record holds {text!r} where a version number belongs")
    return int(text)


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"the release record holds {value!r} where a version number belongs")  # noqa: TRY004
    return value
