"""Commands from argument to exit code, against a simulated fleet."""

from __future__ import annotations

import io
import json
import os
import shutil

import pytest
from simulation.model_server import Quality

from fleetdeploy.cli.main import main
from fleetdeploy.rollout.journal.reading import Records

from .conftest import Project

pytestmark = pytest.mark.simulation


def spoil(project: Project, number: int) -> None:
    for host in project.world.hosts.values():
        host.quality[("ranker", number)] = Quality.NO_VARIABLES


def test_deploy_and_again(project: Project) -> None:
    """A deploy ends with exit 0 and a true last line; the same again changes nothing and says so."""
    first = project.run("deploy")
    assert (first.code, first.last_line) == (0, "OK: 2 of 2 hosts changed")
    assert project.world.serves("gpu2").versions == (("ranker", (1,)),)
    again = project.run("deploy")
    assert (again.code, again.last_line) == (0, "OK: 2 hosts, nothing to do")
    assert project.acts == []
    assert first.out == again.out == "", "progress belongs on stderr"


def test_a_deploy_as_json_is_json_alone(project: Project) -> None:
    """With ``--json`` stdout holds one document with the exit code, the summary and every host's state."""
    found = project.run("deploy", "--json").json
    assert found["exit_code"] == 0
    assert found["summary"] == "OK: 2 of 2 hosts changed"
    assert {name: item["state"] for name, item in found["hosts"].items()} == {"gpu1": "changed", "gpu2": "changed"}


def test_quiet_is_silent_unless_something_fails(project: Project) -> None:
    """From cron a good run prints nothing at all; a bad one prints why and the last line."""
    good = project.run("deploy", "-q")
    assert (good.code, good.out, good.err) == (0, "", "")
    spoil(project, 2)
    project.edit("versions: [1]", "versions: [2]")
    bad = project.run("deploy", "-q")
    assert bad.code == 3
    assert "FAILED: golden request 'v2' to ranker version 2" in bad.err
    assert bad.last_line == "FAILED: gpu1; gpu1 reverted, every host serves what it served before"


def test_a_broken_version_is_reverted_with_exit_3(project: Project) -> None:
    """The recap names each host's state and the reason, under Ansible's words."""
    project.run("deploy")
    spoil(project, 2)
    project.edit("versions: [1]", "versions: [2]")
    result = project.run("deploy")
    assert result.code == 3
    recap = result.err[result.err.index("RECAP") :]
    assert "reverted=1" in recap
    assert "skipped=1" in recap
    assert project.world.serves("gpu1").versions == (("ranker", (1,)),)


def test_check_changes_nothing(project: Project) -> None:
    """``deploy --check`` prints the plan and makes no call that could change anything."""
    result = project.run("deploy", "--check")
    assert result.code == 0
    assert "PLAN: 2 of 2 hosts would change" in result.out
    assert project.acts == []
    assert not any(host.containers for host in project.world.hosts.values())


def test_plan_tells_pending_changes_by_exit_code(project: Project) -> None:
    """``plan --exit-code`` is 10 while something would change and 0 afterwards."""
    assert project.run("plan").code == 0
    assert project.run("plan", "--exit-code").code == 10
    project.run("deploy")
    settled = project.run("plan", "--exit-code")
    assert settled.code == 0
    assert "no change: gpu1, gpu2" in settled.out
    assert "PLAN: 0 of 2 hosts would change" in settled.out
    assert project.acts == []


def test_plan_says_what_would_change_and_why(project: Project) -> None:
    """Activation, reason, bytes to copy and the differences of the configuration are all there."""
    project.run("deploy")
    project.edit("versions: [1]", "versions: [2]")
    out = project.run("plan").out
    assert "service ranking: reload, only the model configuration changed" in out
    assert "stage ranker/2: copy" in out
    assert "-        versions: 1" in out
    assert "+        versions: 2" in out
    assert "models.ranker.versions: [1] -> [2]" in out


def test_plan_as_json(project: Project) -> None:
    """The shape is part of the contract: activation, reason, stage, changes and container of each service."""
    found = project.run("plan", "--json").json
    assert found["changed"] is True
    assert found["unreachable"] == {}
    service = found["hosts"]["gpu1"]["services"]["ranking"]
    assert set(service) == {
        "activation", "reason", "release", "pull_image", "undrain", "stage", "changes", "container", "server",
    }  # fmt: skip
    assert service["activation"] == "start"
    assert service["stage"][0]["model"] == "ranker"
    assert found["hosts"]["gpu1"]["refusals"] == []


def test_a_host_that_is_down(project: Project) -> None:
    """Exit 5 and nothing touched; with ``--allow-unreachable`` exit 8; ``plan`` and ``status`` tell it too."""
    project.run("deploy")
    project.edit("versions: [1]", "versions: [2]")
    project.world.hosts["gpu2"].reachable = False
    refused = project.run("deploy")
    assert (refused.code, project.acts) == (5, [])
    assert "gpu2: unreachable: no route to host" in refused.err
    assert "nothing was touched" in refused.err
    assert "--limit" not in refused.err, "it does not help: every host of the play counts"
    assert "--allow-unreachable" in refused.err
    assert "where max_unavailable and min_available leave room" in refused.err
    assert project.run("plan").code == 5
    status = project.run("status")
    assert status.code == 4
    assert "gpu2: UNREACHABLE" in status.out
    full = project.run("deploy", "--allow-unreachable")
    assert full.code == 5, "the one that is down uses up max_unavailable"
    assert "bring them back, or let max_unavailable be more; --limit does not help" in full.err
    project.edit("max_unavailable: 1", "max_unavailable: 2", file="playbooks/deploy.yml")
    partly = project.run("deploy", "--allow-unreachable")
    assert partly.code == 8
    assert partly.last_line == "PARTLY: 1 of 2 hosts changed, skipped as unreachable: gpu2"


def test_limit_touches_only_the_hosts_it_names(project: Project) -> None:
    """``-l gpu1`` changes gpu1; the other host is looked at once, as capacity is theirs together, and not touched."""
    result = project.run("deploy", "-l", "gpu1")
    assert (result.code, result.last_line) == (0, "OK: 1 of 1 host changed")
    assert [call for wire in project.wires for call in wire.calls if call[0] == "gpu2"] == [("gpu2", "observe")]


@pytest.mark.parametrize(
    "words",
    [["deploy"], ["deploy", "--diff"], ["sync"], ["rollback"], ["rollback", "--diff"], ["prune", "--keep", "1"]],
    ids=" ".join,
)
def test_a_run_goes_on_when_nobody_reads_what_it_tells(
    project: Project, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `2>&1 | head -1`: it is carried out, ends with its own exit code, and its journal has its end."""
    for old, new in ((1, 1), (1, 2), (2, 3)):
        project.edit(f"versions: [{old}]", f"versions: [{new}]")
        if new < 3 or words[0] in {"rollback", "prune"}:
            assert project.run("deploy").code == 0
    before = set((project.path / "state/runs").iterdir())
    reader, writer = os.pipe()
    os.close(reader)
    with (
        monkeypatch.context() as patched,
        io.TextIOWrapper(os.fdopen(writer, "wb", buffering=0), write_through=True) as nobody,
    ):
        patched.setattr("sys.stderr", nobody)  # without a buffer, as Python's own
        patched.setattr("sys.argv", ["fleetdeploy", *words])
        assert project.run(*words).code == 0
    (made,) = set((project.path / "state/runs").iterdir()) - before
    *_, end = Records(made / "events.jsonl", run=made.name)
    assert (end.kind, end.data["exit_code"]) == ("run_finished", 0)
    assert project.acts


def test_validate_contacts_nobody(project: Project) -> None:
    """Good input is exit 0 with counts, as text or JSON, and no session is opened."""
    assert project.run("validate").out == "OK: 2 hosts with 1 service each, 3 plays\n"
    assert project.run("validate", "--json").json == {
        "format": 1,
        "exit_code": 0,
        "hosts": 2,
        "services": 2,
        "plays": 3,
    }
    assert project.wires == []


@pytest.mark.parametrize(
    ("words", "missing", "hint"),
    [
        ([], "inventories: no such inventory", "{here}: cd into the project, or name it by --project DIR"),
        (["-i", "inventories/lab"], "inventories/lab: no such inventory", "{here}: cd into the project, or write"),
        (["-i", "{project}/inventory.yml"], "playbooks/deploy.yml: no such playbook", "{here}: cd into the project"),
        (["--project", "{project}"], "{project}/inventories: no such inventory", "name the project by --p"),
        (["-i", "h1,", "--project", "{project}/../nowhere"], "nowhere/playbooks/deploy.yml: no such playbook", "--pro"),
    ],
)
def test_what_is_not_there_is_told_with_where_it_was_looked_for(
    project: Project,
    words: list[str],
    missing: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In another directory than the project's the error says which one it is, and how the project is named."""
    elsewhere = project.path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert main(["deploy", "--no-color", *(word.format(project=project.path) for word in words)]) == 2
    error, told = capsys.readouterr().err.splitlines()
    assert missing.format(project=project.path) in error
    assert hint.format(here=f"it was looked for from {elsewhere}") in told


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("versions: [1]", "versions: [9]", 7, "has no version 9"),
        ("source: models/ranker", "source: models/rankr", 7, "is not a directory"),
        ("image: serving:1", "imge: serving:1", 2, "image"),
        ("host: lb", "host: lbb", 2, "lbb"),
        ("golden.jsonl", "gold.jsonl", 2, "gold.jsonl"),
        ("hosts:\n        gpu", "host:\n        gpu", 2, "hosts"),
    ],
)
def test_bad_input_touches_nothing(project: Project, old: str, new: str, code: int, message: str) -> None:
    """Every command that reads the project refuses it alike, with a hint, before anybody is contacted."""
    project.edit(old, new)
    for command in ("validate", "plan", "deploy"):
        result = project.run(command)
        assert result.code == code, result.err
        assert message in result.err
        assert result.err.startswith("error: ")
        assert result.out == ""
    assert project.wires == []


def test_an_error_as_json(project: Project) -> None:
    """With ``--json`` an error is one document on stdout: exit code, kind, problems with place and hint."""
    project.edit("image: serving:1", "imge: serving:1")
    result = project.run("deploy", "--json")
    assert result.err == ""
    assert set(result.json) == {"exit_code", "error", "problems", "detail"}
    assert result.json["exit_code"] == result.code == 2
    assert result.json["error"] == "InputError"
    first = result.json["problems"][0]
    assert set(first) == {"message", "where", "hint"}
    assert "inventory.yml:" in first["where"]


def test_a_model_directory_without_a_saved_model(project: Project) -> None:
    """A directory that only looks like a version is exit 7."""
    (project.path / "models" / "ranker" / "1" / "saved_model.pb").unlink()
    assert project.run("deploy").code == 7


def test_an_undefined_variable_in_a_template(project: Project) -> None:
    """The template's name and line, exit 2."""
    with (project.path / "templates" / "model.config.j2").open("a") as file:
        file.write("{{ nobody_knows }}\n")
    result = project.run("validate")
    assert result.code == 2
    assert "nobody_knows" in result.err
    assert "model.config.j2:" in result.err


def test_a_pattern_that_matches_nothing(project: Project) -> None:
    """A misspelt limit never means all hosts, nor none in silence."""
    for arguments in (
        ("deploy", "-l", "gpu3"),
        ("plan", "-l", "gpux"),
        ("status", "gpu9"),
        ("inventory", "list", "gp"),
    ):
        result = project.run(*arguments)
        assert result.code == 2, result.err
        assert result.out == ""


def test_activate_without_verify_is_refused(project: Project) -> None:
    """A playbook that would trust AVAILABLE is bad input, with its place."""
    project.edit(
        "    - verify: {timeout: 5m, golden: true}  # AVAILABLE",
        "    # AVAILABLE",
        file="playbooks/deploy.yml",
    )
    result = project.run("validate")
    assert result.code == 2
    lines = (project.path / "playbooks/deploy.yml").read_text().splitlines()
    play = next(number for number, line in enumerate(lines, 1) if line.startswith("- name: Switch over"))
    assert f"deploy.yml:{play}:3" in result.err
    assert "without a `verify`" in result.err


def test_an_unknown_argument_of_a_task(project: Project) -> None:
    """The task, the key and the place are named, and the nearest key suggested."""
    project.edit("timeout: 5m", "timeuot: 5m", file="playbooks/deploy.yml")
    result = project.run("validate")
    assert result.code == 2
    assert "timeuot" in result.err
    assert "timeout" in result.err


def test_many_hosts_are_not_changed_without_a_word(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """More hosts than the limit need ``--yes``, ``--limit`` or a person; without a terminal that is exit 2."""
    monkeypatch.setattr("fleetdeploy.cli.changing.deploy.ASK_ABOVE", 1)
    refused = project.run("deploy")
    assert (refused.code, project.acts) == (2, [])
    assert "2 hosts would change, and nobody is here to agree" in refused.err
    assert project.run("deploy", "-l", "gpu1").code == 0
    assert project.run("deploy", "--yes").code == 0


def test_a_second_run_is_locked_out(project: Project) -> None:
    """While a run holds the fleet's lock another one exits 6 and names it."""
    from fleetdeploy.domain.inventory import Connection, Host
    from fleetdeploy.rollout.locks import local as lock

    host = Host("another name", Connection("gpu2"))
    with lock.hold(project.path / "home/fleetdeploy/locks", [host], "run-1", project.world.clock):
        result = project.run("deploy")
    assert (result.code, project.acts) == (6, [])
    assert "run run-1" in result.err


def test_events_are_written_to_a_file(project: Project) -> None:
    """``--events`` appends the whole run as JSON lines, from its start to its true end."""
    path = project.path / "events.jsonl"
    project.run("deploy", "--events", str(path))
    events = [json.loads(line) for line in path.read_text().splitlines()]
    assert events[0]["kind"] == "run_started"
    assert events[-1]["kind"] == "run_finished"
    assert events[-1]["message"] == "OK: 2 of 2 hosts changed"
    assert {event["run"] for event in events} == {events[0]["run"]}
    (journal,) = (project.path / "state" / "runs").iterdir()
    assert len((journal / "events.jsonl").read_text().splitlines()) == len(events)


def test_prune_is_further_work_that_a_plan_shows(project: Project) -> None:
    """Old versions that the playbook would remove are told host by host; the last good one is none of them."""
    for number in (2, 3):
        project.run("deploy")
        project.edit(f"versions: [{number - 1}]", f"versions: [{number}]")
    project.edit("keep: 3", "keep: 1", file="playbooks/deploy.yml")
    assert project.run("deploy").code == 0
    assert project.run("plan", "--exit-code").code == 0
    shutil.copytree(project.path / "models" / "ranker" / "3", project.path / "models" / "ranker" / "4")
    assert list(project.world.hosts["gpu1"].directory("ranking").versions["ranker"]) == [2, 3]


def test_diff_shows_the_plan_first(project: Project) -> None:
    """``deploy --diff`` prints the plan on stderr before it acts."""
    result = project.run("deploy", "--diff")
    assert "service ranking: start, no container on the host" in result.err
    assert result.out == ""
