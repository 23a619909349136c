"""Rolls that go well: new versions by reload, new images by replacement, waves and capacity, under steady load."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.tfserving import model_config
from tests.fleet.load import load, lost_only_on, nothing_failed
from tests.fleet.onlooker import (
    available,
    container,
    docker_images,
    identities,
    machines,
    most_out,
    on,
    serves,
    versions,
)
from tests.fleet.project import CONTAINER, DIRECTORY, INVENTORY, PLAYBOOK, Project


def test_a_new_version_is_rolled_by_reload(lab: Lab, served: Project) -> None:
    """A new version is loaded into the running server, host by host, with no request lost and one host out at most."""
    before = identities(lab)
    served.want(version=2)
    with load(served) as report, most_out(lab) as out:
        result = served.deploy("--json")
    nothing_failed(report)
    assert set(report["versions"]) == {"ranker/1", "ranker/2"}
    assert result.states() == dict.fromkeys(machines(lab), "changed")
    assert result.last_line == "OK: 3 of 3 hosts changed"
    assert max(map(len, out)) == 1, out
    assert identities(lab) == before
    serves(lab, 2)
    for host in machines(lab):
        assert versions(lab, host) == {1: "END", 2: "AVAILABLE"}
        _unchanged_files_are_one_file(lab, host, served.root / INVENTORY / "models/ranker")
        _disk_and_memory_agree(lab, host)
    with lost_only_on(lab, served, "gpu3", rule="somebody restarts a server that has requests"):
        _a_restart_serves_the_same(lab, "gpu3")


def _unchanged_files_are_one_file(lab: Lab, host: str, source: Path) -> None:
    """Files with equal content in both versions have one inode on the host, and the others do not."""
    one, two = (
        {str(path.relative_to(source / number)): path.read_bytes() for path in (source / number).rglob("*")
         if path.is_file()}
        for number in ("1", "2")
    )  # fmt: skip
    there = lab.paths.host(host) / DIRECTORY.lstrip("/") / "models/ranker"
    same = {path for path in one.keys() & two.keys() if one[path] == two[path]}
    assert any(path.startswith("assets/") for path in same)
    for path in one.keys() & two.keys():
        assert (there / "1" / path).samefile(there / "2" / path) == (path in same), path


def _disk_and_memory_agree(lab: Lab, host: str) -> None:
    """model.config on the host wants exactly the versions that the server has."""
    text = on(lab, host, "cat", f"{DIRECTORY}/config/model.config")
    wanted = model_config.wanted(model_config.parse(text, where=host))
    assert {name: sorted(entry.versions) for name, entry in wanted.items()} == {"ranker": available(lab, host)}


def _a_restart_serves_the_same(lab: Lab, host: str) -> None:
    on(lab, host, "docker", "restart", CONTAINER)
    wait_until(lambda: available(lab, host) == [2], f"{host} serves version 2 after a restart", deadline_s=30)


def test_a_new_image_is_rolled_by_replacement(lab: Lab, served: Project) -> None:
    """A new image means new containers, host by host, with no request lost; the old ones are kept, stopped.

    A container that is not the service's is left alone, and so is every image.
    """
    old = {host: container(lab, host) for host in machines(lab)}
    on(lab, "gpu1", "docker", "create", "--name", "theirs", lab.images[0])
    theirs, images = container(lab, "gpu1", "theirs"), docker_images(lab, "gpu1")
    served.want(image="fleetdeploy/standin:1.1")
    with most_out(lab) as out:
        served.deploy()
    assert max(map(len, out)) == 1, out
    serves(lab, 1)
    wanted = on(lab, "gpu1", "docker", "image", "inspect", "--format", "{{.Id}}", "fleetdeploy/standin:1.1").strip()
    for host in machines(lab):
        new, kept, before = container(lab, host), container(lab, host, f"{CONTAINER}.previous"), old[host]
        assert new is not None
        assert kept is not None
        assert before is not None
        assert new["Image"] == wanted != before["Image"]
        assert (kept["Id"], kept["State"]["Running"]) == (before["Id"], False)
    assert len(on(lab, "gpu2", "docker", "ps", "--all", "--quiet").split()) == 2
    assert (container(lab, "gpu1", "theirs"), docker_images(lab, "gpu1")) == (theirs, images)


@pytest.mark.long
def test_a_version_and_an_image_at_once_are_one_replacement(lab: Lab, served: Project) -> None:
    """A version that comes with a new image is not reloaded first: each host is taken out once, and then is new."""
    served.want(version=4, image="fleetdeploy/standin:1.1")
    served.deploy()
    serves(lab, 4)
    drains = [event["host"] for event in served.events() if event["kind"] == "step_finished"
              and event["task"] == "drain"]  # fmt: skip
    assert drains == machines(lab)
    for host in machines(lab):
        assert versions(lab, host) == {4: "AVAILABLE"}


@pytest.mark.long
def test_waves_follow_serial_and_max_unavailable(lab: Lab, served: Project) -> None:
    """With `serial: [1, 100%]` and `max_unavailable: 2` two hosts are out at once in the second wave, never three."""
    served.edit("serial: [1, 10%, 50%]", "serial: [1, 100%]", file=PLAYBOOK)
    served.edit("max_unavailable: 1 ", "max_unavailable: 2 ", file=PLAYBOOK)
    served.want(version=2)
    with most_out(lab) as out:
        served.deploy()
    waves = [event["data"]["hosts"] for event in served.events() if event["kind"] == "wave_started"]
    assert waves[1:3] == [["gpu1"], ["gpu2", "gpu3"]]
    assert max(map(len, out)) == 2, out
    serves(lab, 2)


@pytest.mark.long
def test_max_unavailable_holds_where_serial_would_allow_more(lab: Lab, served: Project) -> None:
    """With all hosts in one wave, `max_unavailable: 1` still lets one host at a time out of service."""
    served.want(version=2)
    with most_out(lab) as out:
        served.deploy("playbooks/at_once.yml")
    assert max(map(len, out)) == 1, out
    serves(lab, 2)


@pytest.mark.long
def test_a_limit_leaves_the_other_hosts_as_they_are(lab: Lab, served: Project) -> None:
    """`--limit` changes the hosts it names and contacts no other."""
    before = identities(lab)
    served.want(version=2)
    result = served.deploy("--json", "--limit", "gpu2")
    assert result.states() == {"gpu2": "changed"}
    serves(lab, 2, hosts=["gpu2"])
    serves(lab, 1, hosts=["gpu1", "gpu3"])
    assert identities(lab) == before
