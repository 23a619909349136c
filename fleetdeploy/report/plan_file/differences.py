"""Two plans held against each other: every difference by its place, alike hosts together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.report.wording import counted

KEYS: Mapping[str, str] = {"changes": "what", "entries": "name"}
"""Lists, by their key, of mappings that are known by one of their values, and not by where they stand in the list."""
ROWS = 19
"""As many as an error shows with one more that counts the rest."""
NAMES = 3
HOSTS = "hosts"
_WIDTH = 60
_NOTHING = object()
_RELEASE = re.compile(r"(?P<time>\S+)-(?P<content>[0-9a-f]{12})")
_DIGEST = re.compile(r"(?:sha256:)?[0-9a-f]{40,64}")

Place = tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """One place where two documents differ, with both values as they are shown; no host's has an empty ``host``.

    ``place`` holds keys from the host, or from the top, to the value; an index of a list counts from 1, as ``#2``,
    where what stands in it has no name.
    """

    host: str
    place: Place
    before: str
    after: str
    masked: bool = False
    """Whether a secret was taken out of the first value."""

    @property
    def where(self) -> str:
        return ".".join(self.place).replace(".#", " #")


def differences(before: object, after: object) -> tuple[Difference, ...]:
    """Every place where two documents differ: hosts' before others, by place. Of a release's id its content counts."""
    found = []
    for path, one, other in _walk((), before, after):
        inner = len(path) > 1 and path[0] == HOSTS
        host, place = (path[1], path[2:]) if inner else ("", path)
        before, after = (
            "(there)" if inner and not place and item is not _NOTHING else shown(item) for item in (one, other)
        )
        found.append(Difference(host, place, before, after, _masked(one)))
    return tuple(sorted(found, key=lambda item: (not item.host, item.place, item.host)))


def rows(found: Sequence[Difference], *, most: int = ROWS) -> list[str]:
    """One line for each place and values, with the hosts that are alike in it; at most ``most``, then how many more."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for item in found:
        alike.setdefault((item.where, item.before, item.after), []).append(item.host)
    lines = [
        f"{' '.join(filter(None, (_names(hosts), where))) or 'all of it'}: {before} -> {after}"
        for (where, before, after), hosts in alike.items()
    ]
    rest = len(lines) - most
    return [*lines[:most], f"and {rest} more"] if rest > 0 else lines


def shown(value: object) -> str:
    """A value in a row: digests and long texts are cut."""
    if value is _NOTHING or value is None or value == "":
        return "(not there)" if value is _NOTHING else "(none)"
    if isinstance(value, str):
        text = value if _DIGEST.fullmatch(value) is None else f"{value.removeprefix('sha256:')[:12]}"
    elif isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        text = f"[{', '.join(map(str, value))}]"
    else:
        text = json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."


def _walk(path: Place, one: object, other: object) -> Iterator[tuple[Place, object, object]]:
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        for key in dict.fromkeys((*one, *other)):
            yield from _walk((*path, str(key)), one.get(key, _NOTHING), other.get(key, _NOTHING))
    elif _of_mappings(one) and _of_mappings(other):
        assert isinstance(one, list)
        assert isinstance(other, list)
        known = [_by_key(path, items) for items in (one, other)]
        if None not in known:
            yield from _walk(path, *known)
            return
        for number in range(max(len(one), len(other))):
            sides = (item[number] if number < len(item) else _NOTHING for item in (one, other))
            yield from _walk((*path, f"#{number + 1}"), *sides)
    elif not _same(path, one, other):
        yield path, one, other


def _masked(value: object) -> bool:
    if isinstance(value, Mapping):
        return any(map(_masked, value.values()))
    return any(map(_masked, value)) if isinstance(value, list) else isinstance(value, str) and SHOWN in value


def _by_key(path: Place, items: Sequence[Mapping[str, object]]) -> Mapping[str, object] | None:
    """A list as a mapping, where each item is known by a text of its own."""
    key = KEYS.get(path[-1]) if path else None
    names = [item.get(key) for item in items] if key else []
    if not names or len(set(map(str, names))) < len(names) or not all(isinstance(name, str) for name in names):
        return None
    return dict(zip(map(str, names), items, strict=True))


def _of_mappings(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _same(path: Place, one: object, other: object) -> bool:
    if path and path[-1] == "release":
        one, other = _content(one), _content(other)
    # True is not 1 here, nor in a list.
    if isinstance(one, list) and isinstance(other, list):
        return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    return type(one) is type(other) and one == other


def _content(value: object) -> object:
    found = _RELEASE.fullmatch(value) if isinstance(value, str) else None
    return found["content"] if found else value


def _names(hosts: Sequence[str]) -> str:
    named = ", ".join(name for name in hosts[:NAMES] if name)
    rest = len(hosts) - NAMES
    return f"{named} and {counted(rest, 'host')} more" if rest > 0 else named
