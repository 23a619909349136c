"""A rollout of a hundred hosts through the real view in a real terminal, looked at while it goes on."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.terminal.picture import picture

from .scenes import scene
from .screen import Screen, settings

pytestmark = pytest.mark.programs


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Screen]]:
    """Begin a replay in a terminal of so many columns and rows."""
    screen = Screen(tmp_path / "tmux")

    def begun(words: Sequence[str], *, columns: int = 80, lines: int = 24, echo: bool = False) -> Screen:
        replay = shlex.join([sys.executable, str(Path(__file__).with_name("replay.py")), *words])
        script = f"stty {'' if echo else '-'}echo; {settings()} {replay}; echo END; cat"
        screen.open(script, columns=columns, lines=lines)
        return screen

    yield begun
    screen.close()


def board(name: str, hosts: int, percent: int, *, columns: int, lines: int) -> list[str]:
    """What a terminal of that size shows of a scene that has come so far."""
    events = scene(name, hosts)
    story = RunStory.of(events[: len(events) * percent // 100 + 1])
    return [row.plain for row in picture(story, now_s=story.now_s, width=columns - 3, height=lines - 1)]


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
    screen.when(lambda rows: any("━" in row for row in rows))
    screen.tmux("send-keys", "C-c")
    said = "SIGINT: stopping at the next safe point; once more to stop now"
    rows = screen.when(lambda rows: said in rows and not any("^C" in row for row in rows))
    assert rows == [said, *board("update", 20, 30, columns=80, lines=24)]


SIZES = [(100, 30), (60, 30), (60, 14), (130, 14), (130, 30), (45, 14), (100, 40), (97, 40)]


def test_another_size_leaves_nothing_behind(start: Callable[..., Screen]) -> None:
    """Made narrower, lower or larger the terminal has the board once, and what was said above it is kept once."""
    screen = start(["update", "12", "40%"], columns=SIZES[0][0], lines=SIZES[0][1])
    screen.when(lambda rows: any("━" in row for row in rows))
    screen.tmux("send-keys", "C-c")
    said = "SIGINT: stopping at the next safe point; once more to stop now"
    for columns, lines in SIZES:
        screen.tmux("resize-window", "-x", str(columns), "-y", str(lines))
        wanted = board("update", 12, 40, columns=columns, lines=lines)

        def drawn(rows: list[str], wanted: list[str] = wanted) -> bool:
            above = "".join(rows[: -len(wanted)])
            return rows[-len(wanted) :] == wanted and said.endswith(above)

        screen.when(drawn)
    assert "".join(screen.rows(scrolled=True)).count(said) == 1


def test_without_colour_nothing_moves(start: Callable[..., Screen]) -> None:
    """Every line stays."""
    screen = start(["update", "3", "--no-color"], lines=60)
    rows = screen.when(lambda rows: "END" in rows)
    assert sum(" activate " in row for row in rows) == 3
    assert "PLAY Put every file in place" in rows[0]
