"""What `sync` tells people when it finds the same as the time before: nothing that they know already."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from simulation.host import SimHost
from simulation.model_server import Quality
from simulation.world import World

from fleetdeploy.cli.changing import attempt
from fleetdeploy.domain.protocols import Ended
from fleetdeploy.remote.outside import Outside

from .conftest import Project, Result

pytestmark = pytest.mark.simulation
FREEZE = 'freeze: [{when: "0 0 * * thu", for: 6h, zone: UTC}]\n'


class Hook:
    """A command that hears of runs; ``status`` is what it ends with."""

    def __init__(self) -> None:
        self.status = 0
        self.got: list[dict[str, Any]] = []

    def command(self, _argv: object, stdin: bytes, **_: object) -> Ended:
        self.got.append(json.loads(stdin))
        return Ended(self.status, "no route to chat" if self.status else "")

    def heard(self) -> list[str]:
        """The news since the last time that somebody asked."""
        found, self.got = [item["news"] for item in self.got], []
        return found


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Hook:
    """It takes the place of whatever command the settings name."""
    made = Hook()
    monkeypatch.setattr(Outside, "command", made.command)
    return made


@pytest.fixture
def frozen(project: Project) -> Project:
    """Version 1 is served, version 2 is wanted, the fleet is frozen, and everything is told to a command."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    settings(project, FREEZE)
    return project


def settings(project: Project, text: str, on: str = "frozen, waiting, partly, unchanged") -> None:
    (project.path / "fleetdeploy.yml").write_text(f"{text}notify: [{{command: [./page], on: [{on}]}}]\n")


def sync(project: Project, *words: str, after_s: float = 300) -> Result:
    """A timer's run, so much later."""
    project.world.clock.skip(after_s)
    return project.run("sync", *words)


def test_people_are_told_of_a_freeze_once_and_what_it_holds_back(frozen: Project, hook: Hook) -> None:
    """The message says until when and who waits; it comes again when that is another host, and not every time."""
    assert sync(frozen).code == 10
    (told,) = hook.got
    assert told["summary"] == "frozen until Thu 2026-01-01 06:00 UTC: 2 hosts would change: gpu1, gpu2"
    assert hook.heard() == ["frozen"]
    assert (sync(frozen).err, hook.heard()) == ("", [])
    (frozen.path / "host_vars").mkdir()
    (frozen.path / "host_vars/gpu2.yml").write_text("services: {ranking: {models: {ranker: {versions: [1]}}}}\n")
    assert sync(frozen).err == ""
    assert hook.got[0]["summary"].endswith(": 1 host would change: gpu1")


def test_people_are_told_once_that_hosts_are_away(project: Project, hook: Hook) -> None:
    """As on the terminal: a message for the first run without the host, none for the ones like it."""
    assert project.run("sync").code == 0
    settings(project, "")
    project.world.hosts["gpu2"].reachable = False
    heard = [(sync(project).code, hook.heard()) for _ in range(3)]
    assert heard == [(8, ["partly"]), (8, []), (8, [])]


def test_what_is_asked_for_at_every_run_comes_at_every_run(project: Project, hook: Hook) -> None:
    """That nothing was to be done repeats nothing: who wants to hear it wants to know that the timer runs."""
    assert project.run("sync").code == 0
    settings(project, "")
    for _ in range(2):
        assert (sync(project).err, hook.heard()) == ("", ["unchanged"])


def test_a_hook_that_fails_is_in_one_mail_and_is_tried_until_it_hears(frozen: Project, hook: Hook) -> None:
    """A run without news says so the first time only; nobody misses the news for it."""
    hook.status = 1
    said = [sync(frozen).err for _ in range(3)]
    why = f"{frozen.path}/./page ended with status 1: no route to chat"
    assert said == [f"note: people may not have been told: {why}\n", "", ""]
    assert hook.heard() == ["frozen"] * 3
    hook.status = 0
    assert (sync(frozen).err, hook.heard()) == ("", ["frozen"])
    assert (sync(frozen).err, hook.heard()) == ("", [])
    assert not list((frozen.path / "state/missed").iterdir())


@pytest.mark.usefixtures("hook")
def test_metrics_that_cannot_be_written_are_in_one_mail(frozen: Project) -> None:
    """Until something is news all the same, or they could be written in between."""
    words = ("--textfile", str(frozen.path / "metrics/fd.prom"))
    first = sync(frozen, *words).err
    assert first.startswith("note: the metrics cannot be written: ")
    assert sync(frozen, *words).err == ""
    (frozen.path / "metrics").mkdir()
    assert sync(frozen, *words).err == ""
    (frozen.path / "metrics/fd.prom").unlink()
    (frozen.path / "metrics").rmdir()
    assert sync(frozen, *words).err == first
    frozen.world.clock.skip(7 * 3600)
    assert first in sync(frozen, *words).err, "there was news"


@pytest.mark.parametrize("command", ["deploy", "sync"])
def test_a_hook_that_fails_is_told_at_every_run_with_news(project: Project, hook: Hook, command: str) -> None:
    """Nothing is kept back from a mail that is sent anyway, nor from a person."""
    settings(project, "", on="changed")
    hook.status = 1
    for old, new in ((1, 2), (2, 3)):
        project.edit(f"versions: [{old}]", f"versions: [{new}]")
        assert "note: people may not have been told: " in project.run(command).err


@pytest.fixture
def waiting(project: Project) -> Project:
    """Version 1 is served, version 2 failed a short while ago, and is left alone."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    for host in project.world.hosts.values():
        host.quality["ranker", 2] = Quality.UNLOADABLE
    (project.path / "fleetdeploy.yml").write_text("sync: {retry_after: 6h}\n")
    assert project.run("sync").code == 3
    return project


def test_a_host_that_went_away_meanwhile_is_news_while_the_rest_waits(waiting: Project) -> None:
    """It is told once, with the reason and a true last line, for as long as it is away; the exit code stays 10."""
    gpu2 = waiting.world.hosts["gpu2"]
    assert sync(waiting).err == ""
    gpu2.reachable = False
    first = sync(waiting)
    assert first.code == 10
    assert first.err.startswith("gpu2: unreachable: ")
    assert re.fullmatch(r"waiting until .*: 1 host would change: gpu1; skipped as unreachable: gpu2", first.last_line)
    assert [sync(waiting).err for _ in range(2)] == ["", ""]
    gpu2.reachable = True
    assert sync(waiting).err == ""
    gpu2.reachable = False
    assert sync(waiting).last_line == first.last_line, "it was back in between"


@pytest.mark.usefixtures("hook")
def test_a_host_that_is_told_of_as_away_is_so_in_a_freeze_as_well(project: Project) -> None:
    """A run that skipped it said so: that a window begins says nothing new of it."""
    assert project.run("sync").code == 0
    project.world.hosts["gpu2"].reachable = False
    assert sync(project).code == 8
    project.edit("versions: [1]", "versions: [2]")
    settings(project, FREEZE)
    assert (sync(project).code, sync(project).err) == (10, "")


@pytest.mark.usefixtures("hook")
def test_who_need_not_wait_is_done_and_who_is_away_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where some wait and others do not, the unreachable ones are in the run's plays, its plan and its outcome, and the
    last line says that they were skipped and how many more would change.
    """
    third(project.world)
    project.edit("gpu[1:2]", "gpu[1:3]")
    project.edit("max_unavailable: 1 ", "max_unavailable: 2 ", file="playbooks/deploy.yml")
    assert project.run("deploy").code == 0
    settings(project, FREEZE, on="partly, frozen")
    (project.path / "host_vars").mkdir()
    (project.path / "host_vars/gpu2.yml").write_text("services: {ranking: {models: {ranker: {versions: [2]}}}}\n")
    project.world.take_out("gpu1")
    project.world.hosts["gpu1"].directory("ranking").drained_by = "20251231T000000Z-dead"
    project.world.hosts["gpu3"].reachable = False
    made, narrowed = list[Any](), attempt.narrowed
    monkeypatch.setattr(attempt, "narrowed", lambda *args: made.append(narrowed(*args)) or made[-1])
    result = sync(project, "--json")
    assert result.code == 8
    frozen = "FROZEN until Thu 2026-01-01 06:00 UTC: 1 more would change"
    assert result.last_line == f"PARTLY: 1 of 2 hosts changed, skipped as unreachable: gpu3; {frozen}"
    assert {name: item["state"] for name, item in result.json["hosts"].items()} == {
        "gpu1": "changed", "gpu3": "unreachable",
    }  # fmt: skip
    ((narrow, plan),) = made
    assert [bound.hosts for bound in narrow.plays] == [("gpu1", "gpu3")] * 3
    assert (set(narrow.targets.by_name), set(plan.hosts), set(plan.unreachable)) == (
        {"gpu1", "gpu3"}, {"gpu1"}, {"gpu3"},
    )  # fmt: skip
    assert "gpu2" in plan.beyond, "capacity is the whole play's"


def third(world: World) -> SimHost:
    """One more host like the others."""
    world.hosts |= World.of("gpu3", registry=["serving:2"]).hosts
    return world.hosts["gpu3"]
