"""Rollbacks under load, with what is on the hosts: no registry, and no source of the models on the controller."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleetdeploy.lab.fleet import Lab
from tests.fleet.onlooker import (
    available,
    container,
    drained,
    identities,
    machines,
    most_out,
    on,
    serves,
    service_files,
    traffic,
)
from tests.fleet.project import DIRECTORY, INVENTORY, Project

OLD, NEW = "fleetdeploy/standin:1.0", "fleetdeploy/standin:1.1"


@contextmanager
def without_source(project: Project) -> Iterator[None]:
    """The models lie nowhere on the controller meanwhile."""
    models, away = project.root / INVENTORY / "models", project.root / "away"
    shutil.move(models, away)
    try:
        yield
    finally:
        shutil.move(away, models)


@contextmanager
def without_image(lab: Lab, name: str) -> Iterator[None]:
    """The name stands for another image meanwhile, on hosts that reach no registry; the old one is there by its id."""
    ids = {host: on(lab, host, "docker", "image", "inspect", "--format", "{{.Id}}", name).strip()
           for host in machines(lab)}  # fmt: skip
    for host in ids:
        on(lab, host, "docker", "tag", NEW, name)
    try:
        yield
    finally:
        for host, image in ids.items():
            on(lab, host, "docker", "tag", image, name)


def configurations(lab: Lab) -> list[str]:
    return [on(lab, host, "cat", f"{DIRECTORY}/config/model.config") for host in machines(lab)]


def in_service(lab: Lab) -> None:
    assert traffic(lab) == {host: {"UP"} for host in machines(lab)}
    assert drained(lab) == []


def test_a_version_goes_back_by_reload(lab: Lab, served: Project) -> None:
    """The old version is loaded into the running servers again, one host out at most and no request lost."""
    before, written = identities(lab), configurations(lab)
    served.want(version=2)
    served.deploy("playbooks/at_once.yml")
    with without_source(served), most_out(lab) as out:
        result = served.run("rollback", "--json")
    assert result.last_line == "OK: 3 of 3 hosts rolled back"
    assert result.states() == dict.fromkeys(machines(lab), "changed")
    assert max(map(len, out)) == 1, out
    assert identities(lab) == before
    assert configurations(lab) == written
    serves(lab, 1)
    in_service(lab)


@pytest.mark.long
def test_what_was_taken_back_comes_again_only_when_it_is_asked_for(lab: Lab, served: Project) -> None:
    """A deploy that still wants the release is refused from then on, and brings it with `--again`."""
    served.want(version=2)
    served.deploy("playbooks/at_once.yml")
    served.run("rollback")
    refused = served.deploy(expect=5)
    assert "was taken back by run " in refused.stderr
    assert "pass --again" in refused.stderr
    assert "which was taken back" in served.run("status").stdout
    serves(lab, 1)
    served.deploy("playbooks/at_once.yml", "--again")
    serves(lab, 2)


@pytest.mark.long
@pytest.mark.fault("F14")
def test_an_image_goes_back_by_a_new_container(lab: Lab, served: Project) -> None:
    """Image, flags and version come back together, by the image's id, with no request lost."""
    images = {host: (container(lab, host) or {})["Image"] for host in machines(lab)}
    written = configurations(lab)
    served.want(version=2, image=NEW, flags="{num_load_threads: '4'}")
    served.deploy("playbooks/at_once.yml")
    with without_image(lab, OLD), without_source(served), most_out(lab) as out:
        result = served.run("rollback")
    assert result.last_line == "OK: 3 of 3 hosts rolled back"
    assert max(map(len, out)) == 1, out
    serves(lab, 1)
    in_service(lab)
    assert configurations(lab) == written
    for host in machines(lab):
        found = container(lab, host)
        assert found is not None
        assert found["Image"] == images[host]
        assert "--num_load_threads=2" in found["Config"]["Cmd"]


@pytest.mark.long
@pytest.mark.fault("F34")
def test_one_host_without_the_version_stops_the_rollback(lab: Lab, served: Project) -> None:
    """What one host lacks is told before any host is touched: exit 5; with `--limit` the others go back."""
    served.want(version=2)
    served.deploy("playbooks/at_once.yml")
    on(lab, "gpu2", "rm", "-rf", f"{DIRECTORY}/models/ranker/1")
    files, before = {host: service_files(lab, host) for host in machines(lab)}, identities(lab)
    checked = served.run("rollback", "-C", expect=5)
    refused = served.run("rollback", expect=5)
    for text in (checked.stdout, refused.stderr):
        assert "version 1 of ranker is not on the host any more" in text
    assert "gpu2" in refused.stderr
    assert {host: service_files(lab, host) for host in machines(lab)} == files
    assert identities(lab) == before
    serves(lab, 2)
    served.run("rollback", "--limit", "gpu1,gpu3")
    serves(lab, 1, hosts=["gpu1", "gpu3"])
    serves(lab, 2, hosts=["gpu2"])


@pytest.mark.long
@pytest.mark.fault("F14")
def test_a_failed_deploy_needs_neither_source_nor_registry_to_go_back(lab: Lab, served: Project) -> None:
    """With models and image name gone in the middle of a deploy, configuration, version and container come back."""
    kept, written = identities(lab), configurations(lab)
    served.want(version=3, image=NEW)
    started = served.deploy_until(kind="step_started", task="activate")
    with without_source(served), without_image(lab, OLD):
        result = started.end()
    assert result.code == 3, str(result)
    assert result.last_line == "FAILED: gpu1; gpu1 reverted, every host serves what it served before"
    assert configurations(lab) == written
    assert {host: found[0] for host, found in identities(lab).items()} == {host: item[0] for host, item in kept.items()}
    assert all(available(lab, host) == [1] for host in machines(lab))
    in_service(lab)
