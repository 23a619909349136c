"""``rollback`` as typed: which release is meant, what is refused, and what a deploy does afterwards."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from simulation.world import SERVICE

from fleetdeploy.domain.observed import ProvenRelease

from .conftest import Project


def deployed(project: Project, *numbers: int) -> None:
    """Versions of the ranker, one rollout each; the first is what the inventory has already."""
    for before, number in zip((numbers[0], *numbers), numbers, strict=False):
        project.edit(f"versions: [{before}]", f"versions: [{number}]")
        assert project.run("deploy").code == 0


def versions(project: Project) -> list[tuple[int, ...]]:
    return [dict(project.world.serves(name).versions)["ranker"] for name in project.world.hosts]


def history(project: Project, host: str = "gpu1") -> list[ProvenRelease]:
    return project.world.hosts[host].directory(SERVICE).history or []


@pytest.fixture
def upgraded(project: Project) -> Project:
    """Versions 1, 2 and 3 were deployed, and their sources are gone."""
    deployed(project, 1, 2, 3)
    shutil.rmtree(project.path / "models")
    return project


def test_hosts_go_back_and_the_last_line_says_so(upgraded: Project) -> None:
    """Without a release named, all hosts go back to the last good one, with no source of the models there any more."""
    result = upgraded.run("rollback")
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts rolled back")
    assert versions(upgraded) == [(2,), (2,)]
    assert "gpu1, gpu2: ranking: from " in result.err
    assert not any("stage" in act or "pull" in act for act in upgraded.acts)


def test_check_changes_nothing_and_shows_the_plan(upgraded: Project) -> None:
    """``-C`` shows the plan of the way back, exit 0, and touches nothing."""
    result = upgraded.run("rollback", "-C")
    assert result.code == 0
    assert upgraded.acts == []
    assert "activate" in result.out or "reload" in result.out
    assert versions(upgraded) == [(3,), (3,)]
    assert upgraded.run("rollback", "-C", "--json").json["changed"] is True


def test_check_says_nothing_of_signatures_and_shows_the_difference(upgraded: Project) -> None:
    """What is gone back to was served before and its source is not read; the configuration's rows are shown."""
    out = upgraded.run("rollback", "-C").out
    assert "signatures" not in out
    assert "  wave 1: gpu1, gpu2  1 of 2 stay in service, 1 at a time\n" in out
    assert "      -        versions: 3\n      +        versions: 2\n" in out
    assert "      -" not in upgraded.run("rollback", "-C", "-q").out


@pytest.mark.parametrize("name", ["id", "hash", "part", "ranker=1"])
def test_a_release_may_be_named_in_four_ways(upgraded: Project, name: str) -> None:
    """By its id, by a part of it, by the hash at its end and by a version that it serves."""
    first = history(upgraded)[0]
    names = {"id": first.id, "hash": first.content_hash, "part": first.content_hash[2:8]}
    assert upgraded.run("rollback", names.get(name, name)).code == 0
    assert versions(upgraded) == [(1,), (1,)]
    again = upgraded.run("rollback", names.get(name, name))
    assert (again.code, again.last_line, upgraded.acts) == (0, "OK: 2 hosts, nothing to do", [])


def test_an_unknown_release_is_bad_input_with_what_there_is(upgraded: Project) -> None:
    """A typo ends with exit 2, the nearest name, and the releases that are possible."""
    typo = history(upgraded)[0].id[:-1] + "_"
    result = upgraded.run("rollback", typo)
    assert result.code == 2
    assert upgraded.acts == []
    assert f"did you mean {history(upgraded)[0].id!r}?" in result.err
    assert "ranking: possible on every host: " in result.err


def test_of_hosts_that_could_not_be_asked_nothing_is_said(upgraded: Project) -> None:
    """Whether they have proven a release is not known: with none to ask why that is so is told, else which are left."""
    upgraded.world.hosts["gpu2"].reachable = False
    result = upgraded.run("rollback", "nosuch")
    assert result.code == 2
    assert "no host has proven a release 'nosuch'" in result.err
    assert "    gpu2 could not be asked\n" in result.err
    upgraded.world.hosts["gpu1"].reachable = False
    result = upgraded.run("rollback", "nosuch")
    assert result.code == 5
    assert "has proven" not in result.err
    assert "gpu1, gpu2: unreachable: " in result.err
    assert upgraded.acts == []


@pytest.mark.parametrize("words", [("rollback",), ("rollback", "nosuch"), ("rollback", "ranker=2", "-C")])
def test_a_refusal_names_what_every_host_can_go_back_to(
    upgraded: Project, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """A release that lacks something on a host is not offered; the nearest one stands there to be typed."""
    monkeypatch.setattr("sys.argv", ["fleetdeploy", *words, "-i", "inventory.yml"])
    first, second, _ = history(upgraded)
    del upgraded.world.hosts["gpu2"].directory(SERVICE).versions["ranker"][2]
    result = upgraded.run(*words)
    said = result.err + result.out
    assert result.code == (2 if "nosuch" in words else 5)
    assert upgraded.acts == []
    check = " -C" if "-C" in words else ""
    command = f"fleetdeploy rollback {first.content_hash}{check} -i inventory.yml"
    assert f"possible on every host: {first.id} (ranker 1); the nearest: `{command}`" in said
    assert f"{second.id} (ranker 2)" not in said
    assert upgraded.run(*command.removesuffix(" -i inventory.yml").split()[1:]).code == 0


def test_where_nothing_is_possible_it_says_so(upgraded: Project) -> None:
    """No command is named that would be refused as well, and each host tells what it has."""
    upgraded.world.hosts["gpu2"].images.clear()
    result = upgraded.run("rollback")
    assert "no release is possible on every host; gpu1: " in result.err
    assert "; gpu2: nothing" in result.err
    assert "the nearest" not in result.err


def test_a_second_rollback_finds_what_was_good_before(project: Project) -> None:
    """Releases that were taken back use up no place among those whose versions `prune` leaves."""
    shutil.copytree(project.path / "models/ranker/3", project.path / "models/ranker/4")
    golden = project.path / "golden.jsonl"
    golden.write_text(golden.read_text() + golden.read_text().splitlines()[-1].replace("3", "4") + "\n")
    deployed(project, 1, 2, 3)
    assert project.run("rollback").code == 0
    project.edit("versions: [3]", "versions: [4]")
    assert project.run("deploy").code == 0
    assert project.run("prune", "--keep", "3", "-y").code == 0
    assert set(project.world.hosts["gpu1"].directory(SERVICE).versions["ranker"]) == {1, 2, 4}
    for left in (2, 1):
        assert project.run("rollback").code == 0
        assert versions(project) == [(left,), (left,)]


def test_a_host_that_never_had_it_is_refused_unless_it_is_left_out(upgraded: Project) -> None:
    """One host without the release stops the rollback before any is touched; with ``--limit`` the others go back."""
    first = history(upgraded)[0].content_hash
    directory = upgraded.world.hosts["gpu2"].directory(SERVICE)
    directory.history = [line for line in history(upgraded, "gpu2") if line.content_hash != first]
    result = upgraded.run("rollback", first)
    assert result.code == 5
    assert f"gpu2: service 'ranking': release {first} was never proven here" in result.err
    assert upgraded.acts == []
    assert upgraded.run("rollback", first, "-l", "gpu1").code == 0
    assert versions(upgraded) == [(1,), (3,)]


def test_all_that_is_wrong_is_told_at_once(upgraded: Project) -> None:
    """An image that is gone on one host and files that rotted on another are refused together, exit 5."""
    rotted = upgraded.world.hosts["gpu1"].directory(SERVICE).versions["ranker"][2].sizes_bytes
    rotted["saved_model.pb"] -= 1  # type: ignore[index]
    upgraded.world.hosts["gpu2"].images.clear()
    result = upgraded.run("rollback")
    assert result.code == 5
    assert upgraded.acts == []
    assert "files of version 2 of ranker changed on the host since they were staged" in result.err
    assert "its image serving:1 (sha256:serving:1) is not on the host any more" in result.err
    assert "docker pull serving:1" in result.err
    assert versions(upgraded) == [(3,), (3,)]


def test_a_deploy_that_still_wants_it_is_refused(project: Project) -> None:
    """After a rollback, plan, status and deploy say that the release was taken back; ``--again`` brings it back."""
    deployed(project, 1, 2)
    assert project.run("rollback").code == 0
    left = history(project)[1].content_hash
    said = f"release {left} of service 'ranking' was taken back by run "
    deploy = project.run("deploy")
    assert deploy.code == 5
    assert said in deploy.err
    assert "change the inventory, or pass --again" in deploy.err
    assert project.acts == []
    plan, status = project.run("plan"), project.run("status", "--exit-code")
    assert (plan.code, status.code) == (5, 10)
    assert said in plan.out
    assert said in status.out
    assert f"in place of {left}, which was taken back" in status.out
    assert project.run("deploy", "--again").code == 0
    assert versions(project) == [(2,), (2,)]
    assert project.run("deploy").last_line == "OK: 2 hosts, nothing to do"


def test_a_deploy_of_something_else_is_not_refused(project: Project) -> None:
    """Once the inventory wants another release, or the one that serves, a deploy goes on as ever."""
    deployed(project, 1, 2)
    assert project.run("rollback").code == 0
    project.edit("versions: [2]", "versions: [1]")
    assert project.run("deploy").last_line == "OK: 2 hosts, nothing to do"
    project.edit("versions: [1]", "versions: [3]")
    assert project.run("deploy").code == 0
    assert project.run("rollback").code == 0
    assert versions(project) == [(1,), (1,)], "version 2 was taken back, and is passed over"


def test_a_plan_file_keeps_that_it_was_told_again(project: Project) -> None:
    """A plan made with ``--again`` is deployed as it was shown."""
    deployed(project, 1, 2)
    assert project.run("rollback").code == 0
    target = project.path / "next.plan"
    assert project.run("plan", "--again", "--out", str(target)).code == 0
    assert json.loads(target.read_text())["inputs"]["again"] is True
    assert project.run("deploy", str(target)).code == 0
    assert versions(project) == [(2,), (2,)]


def test_doing_it_again_after_a_failure_names_the_release(upgraded: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that continues a rollback names its release, so that it goes no further back."""
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "rollback", "-i", "inventory.yml"])
    upgraded.world.lies.add("undrain")
    result = upgraded.run("rollback")
    assert result.code == 4
    content = history(upgraded)[1].content_hash
    assert re.search(rf"fleetdeploy rollback {content} -i inventory.yml", result.err)
    assert versions(upgraded)[1] == (3,)


def test_without_golden_requests_it_says_so(upgraded: Project) -> None:
    """A golden file that is gone does not stand in the way; that AVAILABLE has to do is told."""
    (upgraded.path / "golden.jsonl").unlink()
    result = upgraded.run("rollback")
    assert result.code == 0
    assert "no golden request for version 2 of ranker is there any more: AVAILABLE has to do" in result.err


def test_capacity_is_that_of_the_playbook(upgraded: Project) -> None:
    """Hosts go back one at a time where the playbook says so, and side by side where it allows more."""
    assert upgraded.run("rollback").code == 0
    assert upgraded.world.most_out == 1
    upgraded.edit("max_unavailable: 1", "max_unavailable: 2", file="playbooks/deploy.yml")
    result = upgraded.run("rollback", "--events", str(upgraded.path / "events"))
    events = [json.loads(line) for line in (upgraded.path / "events").read_text().splitlines()]
    assert [event["data"]["hosts"] for event in events if event["kind"] == "wave_started"] == [["gpu1", "gpu2"]]
    assert result.code == 0


@pytest.mark.parametrize("limit", [(), ("-l", "gpu1,gpu2")])
def test_hosts_that_no_play_takes_back_are_refused(upgraded: Project, limit: tuple[str, ...]) -> None:
    """A host outside the playbook's plays is not passed over behind an OK: exit 2, unless --limit leaves it out."""
    upgraded.edit("hosts: gpu", "hosts: gpu1", file="playbooks/deploy.yml")
    for words in (("rollback", *limit), ("rollback", "-C", *limit)):
        refused = upgraded.run(*words)
        assert (refused.code, upgraded.acts, versions(upgraded)) == (2, [], [(3,), (3,)])
        assert "no play that activates is for gpu2" in refused.err
        assert "or leave them out with --limit, as in --limit gpu1\n" in refused.err
    result = upgraded.run("rollback", "-l", "gpu1")
    assert (result.code, result.last_line) == (0, "OK: 1 of 1 host rolled back")
    assert versions(upgraded) == [(2,), (3,)]


def test_hosts_without_what_is_meant_are_no_business_of_it(upgraded: Project) -> None:
    """A balancer's host, and one with other services than those named with --service, need no play."""
    models = "{ranker: {source: models/ranker, versions: [1], golden: golden.jsonl}}"
    ports = "{grpc: 9500, rest: 9501}, bind: 10.0.0.0/8"
    tagging = f"{{tagging: {{image: serving:1, gpus: none, ports: {ports}, models: {models}}}}}"
    upgraded.edit("    lb: {}\n", f"    lb: {{}}\n    gpu3: {{services: {tagging}}}\n")
    assert "no play that activates is for gpu3" in upgraded.run("rollback").err
    assert upgraded.run("rollback", "--service", "ranking").code == 0
    assert versions(upgraded)[:2] == [(2,), (2,)]


def test_without_a_playbook_it_goes_back_all_the_same(upgraded: Project) -> None:
    """A project without the default playbook is no reason to stay on a bad release."""
    (upgraded.path / "playbooks" / "deploy.yml").unlink()
    assert upgraded.run("rollback").code == 0
    assert versions(upgraded) == [(2,), (2,)]
