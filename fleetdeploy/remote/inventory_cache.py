"""Answers of executable inventories, kept for a while: asked for with ``--inventory-cache``, and never in silence.

An answer counts for the program as it is now (path, size, time of change), its arguments, the user, the directory it
runs in and the environment it sees. What a program reads elsewhere is not looked at: that is what the time is for.
Answers may hold passwords, so their files are the user's alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fleetdeploy.config.fields.durations import written_duration
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.remote import private_file

MOST_FILES = 5000
MOST_BYTES = 256 * 1024 * 1024
_VOLATILE = frozenset({
    "_", "COLUMNS", "INVOCATION_ID", "JOURNAL_STREAM", "LINES", "OLDPWD", "PWD", "SHLVL", "SSH_AUTH_SOCK", "SSH_CLIENT",
    "SSH_CONNECTION", "SSH_TTY", "STY", "TERM", "TMUX", "TMUX_PANE", "WINDOWID", "XDG_RUNTIME_DIR", "XDG_SESSION_ID",
})  # fmt: skip
"""Variables that differ from one terminal to the next and say nothing about a fleet."""


@dataclass
class CachedScripts:
    """Runs executable inventories by ``run``, unless an answer younger than ``within_s`` is in ``directory``.

    ``tell`` takes what a person has to know: how old an answer is, and what is wrong with the cache, which never makes
    an inventory fail. With a failing program, nothing older than ``within_s`` is used either.
    """

    run: Callable[[Path, Sequence[str]], str]
    directory: Path
    within_s: float
    clock: Clock
    tell: Callable[[str], None]
    environ: Mapping[str, str]
    _told: set[str] = field(default_factory=set)
    _swept: bool = False

    def __call__(self, path: Path, arguments: Sequence[str]) -> str:
        """What the program prints, or printed. Raises InputError as ``run`` does."""
        try:
            file = self.directory / f"{self._key(path, arguments)}.json"
        except OSError:
            return self.run(path, arguments)  # which says what is wrong with the program
        found = self._found(file, path)
        if found is not None:
            return found
        answer = self.run(path, arguments)
        if _is_json(answer):
            self._keep(file, answer)
        return answer

    def _key(self, path: Path, arguments: Sequence[str]) -> str:
        real = path.resolve(strict=True)
        about = real.stat()
        seen = {name: value for name, value in self.environ.items() if name not in _VOLATILE}
        what = (
            str(real), about.st_mtime_ns, about.st_size, about.st_ino, list(arguments), os.geteuid(), str(Path.cwd()),
            sorted(seen.items()),
        )  # fmt: skip
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def _found(self, file: Path, path: Path) -> str | None:
        try:
            at_s, answer = private_file.read(file, most_bytes=MOST_BYTES)
        except FileNotFoundError:
            return None
        except (OSError, private_file.Damaged) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            self._warn(f"the cached answer of {path} is not used: {reason}; it is made anew")
            return None
        age_s = self.clock.now_s() - at_s
        if not 0 <= age_s < self.within_s:
            return None
        option = f"--inventory-cache {written_duration(self.within_s)}"
        self._once(
            str(path), f"{path}: answer of {_ago(age_s)} ({option}); run again without the option for a fresh one"
        )
        return answer

    def _keep(self, file: Path, answer: str) -> None:
        try:
            if not self._swept and self.directory.exists():
                _sweep(self.directory)
            self._swept = True
            private_file.write(file, answer, at_s=self.clock.now_s())
        except OSError as error:
            self._warn(f"the inventory cache cannot be written: {error.strerror}: {self.directory}")

    def _warn(self, text: str) -> None:
        self._once(text, f"warning: {text}")

    def _once(self, what: str, text: str) -> None:
        if what not in self._told:
            self._told.add(what)
            self.tell(text)


def _sweep(directory: Path) -> None:
    """Keep the cache small: the oldest files go first."""
    size = 0
    for count, (_, bytes_, path) in enumerate(sorted(_files(directory), reverse=True)):
        size += bytes_
        if count >= MOST_FILES or size > MOST_BYTES:
            with suppress(OSError):
                path.unlink()


def _files(directory: Path) -> Iterator[tuple[float, int, Path]]:
    for path in directory.iterdir():
        with suppress(OSError):
            about = path.lstat()
            if stat.S_ISREG(about.st_mode):
                yield about.st_mtime, about.st_size, path


def _is_json(answer: str) -> bool:
    """What no inventory can be is not kept: the program may do better the next time."""
    try:
        json.loads(answer or "{}")
    except (ValueError, RecursionError):
        return False
    return True


def _ago(age_s: float) -> str:
    for unit, size_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if age_s >= size_s:
            return f"{int(age_s // size_s)} {unit} ago"
    return f"{int(age_s)} s ago"
