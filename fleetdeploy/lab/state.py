"""Where a lab keeps its state, what is written there, and the lock that keeps two commands off one lab."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fleetdeploy.errors import LabError
from fleetdeploy.lab.waiting import wait_until

_NAME = re.compile(r"[a-z0-9]{1,24}")
_RECORD_FORMAT = 1
FLEET_NETWORK = "10.77.0"
DOOR_NETWORK = "127.77"


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback


@dataclass(frozen=True)
class LabPaths:
    """The files and directories of one lab, and the cache all labs share."""

    name: str
    state_home: Path
    cache_home: Path

    @classmethod
    def of(cls, name: str, *, state_home: Path | None = None, cache_home: Path | None = None) -> LabPaths:
        """The paths of lab ``name``.

        A name has only letters and digits: with a hyphen, everything of lab ``a-b`` would also look like lab ``a``'s.

        :raises LabError: the name cannot be used.
        """
        if not _NAME.fullmatch(name):
            raise LabError(f"lab name {name!r} is not usable", hint="use 1 to 24 lower-case letters and digits")
        state = state_home or _xdg("XDG_STATE_HOME", ".local/state")
        cache = cache_home or _xdg("XDG_CACHE_HOME", ".cache")
        return cls(name, state.absolute(), cache.absolute())

    @property
    def prefix(self) -> str:
        """What the name of every namespace, control group and cache directory of this lab begins with."""
        return f"fdlab-{self.name}-"

    @property
    def labs(self) -> Path:
        return self.state_home / "fleetdeploy" / "lab"

    @property
    def root(self) -> Path:
        return self.labs / self.name

    @property
    def cache(self) -> Path:
        return self.cache_home / "fleetdeploy" / "lab"

    @property
    def record(self) -> Path:
        return self.root / "lab.json"

    @property
    def ssh_config(self) -> Path:
        return self.root / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    @property
    def client_key(self) -> Path:
        return self.root / "id_ed25519"

    @property
    def log_directory(self) -> Path:
        return self.root / "log"

    def host(self, name: str) -> Path:
        return self.root / "hosts" / name


@dataclass(frozen=True)
class HostRecord:
    """One host as the lab made it. ``doors`` maps a port of the host to the port that reaches it on this machine."""

    name: str
    role: str
    number: int
    door_address: str = ""
    doors: Mapping[int, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The host's address inside the fleet; only the fleet (and the doorway) reaches it."""
        return f"{FLEET_NETWORK}.{self.number}"

    @property
    def ssh_port(self) -> int:
        return self.doors.get(22, 22)


@dataclass(frozen=True)
class LabRecord:
    """What is remembered of a lab. ``phase`` is ``starting`` until ``up`` has finished, then ``up``.

    ``inventory`` is the file that its hosts were written to last, an absolute path, or empty.
    """

    name: str
    phase: str
    hosts: tuple[HostRecord, ...]
    slot: int = 0
    gpu: str = ""
    gpu_count: int = 0
    images: tuple[str, ...] = ()
    owner_pid: int | None = None
    inventory: str = ""

    def save(self, path: Path) -> None:
        write_atomically(path, json.dumps({"format": _RECORD_FORMAT, **asdict(self)}, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> LabRecord | None:
        """The record in ``path``; None if there is none, or if it is not whole (as after a crash)."""
        try:
            raw = json.loads(path.read_text())
            if raw.pop("format") != _RECORD_FORMAT:
                return None
            hosts = tuple(
                HostRecord(**{**host, "doors": {int(port): door for port, door in host["doors"].items()}})
                for host in raw.pop("hosts")
            )
            return cls(**{**raw, "hosts": hosts, "images": tuple(raw["images"])})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def write_atomically(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write ``text`` so that a reader sees the old file or the new one, never half of it."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w") as file:
        file.write(text)
    partial.replace(path)


@contextlib.contextmanager
def hold(directory: Path, *, deadline_s: float = 900) -> Iterator[None]:
    """Keep every other command off ``directory`` while it is changed; the lock ends with its process.

    The lock is on the directory itself, so removing the lab leaves no lock file. Whoever waited for a directory that
    is gone by then makes a new one and locks that.

    :raises LabError: another command held it for ``deadline_s``.
    """
    descriptor = wait_until(
        lambda: _try_to_hold(directory),
        f"another command lets go of {directory}",
        deadline_s=deadline_s,
        interval_s=0.05,
    )
    try:
        yield
    finally:
        descriptor.close()


def _try_to_hold(directory: Path) -> Directory | None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        descriptor = Directory(directory)
    except FileNotFoundError:
        return None
    if descriptor.lock() and descriptor.is_still(directory):
        return descriptor
    descriptor.close()
    return None


class Directory:
    """An open directory, for locking."""

    def __init__(self, path: Path) -> None:
        self._number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def lock(self) -> bool:
        try:
            fcntl.flock(self._number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_still(self, path: Path) -> bool:
        """Whether the path still leads here: it may have been removed and made again."""
        try:
            return os.path.samestat(os.fstat(self._number), path.stat())
        except FileNotFoundError:
            return False

    def close(self) -> None:
        os.close(self._number)
