"""A rollout of a hundred hosts through the real view in a real terminal, looked at while it goes on."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
DEADLINE_S = 60.0
POLL_S = 0.05

pytestmark = pytest.mark.programs


@dataclass(frozen=True)
class Screen:
    """One terminal of tmux's."""

    socket: Path

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=DEADLINE_S).stdout

    def rows(self, *, scrolled: bool = False) -> list[str]:
        return self.tmux("capture-pane", "-p", *(["-S", "-"] if scrolled else [])).rstrip().split("\n")

    def when(self, holds: Callable[[list[str]], bool], *, scrolled: bool = False) -> list[str]:
        """What is on the screen once ``holds`` is true of it."""
        end = time.monotonic() + DEADLINE_S
        while not holds(found := self.rows(scrolled=scrolled)):
            assert time.monotonic() < end, "\n".join(found)
            time.sleep(POLL_S)
        return found

    def go_on(self) -> None:
        self.tmux("send-keys", "Enter")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    """Begin a replay in a terminal of so many columns and rows."""
    screen = Screen(tmp_path / "tmux")

    def begun(words: Sequence[str], *, columns: int = 80, lines: int = 24, echo: bool = False) -> Screen:
        path = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "unit")))
        settings = {"PYTHONPATH": path, "TERM": "screen-256color", "LC_ALL": "C.UTF-8"}
        replay = shlex.join([sys.executable, str(Path(__file__).with_name("replay.py")), *words])
        kept = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
        gone = " ".join(f"-u {name}" for name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"))
        script = f"stty {'' if echo else '-'}echo; env {gone} {kept} {replay}; echo END; cat"
        screen.tmux("new-session", "-d", "-x", str(columns), "-y", str(lines), "sh", "-c", script)
        return screen

    yield begun
    subprocess.run(["tmux", "-S", str(screen.socket), "kill-server"], check=False, capture_output=True, timeout=60)


def test_a_hundred_hosts(start: Callable[..., Screen]) -> None:
    """The board shows who moves, news scroll above it, and of the board nothing is left behind the recap."""
    screen = start(["fails", "100", "30%", "94%"])
    staging = screen.when(lambda rows: sum("━" in row for row in rows) > 8)
    assert staging[0].startswith("Put every file in place · ")
    assert all("stage" in row for row in staging if "━" in row)
    screen.go_on()
    switching = screen.when(lambda rows: rows[0].startswith("Switch over"))
    assert "floor 88" in " ".join(switching[:2])
    assert not any("stage" in row for row in switching)
    screen.go_on()
    rows = screen.when(lambda rows: "END" in rows)
    assert rows[0] == "PLAY Switch over, wave by wave"
    assert [row for row in rows if row.startswith("▶") or "allowed" in row] == []
    recap = rows[rows.index("RECAP") :]
    assert recap[1:3] == [
        "gpu013 : ok=1 changed=2 failed=1 unreachable=0 skipped=0 reverted=1",
        "and 12 changed, 87 skipped (-v: a line for each)",
    ]


def test_in_forty_columns_no_line_is_broken_by_the_terminal(start: Callable[..., Screen]) -> None:
    """The board is cut to size; what stays is wrapped between words and indented."""
    screen = start(["fails", "20", "30%"], columns=40)
    rows = screen.when(lambda rows: any("━" in row for row in rows))
    assert max(map(len, rows)) <= 37
    screen.go_on()
    ended = screen.when(lambda rows: rows[-1] == "END", scrolled=True)
    assert "gpu003 : ok=1 changed=2 failed=1" in ended
    assert "    unreachable=0 skipped=0 reverted=1" in ended


def test_a_question_stands_alone(start: Callable[..., Screen]) -> None:
    """While it is asked there is no board, and what is typed is seen behind it; then the board comes back below."""
    screen = start(["update", "20", "30%", "60%", "--ask"], echo=True)
    asked = screen.when(lambda rows: rows[-1] == "Go on? [y/N]")
    assert asked == ["Go on? [y/N]"]
    screen.tmux("send-keys", "y", "Enter")
    rows = screen.when(lambda rows: any(row.startswith("▶") for row in rows))
    assert rows[0] == "Go on? [y/N] y"
    assert rows[1].startswith("Switch over")


def test_ctrl_c_is_told_above_the_board(start: Callable[..., Screen]) -> None:
    """What the terminal echoes of the keys is drawn over, and the board goes on below what was said."""
    screen = start(["update", "20", "30%"], echo=True)
    before = screen.when(lambda rows: any("━" in row for row in rows))
    screen.tmux("send-keys", "C-c")
    said = "SIGINT: stopping at the next safe point; once more to stop now"
    rows = screen.when(lambda rows: said in rows and not any("^C" in row for row in rows))
    assert rows == [said, *before]


def test_without_colour_nothing_moves(start: Callable[..., Screen]) -> None:
    """Every line stays."""
    screen = start(["update", "3", "--no-color"], lines=60)
    rows = screen.when(lambda rows: "END" in rows)
    assert sum(" activate " in row for row in rows) == 3
    assert "PLAY Put every file in place" in rows[0]
