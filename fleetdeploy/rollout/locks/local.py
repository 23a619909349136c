"""One run at a time on a host, of all runs that one user starts on this machine.

What is locked are the hosts, not the inventory file: the same hosts may be named in several ways. All locks are byte
ranges of one file, so a fleet of thousands costs one descriptor, and the kernel releases them when their holder ends,
however it ends (fcntl(2), "Open file description locks").
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import hashlib
import json
import os
import struct
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.lease import TRY_LATER, Holder
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.errors import FleetdeployError, InputError, LockHeld, PreflightRefused

_POLL_S = 0.2
"""Between two tries to lock: the kernel would wait in line for one place, but not for all of them or none, nor until a
time. A try costs microseconds and touches no host.
"""

_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_FLOCK = "hhqqi0q"
"""struct flock of Linux on 64 bits: type, whence, start, length, pid."""


@dataclass(frozen=True)
class Held:
    """Locks that this process holds. ``file`` is which file of which boot of which kernel they lie in."""

    run: str
    file: str

    def holder_of(self, host: Host) -> Holder:
        """Who takes the host's lease. Its origin is the very byte that is locked here: who had it before has ended."""
        origin = hashlib.sha256(f"{self.file} {_place(host)}".encode()).hexdigest()[:32] if self.file else ""
        return Holder(self.run, this_owner(), origin)


@dataclass(frozen=True)
class Note:
    """What a run on this machine says of itself while it holds locks; ``age_s`` in seconds."""

    run: str
    user: str
    pid: int
    age_s: float


def this_owner() -> str:
    """``user@machine``."""
    return f"{_user()}@{os.uname().nodename}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):  # in a container, a user may be a number and nothing else
        return f"uid-{os.getuid()}"


@contextmanager
def hold(
    directory: Path,
    hosts: Collection[Host],
    run: str,
    clock: Clock,
    *,
    wait_s: float = 0.0,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Held]:
    """Hold the locks of ``hosts``, all or none. Raises LockHeld, with the owner, after ``wait_s`` seconds; InputError
    or PreflightRefused where nothing can be locked in ``directory``. ``check`` may end the waiting.
    """
    wanted = {_place(host): host.name for host in hosts}
    descriptor = _open(directory)
    owner = directory / f"{run}.json"
    try:
        _take_all(descriptor, directory, wanted, clock, wait_s, check)
        _forget_ended(directory, wanted)
        _write(owner, json.dumps({**_owner(run, clock), "places": sorted(wanted)}))
        yield Held(run, _identity(descriptor))
    finally:
        owner.unlink(missing_ok=True)
        os.close(descriptor)


def _open(directory: Path) -> int:
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Not inherited by rsync and ssh: a child that outlives us must not keep the fleet locked.
        return os.open(directory / "hosts.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _cannot("the lock cannot be opened", error, directory) from error


def _write(owner: Path, text: str) -> None:
    try:
        owner.write_text(text, encoding="utf-8")
    except OSError as error:
        raise _cannot("who holds the lock cannot be written down", error, owner.parent) from error


def _cannot(what: str, error: OSError, directory: Path) -> FleetdeployError:
    message, place = f"{what}: {error.strerror}", str(directory)
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "nothing was touched; free some space, or set XDG_STATE_HOME to a directory elsewhere"
        return PreflightRefused(message, where=place, hint=hint)
    if error.errno in _NO_LOCKS:
        message += "; its file system has no locks"
    return InputError(message, where=place, hint="set XDG_STATE_HOME to a directory on a disk of this machine")


def held_here(directory: Path, hosts: Collection[Host], clock: Clock) -> Mapping[str, Note]:
    """The run on this machine that holds a host's lock, for those hosts that have one."""
    found: dict[str, Note] = {}
    for note, places in _notes(directory):
        with suppress(KeyError, ValueError):  # a note that somebody spoiled names nobody
            since_s = datetime.fromisoformat(str(note["since"])).timestamp()
            seen = Note(str(note["run"]), str(note["user"]), int(str(note["pid"])), max(0.0, clock.now_s() - since_s))
            found |= {host.name: seen for host in hosts if _place(host) in places}
    return found


def _identity(descriptor: int) -> str:
    """Empty where the system does not tell when it was booted: then nothing is concluded from this lock."""
    with suppress(OSError):
        info = os.fstat(descriptor)
        return f"{_boot()} {info.st_dev} {info.st_ino}"
    return ""


def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def _process(pid: int) -> str:
    """Which process has this number now: the boot it is of, and its start in clock ticks since. Empty where the system
    does not tell.
    """
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return f"{_boot()} {stat.rpartition(')')[2].split()[19]}"
    return ""


def _place(host: Host) -> int:
    """Where in the file a host's byte is: by its address, which is what two names of one host share."""
    name = f"{host.connection.address.lower()}:{host.connection.port or 22}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")


def _take_all(
    descriptor: int, directory: Path, wanted: dict[int, str], clock: Clock, wait_s: float, check: Callable[[], None]
) -> None:
    end = clock.monotonic_s() + wait_s
    while True:
        # In one order for everybody; and whoever does not get them all lets go of those it has.
        try:
            busy = next((place for place in sorted(wanted) if not _take(descriptor, place)), None)
        except OSError as error:
            raise _cannot("the lock cannot be taken", error, directory) from error
        if busy is None:
            return
        for place in wanted:
            _set(descriptor, place, fcntl.F_UNLCK)
        if clock.monotonic_s() >= end:
            raise LockHeld(
                f"another run works on {wanted[busy]}: {_describe(directory, busy)}",
                hint=TRY_LATER,
            )
        check()
        clock.wait(_POLL_S)


def _take(descriptor: int, place: int) -> bool:
    try:
        _set(descriptor, place, fcntl.F_WRLCK)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _set(descriptor: int, place: int, kind: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, kind, os.SEEK_SET, place, 1, 0))


def _owner(run: str, clock: Clock) -> dict[str, object]:
    since = datetime.fromtimestamp(clock.now_s(), tz=timezone.utc)
    pid = os.getpid()
    known = {"run": run, "user": _user(), "pid": pid, "process": _process(pid)}
    return {**known, "since": since.isoformat(timespec="seconds")}


def _forget_ended(directory: Path, held: Collection[int]) -> None:
    """Remove notes of runs that were killed: whoever wrote one for a place that is held here now has ended."""
    for note in directory.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if not set(held).isdisjoint(json.loads(note.read_text(encoding="utf-8"))["places"]):
                note.unlink()


def _describe(directory: Path, place: int) -> str:
    """Who holds a place, by the notes that runs leave beside the lock."""
    for owner, places in _notes(directory):
        if place in places:
            since = str(owner["since"]).replace("+00:00", "Z")
            return f"run {owner['run']} of {owner['user']}, pid {owner['pid']}, since {since}"
    return "its owner has just taken it"


def _notes(directory: Path) -> list[tuple[Mapping[str, object], Collection[int]]]:
    """What runs leave beside the lock. A note of a run that is gone says nothing, whoever has its number by now."""
    found = []
    for path in directory.glob("*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            note = json.loads(path.read_text(encoding="utf-8"))
            os.kill(note["pid"], 0)
            # Versions before this one did not write down which process it is.
            if note.get("process", "") in {"", _process(note["pid"])}:
                found.append((note, note["places"]))
    return found
