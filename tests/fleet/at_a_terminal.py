"""Commands typed at an interactive shell, on a terminal that can go away."""

from __future__ import annotations

import os
import pty
import select
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fleetdeploy.lab.waiting import wait_until
from tests.fleet.project import Project, environment


class Shell:
    """An interactive bash on a terminal of its own, whose output is read so that nothing waits for it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.pid, self._master = pty.fork()
        if not self.pid:
            os.chdir(project.root)
            variables = {**environment(), "XDG_STATE_HOME": str(project.root / "home"), "TERM": "xterm"}
            os.execve("/bin/bash", ["bash", "--norc", "--noprofile", "-i"], variables)
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def type(self, *words: str) -> None:
        """A fleetdeploy command line of the project, and Enter."""
        line = shlex.join([sys.executable, "-m", "fleetdeploy", *self._project.argv(*words)])
        os.write(self._master, f"{line}\n".encode())

    def command(self) -> int:
        """A file descriptor for the process of the command that runs; it can be read once that has ended."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        found = wait_until(lambda: children.read_text().split(), "the shell runs a command", deadline_s=30)
        return os.pidfd_open(int(found[0]))

    def close(self) -> None:
        """The window is closed: the terminal is gone, and the shell with it."""
        if not self._closing.is_set():
            self._closing.set()
            self._reader.join(30)
            os.close(self._master)

    def _read(self) -> None:
        while not self._closing.is_set():
            if select.select([self._master], [], [], 0.1)[0]:
                try:
                    os.read(self._master, 65536)
                except OSError:  # the shell has ended by itself
                    return


@contextmanager
def shell(project: Project) -> Iterator[Shell]:
    """It ends with the test, if it has not by then."""
    made = Shell(project)
    try:
        yield made
    finally:
        made.close()
        with suppress(ProcessLookupError):
            os.kill(made.pid, signal.SIGKILL)
        os.waitpid(made.pid, 0)


def hang_up(process: int) -> None:
    """One hangup more for this one, by its file descriptor, unless it has ended."""
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(process, signal.SIGHUP)


def ended(process: int, *, timeout_s: float) -> bool:
    """Whether this one, by its file descriptor, ends in time; one that does not is killed."""
    try:
        if select.select([process], [], [], timeout_s)[0]:
            return True
        signal.pidfd_send_signal(process, signal.SIGKILL)
        return False
    finally:
        os.close(process)
