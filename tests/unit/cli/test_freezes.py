"""Freeze windows: what they hold back, what they never do, and how a person goes on all the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simulation.wire import Wire

from .conftest import Project

pytestmark = pytest.mark.simulation
# The virtual clock begins at midnight of Thursday, 1 January 2026.
FREEZE = 'freeze: [{when: "0 0 * * thu", for: 6h, zone: UTC, reason: "year begins"}]\n'
TEXT = "frozen until Thu 2026-01-01 06:00 UTC (year begins): 2 hosts would change: gpu1, gpu2"


@pytest.fixture
def frozen(project: Project) -> Project:
    """Version 1 is served; version 2 is wanted, and the fleet is frozen."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    (project.path / "fleetdeploy.yml").write_text(FREEZE)
    return project


def over(project: Project) -> None:
    """The window ends."""
    project.world.clock.skip(7 * 3600)


def started(project: Project) -> list[dict[str, Any]]:
    """What the runs told of themselves when they began."""
    journals = (project.path / "state/runs").glob("*/events.jsonl")
    return [json.loads(path.read_text().splitlines()[0])["data"] for path in journals]


def test_a_deploy_changes_nothing(frozen: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which window, until when, and the whole command that goes on: exit 5, and no host was touched."""
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "deploy", "-i", "inventory.yml"])
    result = frozen.run("deploy")
    assert result.code == 5
    assert f"error: {TEXT}" in result.err
    assert "cannot wait: fleetdeploy deploy -i inventory.yml --during-freeze REASON\n" in result.err
    assert frozen.acts == []
    over(frozen)
    assert frozen.run("deploy").last_line == "OK: 2 of 2 hosts changed"


def test_a_plan_tells_of_it(frozen: Project) -> None:
    """Until when, why, and how many hosts would wait, in words and in JSON; its exit codes are what they were."""
    result = frozen.run("plan")
    assert result.code == 0
    assert "frozen until Thu 2026-01-01 06:00 UTC (year begins): 2 hosts would wait; `deploy` is refused" in result.out
    last_line = result.out.splitlines()[-1]
    assert last_line.startswith("PLAN: 2 of 2 hosts would change, ")
    assert ", frozen until Thu 2026-01-01 06:00 UTC" in last_line
    assert frozen.run("plan", "--exit-code").code == 10
    told = frozen.run("plan", "--json").json["freeze"]
    assert (told["until"], told["reason"], told["waiting"]) == (1767247200.0, "year begins", ["gpu1", "gpu2"])
    assert "frozen" not in frozen.run("deploy", "-C", "--during-freeze", "why").out
    over(frozen)
    assert "frozen" not in frozen.run("plan").out
    assert frozen.run("plan", "--json").json["freeze"] is None


def test_a_plan_without_changes_says_nothing_of_it(frozen: Project) -> None:
    """Nobody waits for the end of the window."""
    frozen.edit("versions: [2]", "versions: [1]")
    assert "frozen" not in frozen.run("plan").out
    assert frozen.run("plan", "--json").json["freeze"]["waiting"] == []


def test_a_plan_file_that_was_made_in_a_window_is_deployed_behind_it(frozen: Project) -> None:
    """That the window has ended is no difference from what was planned."""
    target = str(frozen.path / "next.plan")
    assert frozen.run("plan", "--out", target).code == 0
    over(frozen)
    assert frozen.run("deploy", target).last_line == "OK: 2 of 2 hosts changed"


def test_with_a_reason_it_does_and_the_journal_has_it(frozen: Project) -> None:
    """Who says why may change the fleet, and that is found later."""
    result = frozen.run("deploy", "--during-freeze", "CVE-2026-1")
    assert result.last_line == "OK: 2 of 2 hosts changed"
    assert [data["during_freeze"] for data in started(frozen) if "during_freeze" in data] == ["CVE-2026-1"]


def test_an_empty_reason_is_none(frozen: Project) -> None:
    """A reason has a word in it."""
    assert frozen.run("deploy", "--during-freeze", " ").code == 2


def test_with_nothing_to_do_it_is_no_matter(frozen: Project) -> None:
    """A fleet that is as it shall be is so in a window too."""
    frozen.edit("versions: [2]", "versions: [1]")
    assert (frozen.run("deploy").code, frozen.run("sync").code) == (0, 0)


def test_a_sync_waits_in_silence(frozen: Project) -> None:
    """Exit 10 says that changes are pending, and cron has nothing to mail; behind the window it does them."""
    result = frozen.run("sync")
    assert (result.code, result.out, result.err) == (10, "", "")
    assert frozen.acts == []
    assert TEXT in frozen.run("sync", "-v").err
    assert frozen.run("sync", "--json").json["exit_code"] == 10
    over(frozen)
    assert frozen.run("sync").last_line == "OK: 2 of 2 hosts changed"


def test_metrics_tell_of_a_freeze(frozen: Project) -> None:
    """How many hosts wait, that it is frozen, and until when."""
    path = frozen.path / "fd.prom"
    frozen.run("sync", "--textfile", str(path))
    lines = path.read_text()
    assert 'fleetdeploy_freeze_active{inventory="' in lines
    assert [line.rpartition(" ")[2] for line in lines.splitlines() if line.startswith("fleetdeploy_freeze")] == [
        "1.0", "1.7672472e+09",
    ]  # fmt: skip
    assert "hosts_pending{" in lines
    assert lines.split("fleetdeploy_hosts_pending{")[1].splitlines()[0].endswith(" 2.0")


def test_a_rollback_is_never_held_back(frozen: Project) -> None:
    """In the middle of a window the fleet goes back at once, also when the settings are wrong."""
    assert frozen.run("deploy", "--during-freeze", "x").code == 0
    assert frozen.run("rollback").last_line == "OK: 2 of 2 hosts rolled back"
    assert frozen.run("deploy", "--again", "--during-freeze", "x").code == 0
    (frozen.path / "fleetdeploy.yml").write_text("freeze: 3\n")
    result = frozen.run("rollback")
    assert result.last_line == "OK: 2 of 2 hosts rolled back"
    assert "note: the settings are passed over: " in result.err


def test_wrong_settings_stop_a_deploy(frozen: Project) -> None:
    """What cannot be read might be a freeze."""
    (frozen.path / "fleetdeploy.yml").write_text("freeze: 3\n")
    for command in ("deploy", "sync", "validate"):
        result = frozen.run(command)
        assert result.code == 2
        assert "fleetdeploy.yml:1:9: freeze: expected a list, got 3" in result.err


def test_validate_tells_all_that_is_wrong(frozen: Project) -> None:
    """Mistakes in the settings and in the inventory are told together."""
    (frozen.path / "fleetdeploy.yml").write_text("freeze: 3\n")
    frozen.edit("versions: [2]", "versions: [two]")
    result = frozen.run("validate")
    assert "freeze: expected a list" in result.err
    assert "versions[0]" in result.err


def test_a_run_that_began_before_goes_on(frozen: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The window is asked for before the first host, and not again."""
    (frozen.path / "fleetdeploy.yml").write_text(FREEZE.replace("0 0 * * thu", "0 0 * * fri"))
    world, call = frozen.world, Wire.call

    def begins(wire: Wire, host: str, method: str, act: Any, **options: Any) -> Any:
        if method == "serving.reload" and world.clock.now_s() < 1_767_312_000:
            world.clock.skip(1_767_312_000 - world.clock.now_s())
        return call(wire, host, method, act, **options)

    monkeypatch.setattr(Wire, "call", begins)
    assert frozen.run("deploy").last_line == "OK: 2 of 2 hosts changed"
    frozen.edit("versions: [2]", "versions: [3]")
    assert frozen.run("deploy").code == 5, "by now it is frozen"


@pytest.fixture
def one_is_out(project: Project) -> Project:
    """gpu1 serves version 1, as wanted, and was drained by a run that was killed; the fleet is frozen."""
    assert project.run("deploy").code == 0
    host = project.world.hosts["gpu1"]
    project.world.take_out("gpu1")
    host.directory("ranking").drained_by = "20251231T000000Z-dead"
    (project.path / "fleetdeploy.yml").write_text(FREEZE)
    return project


@pytest.mark.parametrize("command", ["deploy", "sync"])
def test_a_drained_host_comes_back_in_a_freeze(one_is_out: Project, command: str) -> None:
    """To put a host back into its balancer brings nothing new to anybody."""
    result = one_is_out.run(command)
    assert (result.code, result.last_line) == (0, "OK: 1 of 2 hosts changed")
    assert one_is_out.world.in_service("gpu1")


def test_a_sync_puts_back_who_is_drained_and_leaves_the_rest(one_is_out: Project) -> None:
    """Where others wait for the end of the freeze, exit 10 and a line that says both; a deploy names the host."""
    (one_is_out.path / "host_vars").mkdir()
    (one_is_out.path / "host_vars/gpu2.yml").write_text("services: {ranking: {models: {ranker: {versions: [2]}}}}\n")
    refused = one_is_out.run("deploy")
    assert refused.code == 5
    assert "only to be put back, which is not frozen: " in refused.err
    assert " --limit gpu1\n" in refused.err
    result = one_is_out.run("sync")
    assert result.code == 10
    assert result.last_line == "FROZEN until Thu 2026-01-01 06:00 UTC: gpu1 put back, 1 more would change"
    assert one_is_out.world.in_service("gpu1")
    assert not any(act.startswith("gpu2") for act in one_is_out.acts)
