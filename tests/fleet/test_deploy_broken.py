"""Releases that do not work: caught on the first host that gets them, taken back, and told truly."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.tfserving import golden, predict
from tests.fleet.load import load, nothing_failed
from tests.fleet.onlooker import (
    ask,
    available,
    container,
    drained,
    identities,
    identity,
    machines,
    on,
    serves,
    service_files,
    traffic,
    versions,
)
from tests.fleet.project import CONTAINER, DIRECTORY, INVENTORY, PLAYBOOK, SERVICES, Project, Result

BROKEN_ON_GPU2 = """
services:
  ranking: {models: {ranker: {versions: [3], accept_incomplete: true}}}
"""


def failed_on_the_first_host(lab: Lab, result: Result) -> None:
    """Exit 3, gpu1 reverted, the others not switched, every host in service, and the last line says so."""
    assert result.code == 3, str(result)
    assert result.json["exit_code"] == 3
    assert result.states() == {"gpu1": "reverted", "gpu2": "skipped", "gpu3": "skipped"}
    assert result.last_line == "FAILED: gpu1; gpu1 reverted, every host serves what it served before"
    assert traffic(lab) == {host: {"UP"} for host in machines(lab)}
    assert drained(lab) == []


def configurations(lab: Lab) -> list[str]:
    return [on(lab, host, "cat", f"{DIRECTORY}/config/model.config") for host in machines(lab)]


@pytest.mark.fault("F17")
def test_a_broken_version_is_taken_back_by_reload(lab: Lab, served: Project) -> None:
    """A version that is AVAILABLE and answers nothing is found out by a golden request before the old one is given up.

    The first host is put back and into service, the others are not switched, and no request is lost.
    """
    before, written = identities(lab), configurations(lab)
    served.want(version=3)
    with load(served) as report:
        result = served.deploy("--json", expect=None)
    nothing_failed(report)
    failed_on_the_first_host(lab, result)
    assert set(report["versions"]) == {"ranker/1"}
    assert "golden request 'one row' to ranker version 3 failed" in result.stderr
    assert "    | " in result.stderr, "the container's last log lines"
    serves(lab, 1)
    assert identities(lab) == before
    assert configurations(lab) == written
    assert versions(lab, "gpu1") == {1: "AVAILABLE", 3: "END"}
    assert versions(lab, "gpu2") == {1: "AVAILABLE"}


@pytest.mark.long
def test_after_a_revert_the_old_inventory_has_nothing_to_do(lab: Lab, served: Project) -> None:
    """When the edit that failed is taken back, as in git, all there is to do is to remove what was never proven."""
    served.want(version=3)
    served.deploy(expect=3)
    served.want(version=1)
    only_prunes(served)
    # A number that was tried and taken back did not fail to load: a reload may load it again.
    served.want(version=3)
    assert served.run("plan").stdout.count("service ranking: reload") == 1
    served.want(version=4)
    served.deploy()
    serves(lab, 4)


def only_prunes(project: Project) -> None:
    """One deploy that does no more than to tidy up, and one that does nothing."""
    project.deploy()
    tasks = {event.get("task") for event in project.events() if event["kind"] == "step_finished"}
    assert tasks == {"prune"}
    assert project.deploy().last_line == "OK: 3 hosts, nothing to do"


@pytest.mark.long
@pytest.mark.fault("F17")
def test_a_broken_version_is_taken_back_by_the_kept_container(lab: Lab, served: Project) -> None:
    """A broken version that comes with a new image is taken back by starting the very container that was replaced."""
    kept = container(lab, "gpu1")
    others = {host: identity(lab, host) for host in ("gpu2", "gpu3")}
    written = configurations(lab)
    assert kept is not None
    served.want(version=3, image="fleetdeploy/standin:1.1")
    result = served.deploy("--json", expect=None)
    failed_on_the_first_host(lab, result)
    serves(lab, 1)
    again = container(lab, "gpu1")
    assert again is not None
    assert (again["Id"], again["Image"], again["State"]["Running"]) == (kept["Id"], kept["Image"], True)
    assert on(lab, "gpu1", "docker", "ps", "--all", "--format", "{{.Names}}").split() == [CONTAINER]
    assert {host: identity(lab, host) for host in others} == others
    assert configurations(lab) == written


@pytest.mark.long
def test_a_container_that_ends_at_start_is_taken_back(lab: Lab, served: Project) -> None:
    """A server that does not even start, for a file that a flag names, is known at once and taken back."""
    kept = container(lab, "gpu1")
    assert kept is not None
    served.want(flags="{enable_batching: true, batching_parameters_file: /nowhere}")
    result = served.deploy("--json", expect=None)
    failed_on_the_first_host(lab, result)
    assert "NOT_FOUND: /nowhere; No such file or directory" in result.stderr
    started, failed = (
        next(event["time_s"] for event in served.events() if event["kind"] == kind and event.get("task") == "activate")
        for kind in ("step_started", "step_failed")
    )
    assert failed - started < 30
    serves(lab, 1)
    again = container(lab, "gpu1")
    assert again is not None
    assert again["Id"] == kept["Id"]


@pytest.mark.long
def test_a_first_deploy_that_fails_leaves_no_container(lab: Lab, project: Project) -> None:
    """Where nothing was served before, a failed first deploy leaves nothing running and exits 3."""
    project.want(version=3)
    result = project.deploy("--json", expect=None)
    assert result.code == 3, str(result)
    for host in machines(lab):
        assert on(lab, host, "docker", "ps", "--all", "--quiet") == ""
    project.want(version=1)
    project.deploy()
    serves(lab, 1)
    assert drained(lab) == []


@pytest.fixture
def second_fails(served: Project) -> Project:
    """Version 2 is wanted, but gpu2 gets the broken one."""
    served.want(version=2)
    host_vars = served.root / INVENTORY / "host_vars/gpu2.yml"
    host_vars.parent.mkdir()
    host_vars.write_text(BROKEN_ON_GPU2)
    return served


@pytest.mark.long
def test_a_failure_on_a_later_wave_leaves_a_mixed_fleet_and_says_so(lab: Lab, second_fails: Project) -> None:
    """`on_failure: revert` puts the failed host back and leaves finished ones: exit 4, and the last line names them."""
    result = second_fails.deploy("--json", expect=None)
    assert result.code == 4, str(result)
    assert result.states() == {"gpu1": "changed", "gpu2": "reverted", "gpu3": "skipped"}
    assert result.last_line.startswith("FAILED: gpu2; the fleet is mixed: gpu1 changed; mend it, then: fleetdeploy ")
    serves(lab, 2, hosts=["gpu1"])
    serves(lab, 1, hosts=["gpu2", "gpu3"])
    status = second_fails.run("status", "--exit-code", expect=10)
    assert status.last_line == "STATUS: 2 of 3 hosts differ from the inventory"
    (second_fails.root / INVENTORY / "host_vars/gpu2.yml").unlink()
    second_fails.deploy()
    serves(lab, 2)


def test_revert_all_puts_the_finished_hosts_back_too(lab: Lab, second_fails: Project) -> None:
    """`on_failure: revert_all` puts back every host that this run changed, one after the other: exit 3."""
    before, written = identities(lab), configurations(lab)
    second_fails.edit("on_failure: revert ", "on_failure: revert_all ", file=PLAYBOOK)
    result = second_fails.deploy("--json", expect=None)
    assert result.code == 3, str(result)
    assert result.states() == {"gpu1": "reverted", "gpu2": "reverted", "gpu3": "skipped"}
    assert result.last_line == "FAILED: gpu2; gpu1, gpu2 reverted, every host serves what it served before"
    serves(lab, 1)
    assert identities(lab) == before
    assert configurations(lab) == written
    second_fails.want(version=1)
    (second_fails.root / INVENTORY / "host_vars/gpu2.yml").unlink()
    only_prunes(second_fails)


@pytest.mark.long
@pytest.mark.fault("F17")
def test_a_wrong_answer_is_as_good_as_none(lab: Lab, served: Project) -> None:
    """A version that loads and answers something else than was recorded is taken back like one that cannot answer."""
    golden = served.root / INVENTORY / "golden/ranker.jsonl"
    lines = golden.read_text().splitlines(keepends=True)
    golden.write_text("".join(lines[:8]).replace('"version": 2', '"version": 4'))
    served.want(version=4)
    result = served.deploy("--json", expect=None)
    failed_on_the_first_host(lab, result)
    assert "was answered wrongly" in result.stderr
    serves(lab, 1)


@contextmanager
def asked_by_label(lab: Lab, host: str) -> Iterator[list[str]]:
    """While the block runs, one request after the other goes to whatever is `stable` on the host; collects what was
    answered to those that failed.
    """
    (request, *_) = golden.load(lab.paths.cache / "models/golden/ranker.jsonl")
    body, failed, stop = predict.rest_body(request), list[str](), threading.Event()

    def look() -> None:
        while not stop.is_set():
            answer = ask(lab, host, "/v1/models/ranker/labels/stable:predict", body).decode()
            if '"outputs"' not in answer:
                failed.append(answer)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield failed
    finally:
        stop.set()
        thread.join(20)


@pytest.mark.long
def test_a_host_without_a_balancer_goes_back_by_reload_under_traffic(lab: Lab, project: Project) -> None:
    """Nobody can be kept from a host that has no balancer: a switch that is taken back there costs no request, whether
    it asks for the newest version or for a label.
    """
    services = project.root / SERVICES
    services.write_text(services.read_text().partition("\nbalancer:")[0] + "\n")
    project.want(version=1)
    project.edit("versions: [1]", "versions: [1], labels: {stable: 1}")
    project.deploy("playbooks/at_once.yml")
    before = identity(lab, "gpu1")
    project.want(version=2)
    project.edit("versions: [2]", "versions: [2], labels: {stable: 2}")
    project.edit("    - undrain:\n", '    - run: {argv: ["false"]}\n    - undrain:\n', file=PLAYBOOK)
    with load(project, host="gpu1") as report, asked_by_label(lab, "gpu1") as failed:
        result = project.deploy("--json", expect=None)
    nothing_failed(report)
    assert failed == []
    assert set(report["versions"]) == {"ranker/1", "ranker/2"}, "it was switched over before it went back"
    assert result.code == 3, str(result)
    assert result.states() == {"gpu1": "reverted", "gpu2": "skipped", "gpu3": "skipped"}
    assert available(lab, "gpu1") == [1]
    assert identity(lab, "gpu1") == before


def test_a_service_directory_that_is_not_ours_is_left_alone(lab: Lab, project: Project) -> None:
    """A directory with somebody's files under the service's name stops the deploy before anything is written there."""
    on(lab, "gpu2", "sh", "-c", f"mkdir -p {DIRECTORY}/models && echo theirs >{DIRECTORY}/models/file")
    before = service_files(lab, "gpu2")
    result = project.deploy("--json", expect=None)
    assert result.code in {3, 5}, str(result)
    assert "was not made by fleetdeploy" in result.text
    assert service_files(lab, "gpu2") == before
    assert all(container(lab, host) is None for host in machines(lab))
