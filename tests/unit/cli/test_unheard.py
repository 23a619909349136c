"""What people did not hear, as their hook was down, they hear later: whatever the run finds that tells them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from simulation.model_server import Quality

from fleetdeploy.cli.changing import missed
from fleetdeploy.domain.protocols import Ended
from fleetdeploy.remote.outside import Outside

from .conftest import Project, Result

pytestmark = pytest.mark.simulation


class Hooks:
    """Commands that hear of runs, by their names; those in ``down`` fail."""

    def __init__(self) -> None:
        self.down: set[str] = set()
        self.told: list[tuple[str, dict[str, Any]]] = []

    def command(self, argv: tuple[str, ...], stdin: bytes, **_: object) -> Ended:
        if argv[0] in self.down:
            return Ended(1, "no route to chat")
        self.told.append((argv[0], json.loads(stdin)))
        return Ended(0, "")

    def heard(self) -> list[str]:
        """The news since the last time that somebody asked, and by which hook."""
        found, self.told = [f"{name} {body['news']}" for name, body in self.told], []
        return found


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Hooks:
    """They take the place of whatever commands the settings name."""
    made = Hooks()
    monkeypatch.setattr(Outside, "command", lambda _, *args, **more: made.command(*args, **more))
    return made


@pytest.fixture
def failing(project: Project) -> Project:
    """Version 1 is served, version 2 is wanted and cannot be loaded."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    for host in project.world.hosts.values():
        host.quality["ranker", 2] = Quality.UNLOADABLE
    settings(project, "{command: [chat], on: [failed, refused, partly, changed]}")
    return project


def settings(project: Project, *notify: str) -> None:
    (project.path / "fleetdeploy.yml").write_text(f"notify: [{', '.join(notify)}]\n")


def sync(project: Project, *words: str, after_s: float = 120) -> Result:
    """A timer's run, so much later."""
    project.world.clock.skip(after_s)
    return project.run("sync", *words)


def waiting(project: Project) -> list[Path]:
    return sorted((project.path / "state/missed").glob("*-*.json"))


def test_a_failure_is_heard_once_the_hook_is_back(failing: Project, hooks: Hooks) -> None:
    """The next run has other news, and tells the failure as it was; the one after it tells nothing more."""
    hooks.down = {"chat"}
    failed = sync(failing)
    assert failed.code == 3
    assert "note: people may not have been told: chat ended with status 1: no route to chat" in failed.err
    assert (sync(failing).code, sync(failing).err) == (10, "")
    hooks.down.clear()
    assert (sync(failing).err, len(hooks.told)) == ("", 1)
    assert hooks.told[0][1]["exit_code"] == 3
    assert f"\n{hooks.told[0][1]['summary']}\n" in failed.err
    assert hooks.heard() == ["chat failed"]
    assert (sync(failing).code, hooks.heard(), waiting(failing)) == (10, [], [])
    assert not list((failing.path / "state/missed").iterdir())


def test_what_was_not_heard_comes_before_what_is_new(failing: Project, hooks: Hooks) -> None:
    """Oldest first, each once, and then the run's own."""
    hooks.down = {"chat"}
    assert sync(failing).code == 3
    for host in failing.world.hosts.values():
        host.quality.clear()
    assert sync(failing, after_s=7 * 3600).code == 0
    failing.edit("versions: [2]", "versions: [3]")
    hooks.down.clear()
    assert sync(failing).code == 0
    runs = [body["run"] for _, body in hooks.told]
    assert runs == sorted(set(runs))
    assert hooks.heard() == ["chat failed", "chat changed", "chat changed"]


def test_a_persons_command_tells_what_a_timers_could_not(failing: Project, hooks: Hooks) -> None:
    """It is the inventory that people are told of, and not the line of a crontab; another inventory's stays."""
    settings(failing, "{command: [chat], on: [failed]}")
    hooks.down = {"chat"}
    assert sync(failing).code == 3
    hooks.down.clear()
    failing.edit("versions: [2]", "versions: [1]")
    (failing.path / "other.yml").write_text((failing.path / "inventory.yml").read_text())
    assert failing.run("sync", "-i", str(failing.path / "other.yml")).code == 0
    assert hooks.heard() == []
    assert failing.run("deploy").code == 0
    assert hooks.heard() == ["chat failed"]


def test_each_hook_has_its_own(failing: Project, hooks: Hooks) -> None:
    """Who heard it is not told again, and who does not want such news any more is not told at all."""
    both = ("{command: [chat], on: [failed]}", "{command: [pager], on: [failed]}")
    settings(failing, *both)
    hooks.down = {"pager"}
    assert sync(failing).code == 3
    assert hooks.heard() == ["chat failed"]
    hooks.down.clear()
    settings(failing, both[0], "{command: [pager], on: [changed]}")
    assert (sync(failing).code, hooks.heard()) == (10, [])
    settings(failing, both[0])
    assert (sync(failing).code, hooks.heard()) == (10, []), "what was another's is nobody's while that one is gone"
    settings(failing, *reversed(both))
    assert (sync(failing).code, hooks.heard()) == (10, ["pager failed"])


def test_a_hook_with_a_mended_address_hears_what_the_wrong_one_did_not(failing: Project, hooks: Hooks) -> None:
    """It stands where the other one stood; a name that was mistyped is no reason to lose a failure."""
    settings(failing, "{command: [cat], on: [failed]}", "{command: [pager], on: [failed]}")
    hooks.down = {"cat"}
    assert sync(failing).code == 3
    assert hooks.heard() == ["pager failed"]
    settings(failing, "{command: [chat], on: [failed]}", "{command: [pager], on: [failed]}")
    assert (sync(failing).code, hooks.heard()) == (10, ["chat failed"])


def test_after_a_night_of_a_dead_hook_there_is_little_to_read(project: Project, hooks: Hooks) -> None:
    """Of runs that did nothing the newest of each kind is told, of those that did something at most ten."""
    assert project.run("deploy").code == 0
    settings(project, "{command: [chat], on: [changed, unchanged]}")
    hooks.down = {"chat"}
    for number in range(missed.MOST_UNHEARD + 2):
        old, new = (1, 2) if number % 2 == 0 else (2, 1)
        project.edit(f"versions: [{old}]", f"versions: [{new}]")
        assert sync(project).code == 0
        if number % 3 == 0:
            assert sync(project).code == 0
    assert len(waiting(project)) == missed.MOST_UNHEARD
    hooks.down.clear()
    newest = sync(project)
    assert newest.code == 0
    runs = [body["run"] for _, body in hooks.told]
    assert runs == sorted(set(runs))
    heard = hooks.heard()
    assert (heard.count("chat changed"), heard.count("chat unchanged")) == (missed.MOST_UNHEARD - 1, 2)


def test_what_nobody_wants_to_read_any_more_is_not_told(failing: Project, hooks: Hooks) -> None:
    """After a week it is gone."""
    settings(failing, "{command: [chat], on: [failed]}")
    hooks.down = {"chat"}
    assert sync(failing, "--retry-after", "0").code == 3
    hooks.down.clear()
    failing.edit("versions: [2]", "versions: [1]")
    assert (sync(failing, after_s=missed.UNHEARD_S + 1).code, hooks.heard(), waiting(failing)) == (0, [], [])


@pytest.mark.parametrize("damage", ["", "{", "[1", '{"to": "chat"}', '{"to": 3, "number": -1}', "[[[" * 9999])
def test_a_damaged_message_is_told_and_set_aside(failing: Project, hooks: Hooks, damage: str) -> None:
    """The run ends as it would have, the note comes once, and what else waits is heard."""
    hooks.down = {"chat"}
    assert sync(failing).code == 3
    (whole,) = waiting(failing)
    broken = whole.with_name(whole.name.replace("-0", "-00", 1))
    broken.write_text(damage)
    hooks.down.clear()
    result = sync(failing)
    assert (result.code, hooks.heard()) == (10, ["chat failed"])
    aside = broken.with_name(f"{broken.name}.damaged")
    said = "note: what people have not heard cannot be read, the file is damaged and set aside: "
    assert result.err.replace("\n  ", " ").startswith(said)
    assert aside.read_text() == damage
    assert (sync(failing).err, waiting(failing)) == ("", [])


def test_names_alone_are_understood(project: Project, hooks: Hooks) -> None:
    """What a version left that kept no messages: who is named there hears it when it comes again."""
    assert project.run("sync").code == 0
    settings(project, "{command: [chat], on: [partly]}")
    project.world.hosts["gpu2"].reachable = False
    hooks.down = {"chat"}
    assert sync(project).code == 8
    for path in waiting(project):
        path.unlink()
    assert [json.loads(path.read_text()) for path in (project.path / "state/missed").iterdir()] == [["chat"]]
    hooks.down.clear()
    assert (sync(project).err, hooks.heard()) == ("", ["chat partly"])
    assert (sync(project).err, hooks.heard()) == ("", [])


def test_names_that_are_damaged_are_set_aside(project: Project, hooks: Hooks) -> None:
    """They are told of once, and the run goes on as if nothing had been missed."""
    assert project.run("sync").code == 0
    settings(project, "{command: [chat], on: [unchanged]}")
    hooks.down = {"chat"}
    assert sync(project).code == 0
    (names,) = set((project.path / "state/missed").iterdir()) - set(waiting(project))
    names.write_text('{"no": "list"}')
    hooks.down.clear()
    first, second = sync(project), sync(project)
    assert (first.code, second.code, second.err) == (0, 0, "")
    assert names.with_name(f"{names.name}.damaged").exists()


def test_where_nothing_can_be_kept_the_run_ends_as_it_did(
    failing: Project, hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note says that the message cannot wait either."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    hooks.down = {"chat"}
    monkeypatch.setattr("fleetdeploy.report.whole_file.write_whole", full)
    result = sync(failing)
    assert result.code == 3
    assert "(nor can it wait for the next run: No space left on device)" in result.err.replace("\n  ", " ")


def test_no_secret_waits(failing: Project, hooks: Hooks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a host's failure says, what is kept is what would have been sent: without the value."""
    monkeypatch.setenv("TOKEN", "unloadable-hunter2")
    failing.edit("image: serving:1", "image: serving:1\n            environment: {TOKEN: !secret {env: TOKEN}}")
    hooks.down = {"chat"}
    monkeypatch.setattr(
        "fleetdeploy.report.ending.Ending.summary", property(lambda _: "it failed with unloadable-hunter2")
    )
    assert sync(failing).code == 3
    (kept,) = waiting(failing)
    assert "it failed with" in kept.read_text()
    assert "hunter2" not in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
