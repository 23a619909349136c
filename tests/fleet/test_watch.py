"""``status --watch`` of real hosts: in a real terminal, and where there is none."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.faults.means import rounds
from tests.fleet.load import POWER, lost_only_on
from tests.fleet.onlooker import machines, no_session_left, tell
from tests.fleet.project import REPOSITORY, Project
from tests.simulation.contract import hold_output

WATCH = ("status", "--watch=1s")
COLUMNS, LINES = 100, 16


@dataclass(frozen=True)
class Terminal:
    """One of tmux's, in which a command runs."""

    socket: Path

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout

    def rows(self) -> list[str]:
        """What stands in it, with what has left it at its upper edge."""
        return self.tmux("capture-pane", "-p", "-S", "-").rstrip().split("\n")

    def when(self, holds: Callable[[list[str]], bool], what: str) -> list[str]:
        """Its lines once this is true of them."""
        return wait_until(
            lambda: rows if holds(rows := self.rows()) else None,
            what,
            deadline_s=90,
            on_timeout=lambda: "\n".join(self.rows()),
        )

    def ctrl_c(self) -> list[str]:
        """Its lines once the command has ended."""
        self.tmux("send-keys", "C-c")
        return self.when(lambda rows: rows[-1].startswith("ENDED "), "the watch ends")


@pytest.fixture
def terminal(served: Project, tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    """Type a command of the project into a terminal."""
    made = Terminal(tmp_path / "tmux")

    def typed(*words: str) -> Terminal:
        settings = {
            "PYTHONPATH": str(REPOSITORY), "TERM": "screen-256color", "LC_ALL": "C.UTF-8",
            "XDG_STATE_HOME": str(served.root / "home"),
        }  # fmt: skip
        kept = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
        gone = " ".join(f"-u {name}" for name in ("CI", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"))
        command = shlex.join([sys.executable, "-m", "fleetdeploy", *served.argv(*words)])
        # The shell hears the terminal's Ctrl-C as well, and tells the exit code.
        script = f"trap : INT; cd {shlex.quote(str(served.root))}; env {gone} {kept} {command}; echo ENDED $?; cat"
        made.tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "sh", "-c", script)
        return made

    yield typed
    subprocess.run(["tmux", "-S", str(made.socket), "kill-server"], check=False, capture_output=True, timeout=60)


def line_of(host: str, rows: list[str]) -> str:
    return next((row for row in rows if row.startswith(f"{host} ")), "")


def has(host: str, *words: str) -> Callable[[list[str]], bool]:
    return lambda rows: all(word in line_of(host, rows) for word in words)


@pytest.mark.long
def test_on_a_terminal_it_follows_what_others_do(lab: Lab, served: Project, terminal: Callable[..., Terminal]) -> None:
    """A drained host, one without power and a whole rollout are seen at the same place, and the last look stays."""
    with no_session_left(lab):
        screen = terminal(*WATCH)
        rows = screen.when(lambda rows: all(has(name, "ranker:1", "up")(rows) for name in machines(lab)), "all serve 1")
        assert "Ctrl-C ends it" in rows[0]
        tell(lab, "gpu2", "drain")
        screen.when(has("gpu2", "ranker:1", "drained"), "the drain is shown")
        tell(lab, "gpu2", "ready")
        screen.when(has("gpu2", " up "), "its end is shown")
        with lost_only_on(lab, served, "gpu3", rule=POWER):
            lab.power_off("gpu3")
            screen.when(lambda rows: "ranker:1" not in line_of("gpu3", rows), "a host without power is shown")
            lab.power_on("gpu3")
            screen.when(has("gpu3", "ranker:1", " up "), "it is shown again")
        served.want(version=2)
        served.deploy("playbooks/at_once.yml")
        screen.when(lambda rows: all(has(name, "ranker:2", " up ")(rows) for name in machines(lab)), "all serve 2")
        rows = screen.rows()
        assert sum("Ctrl-C ends it" in row for row in rows) == 1, "\n".join(rows)
        rows = screen.ctrl_c()
        assert rows[-1] == "ENDED 130"
        assert all(has(name, "ranker:2")(rows) for name in machines(lab))
        assert rows[-2].startswith("STATUS: ")
        assert not any("Ctrl-C ends it" in row for row in rows), "\n".join(rows)


@pytest.mark.long
def test_it_ends_with_its_terminal(lab: Lab, terminal: Callable[..., Terminal]) -> None:
    """Nobody looks any longer: no session of SSH goes on."""
    with no_session_left(lab) as connected:
        screen = terminal(*WATCH)
        screen.when(has("gpu1", "ranker:1"), "it is shown")
        assert connected()
        screen.tmux("kill-server")


@pytest.mark.parametrize("number", rounds([signal.SIGINT, signal.SIGTERM], in_ci=1))
def test_without_a_terminal_each_look_stands_below_the_last(lab: Lab, served: Project, number: signal.Signals) -> None:
    """With its time and without a control character; a signal ends it with its code, and no look is cut short."""
    started = served.start(*WATCH)
    wait_until(lambda: started.shown().count("\nSTATUS: ") > 1, "two looks", deadline_s=60)
    tell(lab, "gpu2", "drain")
    wait_until(lambda: "STATUS: 1 host not in service\n" in started.shown(), "the drain is told", deadline_s=60)
    started.signal(number)
    ended = started.end()
    assert (ended.code, ended.stderr) == (128 + number, "")
    assert "\x1b" not in ended.stdout
    assert ended.stdout.count("\n-- 20") + 1 == ended.stdout.count("\nSTATUS: ")
    assert ended.last_line == "STATUS: 1 host not in service"


@pytest.mark.long
def test_it_waits_until_the_fleet_is_as_it_shall_be(lab: Lab, served: Project) -> None:
    """With --exit-code it ends by itself, and for programs each look is a line that its schema knows."""
    tell(lab, "gpu2", "drain")
    started = served.start(*WATCH, "--exit-code", "--json")
    wait_until(lambda: started.shown().count("\n") > 1, "two looks", deadline_s=60)
    tell(lab, "gpu2", "ready")
    ended = started.end()
    assert (ended.code, ended.stderr) == (0, "")
    hold_output(("status", "--json"), ended.stdout)
    summaries = [json.loads(line)["summary"] for line in ended.stdout.splitlines()]
    assert set(summaries[:-1]) == {"STATUS: 1 host not in service"}
    assert summaries[-1] == f"STATUS: all {len(machines(lab))} hosts are as the inventory says"
