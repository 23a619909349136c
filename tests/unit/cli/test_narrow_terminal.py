"""What a person at a narrow terminal reads, and copies from it."""

from __future__ import annotations

import io
from dataclasses import dataclass

import pytest
from rich.console import Console
from simulation.model_server import Quality

from .conftest import Project

pytestmark = pytest.mark.simulation


@dataclass
class Terminal:
    """Whatever a command prints goes there."""

    file: io.StringIO
    console: Console

    def rows(self) -> list[str]:
        """What was printed since the last call, as rows that end with a line break of the program's own."""
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        return text.splitlines()


@pytest.fixture(params=[80, 40])
def terminal(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Of so many columns, and without colours: a run on it is told line by line."""
    file = io.StringIO()
    out = Console(file=file, width=request.param, color_system=None, highlight=False, markup=False)
    monkeypatch.setattr("fleetdeploy.report.terminal.console", lambda **_: out)
    return Terminal(file, out)


PLACES = "-i inventory.yml --state-dir /var/lib/somewhere/that/is/wider/than/any/narrow/terminal/is"


@pytest.fixture
def unserved(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Version 1 serves, version 2 is wanted and loads nowhere; commands were typed with PLACES."""
    project.run("deploy")
    for host in project.world.hosts.values():
        host.quality["ranker", 2] = Quality.UNLOADABLE
    project.edit("versions: [1]", "versions: [2]")
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "deploy", *PLACES.split()])
    return project


def test_what_goes_on_can_be_pasted(unserved: Project, terminal: Terminal) -> None:
    """A broken version: the look comes first, then the deploy without that version, each on a row of its own."""
    terminal.rows()
    assert unserved.run("deploy").code == 3
    rows = terminal.rows()
    look = next(number for number, row in enumerate(rows) if row.startswith("next: "))
    assert rows[look].startswith("next: fleetdeploy runs show --state-dir /var/lib/somewhere/that/is/wider")
    again = rows.index(f"  fleetdeploy deploy {PLACES}")
    told = " ".join(map(str.strip, rows[look + 1 : again]))
    assert told == "once it is mended, or version 2 of ranker is taken out of the inventory:"
    last_line = " ".join(map(str.strip, rows[again + 1 :]))
    assert last_line == "FAILED: gpu1; gpu1 reverted, every host serves what it served before"


def test_sync_tells_that_it_waits(unserved: Project, terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever reads its mail knows why the next runs do nothing."""
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "sync", *PLACES.split()])
    terminal.rows()
    assert unserved.run("sync").code == 3
    rows = terminal.rows()
    assert "sync leaves what failed alone for a while (--retry-after):" in " ".join(map(str.strip, rows))
    assert f"  fleetdeploy sync {PLACES}" in rows


def test_a_refusals_command_can_be_pasted(unserved: Project, terminal: Terminal) -> None:
    """A plan file that does not hold any more: what plans again stands on a row of its own."""
    plan = str(unserved.path / "next.plan")
    unserved.run("plan", "--out", plan)
    unserved.edit("versions: [2]", "versions: [3]")
    terminal.rows()
    assert unserved.run("deploy", plan).code == 5
    rows = terminal.rows()
    again = next(number for number, row in enumerate(rows) if row.endswith("plan again:"))
    assert rows[again + 1].startswith("      fleetdeploy plan ")
    assert not rows[again + 2].startswith("      ")


def test_what_goes_on_below_is_indented(project: Project, terminal: Terminal) -> None:
    """In plan, status and a rollback's notes, so that hosts stand out in the first column."""
    heads = ("gpu", "PLAN: ", "STATUS: ", "note: ", "play ", "no change: ")
    project.run("deploy")
    project.edit("versions: [1]", "versions: [2]")
    project.run("deploy")
    project.edit("versions: [2]", "versions: [3]")
    project.run("deploy")
    project.run("rollback")
    terminal.rows()
    for command in (("plan",), ("status",), ("rollback", "-C"), ("deploy", "-C")):
        project.run(*command)
        rows = terminal.rows()
        assert len(rows) > 2
        assert (command[0] == "rollback") is any(row.startswith("note: gpu") for row in rows)
        assert [row for row in rows if not row.startswith((" ", *heads))] == [], command
        assert all(len(row) <= terminal.console.width for row in rows), command
