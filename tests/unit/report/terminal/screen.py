"""A terminal of tmux's: what is typed into it, and what stands on it."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[4]

DEADLINE_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True)
class Screen:
    """One of its own server, which is reached by ``socket``."""

    socket: Path

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout

    def open(self, script: str, *, columns: int = 80, lines: int = 24) -> None:
        """Begin a shell script in it."""
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(lines), "sh", "-c", script)

    def close(self) -> None:
        """End all that runs in it."""
        subprocess.run(["tmux", "-S", str(self.socket), "kill-server"], check=False, capture_output=True, timeout=60)

    def rows(self, *, scrolled: bool = False) -> list[str]:
        return self.tmux("capture-pane", "-p", *(["-S", "-"] if scrolled else [])).rstrip().split("\n")

    def when(self, holds: Callable[[list[str]], bool], *, scrolled: bool = False) -> list[str]:
        """What is on the screen once ``holds`` is true of it, and nobody is just drawing."""
        end = time.monotonic() + DEADLINE_S
        while not (holds(found := self.rows(scrolled=scrolled)) and self.rows(scrolled=scrolled) == found):
            assert time.monotonic() < end, "\n".join(found)
            time.sleep(POLL_S)
        return found

    def go_on(self) -> None:
        self.tmux("send-keys", "Enter")


def settings() -> str:
    """The words before a command so that it finds the tests' modules, and nothing that is about another terminal."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "unit")))
    kept = {"PYTHONPATH": path, "TERM": "screen-256color", "LC_ALL": "C.UTF-8"}
    gone = " ".join(f"-u {name}" for name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"))
    return f"env {gone} " + " ".join(f"{name}={shlex.quote(value)}" for name, value in kept.items())
