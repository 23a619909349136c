"""Running commands, starting daemons, and ending exactly the processes that belong to a lab."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.errors import LabError
from fleetdeploy.lab.waiting import wait_until

MARKER = "FLEETDEPLOY_LAB"
"""Environment variable of every process that a lab starts: the lab's prefix, and the host's name and - for a host's."""

STATE_MARKER = "FLEETDEPLOY_LAB_STATE"

_DEFAULT_SIGNALS = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP)
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_PACKAGES: Mapping[str, str] = {
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "mount": "mount",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "ssh-keygen": "openssh-client",
    "rsync": "rsync",
    "dockerd": "docker.io",
    "containerd": "containerd",
    "runc": "runc",
    "tini": "tini",
    "haproxy": "haproxy",
}


def environment(**extra: str) -> dict[str, str]:
    """A small, predictable environment for everything the lab runs."""
    return {"PATH": _SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **extra}


def missing_packages(commands: Iterable[str] = tuple(_PACKAGES)) -> list[str]:
    """The Debian packages that hold those of ``commands`` which this machine lacks."""
    return sorted({_PACKAGES[name] for name in commands if not shutil.which(name, path=_SYSTEM_PATH)})


def require_lab_machine() -> None:
    """Check that this machine and user can hold a lab.

    :raises LabError: not Linux, not root, or a package is missing; the hint is the command that helps.
    """
    require_root()
    missing = missing_packages()
    if missing:
        raise LabError(
            f"this machine lacks what a lab is made of: {', '.join(missing)}",
            hint=f"apt-get install --no-install-recommends {' '.join(missing)}",
        )


def require_root() -> None:
    """Check that this is Linux and the user is root.

    :raises LabError: it is not.
    """
    if os.uname().sysname != "Linux" or os.geteuid() != 0:
        raise LabError("a lab is made of Linux namespaces and needs root", hint="run this on Linux, as root")


def run(
    argv: Sequence[str], *, stdin: str | None = None, timeout_s: float = 60, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run a command of this machine to its end.

    :raises LabError: it did not start, did not end in time, or (with ``check``) ended with another status than 0.
    """
    try:
        done = subprocess.run(
            list(argv), input=stdin if stdin is not None else "", capture_output=True, text=True,
            errors="replace", timeout=timeout_s, check=False, env=environment(),
        )  # fmt: skip
    except FileNotFoundError:
        raise LabError(f"command not found: {argv[0]}", hint=f"install {_PACKAGES.get(argv[0], argv[0])}") from None
    except subprocess.TimeoutExpired:
        raise LabError(f"not finished within {timeout_s:g} s: {' '.join(argv)}") from None
    if check and done.returncode:
        raise LabError(f"status {done.returncode}: {' '.join(argv)}", detail=tail(done.stderr or done.stdout))
    return done


def tail(text: str, *, lines: int = 12) -> str:
    """The last lines of a text."""
    return "\n".join(text.strip().splitlines()[-lines:])


def log_tail(path: Path, *, lines: int = 12) -> str:
    """The last lines of a log, or a sentence that says there is none."""
    try:
        return tail(path.read_text(errors="replace"), lines=lines)
    except OSError:
        return f"{path}: no log"


@dataclass(frozen=True)
class ProcessId:
    """A process and the moment it started, as pids are used again. ``started`` is in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> ProcessId | None:
        fields = _stat(pid)
        return cls(pid, int(fields[19])) if fields else None

    def alive(self) -> bool:
        """Whether this very process runs. A zombie does not: it has ended and waits for its parent to take note."""
        fields = _stat(self.pid)
        return bool(fields) and int(fields[19]) == self.started and fields[0] not in {"Z", "X"}

    def kill(self) -> None:
        """SIGKILL it, unless the pid has gone to another process by now."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            if self.alive():
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (``[0]`` state, ``[1]`` parent, ``[19]`` start), or []."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def start_daemon(argv: Sequence[str], *, log: Path, marker: str, state: Path, **extra: str) -> ProcessId:
    """Start a process in its own session that outlives this one, with stdout and stderr in ``log``.

    It carries ``marker`` and the lab's ``state`` directory in its environment, so that it is found without a pid file.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pid = os.posix_spawn(
        "/usr/bin/env",
        ["env", "-C", "/", "--", *argv],
        environment(**{MARKER: marker, STATE_MARKER: str(state), **extra}),
        setsid=True,
        setsigmask=[],
        setsigdef=_DEFAULT_SIGNALS,  # Python ignores SIGPIPE, and a shell's background job SIGINT
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
    )
    found = ProcessId.of(pid)
    if found is None:
        raise LabError(f"ended at once: {argv[0]}", detail=log_tail(log))
    return found


def processes_of(marker: str, namespaces: Iterable[Path] = ()) -> list[ProcessId]:
    """Every living process whose marker begins with ``marker``, or that lives in one of the network ``namespaces``.

    This process is left out. The kernel is asked, not a file of ours, so a lab whose ``up`` was killed half-way is
    found as a whole.
    """
    inodes = {inode for path in namespaces if (inode := _inode(path))}
    wanted = b"\0" + f"{MARKER}={marker}".encode()
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        process = ProcessId.of(int(entry.name))
        if process and process.alive() and _belongs(entry.path, wanted, inodes):
            found.append(process)
    return found


def variable_of(process: ProcessId, name: str) -> str:
    """The value that an environment variable of a process had when it started, or an empty string."""
    try:
        words = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    start = f"{name}=".encode()
    return next((os.fsdecode(word[len(start) :]) for word in words if word.startswith(start)), "")


def _belongs(proc: str, wanted: bytes, inodes: set[int]) -> bool:
    if inodes and _inode(Path(proc, "ns/net")) in inodes:
        return True
    try:
        return wanted in b"\0" + Path(proc, "environ").read_bytes()
    except OSError:
        return False


def _inode(path: Path) -> int:
    try:
        return path.stat().st_ino
    except OSError:
        return 0


def end_processes(find: Callable[[], list[ProcessId]], *, deadline_s: float = 20) -> None:
    """SIGKILL what ``find`` lists until it lists nothing.

    :raises LabError: something is still there at the deadline.
    """
    killed: set[ProcessId] = set()

    def none_left() -> bool:
        found = find()
        for process in found:
            process.kill()
        killed.update(found)
        return not found

    wait_until(none_left, "all processes of the lab have ended", deadline_s=deadline_s)
    for process in killed:
        try:
            os.waitpid(process.pid, os.WNOHANG)  # a child of this very process would stay a zombie
        except ChildProcessError:
            pass
