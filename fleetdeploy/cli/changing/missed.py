"""What the settings ask for and did not happen: people who were not told, metrics that were not written.

Of a command that a timer starts it is said when it is news. One that finds nothing new would be mailed at every run for
a hook that is down, and nobody reads the mails that matter among three hundred a day. What people did not hear is kept
for the next run, whatever that one finds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from fleetdeploy.domain.settings import Recipient

T = TypeVar("T")
MOST_UNHEARD = 10
"""Messages that wait for one recipient: a night's rollouts, which nobody wants to read by the hundred."""
UNHEARD_S = 7 * 86400.0
"""How long they wait."""
_DONE = ("changed", "reverted", "failed")


class Missed:
    """What one command missed. ``remembers`` is whether it is held against what its last run missed: of each command
    line a file of the state directory has that, as long as anything is missed.
    """

    def __init__(self, arguments: argparse.Namespace, remembers: bool) -> None:
        from fleetdeploy.cli.changing.called import command_line

        name = _short(arguments.redactor.text(command_line(arguments)))
        self._path = _directory(arguments) / f"{name}.json"
        self._remembers = remembers
        self._redactor = arguments.redactor

    @cached_property
    def before(self) -> frozenset[str]:
        """What its last run missed, by names."""
        return (_read(self._path, _names) if self._remembers else None) or frozenset()

    def say(self, missed: Mapping[str, str], *, only_news: bool) -> None:
        """Tell each of them by its name and text; with ``only_news`` those that the last run did not miss."""
        for name, text in missed.items():
            if not only_news or name not in self.before:
                note(text)
        if self._remembers and self.before != frozenset(missed):
            with suppress(OSError):  # it is said again then
                self._keep(sorted(map(self._redactor.text, missed)))

    def _keep(self, names: list[str]) -> None:
        if names:
            _write(self._path, names)
        else:
            self._path.unlink(missing_ok=True)


@dataclass(frozen=True)
class Kept:
    """A message that waits. ``to`` is its recipient's name and ``number`` the place it had among them."""

    path: Path
    to: str
    number: int
    ended_s: float
    body: Mapping[str, object]

    @property
    def instead_of(self) -> object:
        """What is the same for two of which only the newer one waits: each run that did something is told of, and of
        the others how it is now.
        """
        counts = self.body["counts"]
        done = isinstance(counts, dict) and any(counts.get(state) for state in _DONE)
        return (self.body["run"],) if done else self.body["news"]

    def heard(self) -> None:
        """It is not told again."""
        with suppress(OSError):
            self.path.unlink()


class Unheard:
    """What nobody heard of earlier runs on these inventories, whichever commands they were: a file for each message,
    so that commands which end at the same time lose nothing of each other's.
    """

    def __init__(self, arguments: argparse.Namespace, recipients: Sequence[Recipient]) -> None:
        from fleetdeploy.cli.binding.project import sources_of

        places = [arguments.project, *sources_of(arguments)]
        self._directory = _directory(arguments)
        self._name = _short("\0".join(map(_in_full, places)))
        self._recipients = recipients
        self._redactor = arguments.redactor

    @cached_property
    def _to(self) -> Sequence[str]:
        """Their names; those of secret addresses are only known when the secrets are opened."""
        from fleetdeploy.report.notify import name_of

        return [self._redactor.text(name_of(item)) for item in self._recipients]

    def waiting(self, now_s: float) -> list[list[Kept]]:
        """For each recipient what it has not heard and still wants to, oldest first."""
        from fleetdeploy.report.notify import wants

        found: list[list[Kept]] = [[] for _ in self._recipients]
        for kept in self._all():
            if now_s - kept.ended_s > UNHEARD_S:
                kept.heard()
            elif (number := self._heir(kept)) is not None and wants(self._recipients[number], kept.body):
                found[number].append(kept)
        return found

    def keep(self, number: int, body: Mapping[str, object], ended_s: float) -> None:
        """For the next run. Raises OSError."""
        path = self._directory / f"{self._name}-{round(ended_s * 1000):015}-{number}-{secrets.token_hex(4)}.json"
        new = Kept(path, self._to[number], number, ended_s, body)
        _write(path, {"to": new.to, "number": number, "ended_s": ended_s, "body": body})
        others = [kept for kept in self._all() if kept.path != path and self._heir(kept) == number]
        same = [kept for kept in others if kept.instead_of == new.instead_of]
        rest = [kept for kept in others if kept not in same]
        for kept in (*same, *rest[: max(0, len(rest) + 1 - MOST_UNHEARD)]):
            kept.heard()

    def _all(self) -> Iterator[Kept]:
        """Oldest first."""
        with suppress(OSError):
            for path in sorted(self._directory.glob(f"{self._name}-*.json")):
                if found := _read(path, partial(_message, path)):
                    yield found

    def _heir(self, kept: Kept) -> int | None:
        """Whose it is now: one that has got another address, as the old one was wrong, is in the same place."""
        if kept.to in self._to and (kept.number >= len(self._to) or self._to[kept.number] != kept.to):
            return self._to.index(kept.to)
        return kept.number if kept.number < len(self._to) else None


def _in_full(place: Path) -> str:
    """From wherever it is typed."""
    with suppress(OSError, RuntimeError):  # links in a circle, or no directory any more to begin from
        return str(place.resolve())
    return str(place)


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise TypeError("not a list")
    return frozenset(name for name in value if isinstance(name, str))


def _message(path: Path, value: object) -> Kept:
    if not isinstance(value, dict):
        raise TypeError("not a message")
    to, number, ended_s, body = (value[key] for key in ("to", "number", "ended_s", "body"))
    if type(number) is not int or number < 0 or type(ended_s) not in {int, float} or not isinstance(body, dict):
        raise TypeError("not a message")
    if not all(isinstance(text, str) for text in (to, body["news"], body["run"])) or "counts" not in body:
        raise TypeError("not a message")
    return Kept(path, to, number, float(ended_s), body)


def _read(path: Path, made: Callable[[object], T]) -> T | None:
    """What is made of the file's JSON. None without the file, and where it is damaged: that is told, and the file is
    set aside.
    """
    try:
        return made(json.loads(path.read_text(encoding="utf-8")))
    except OSError:
        return None
    except (ValueError, TypeError, LookupError, RecursionError):
        aside = path.with_name(f"{path.name}.damaged")
        with suppress(OSError):
            path.replace(aside)
        note(f"what people have not heard cannot be read, the file is damaged and set aside: {aside}")
        return None


def _write(path: Path, value: object) -> None:
    from fleetdeploy.report.whole_file import write_whole

    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(path, json.dumps(value))


def _directory(arguments: argparse.Namespace) -> Path:
    return Path(arguments.state_dir) / "missed"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def note(text: str) -> None:
    """On stderr, with --quiet as well: what was asked for in the settings did not happen."""
    from fleetdeploy.report.terminal import aside

    aside(f"note: {text}")
