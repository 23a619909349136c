"""The samples that people copy from are right."""

from __future__ import annotations

import shutil
from pathlib import Path

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.domain.inventory import DeclaredGpus
from fleetdeploy.domain.service import GpuRequest, VersionsWish

PROJECT = Path(__file__).parents[3]
TASKS = ("preflight", "stage", "pull_image", "drain", "activate", "verify", "undrain", "prune")
LAB_HOSTS = """\
all:
  vars: {ansible_user: root, fleetdeploy_known_hosts: known_hosts}
  children:
    gpu:
      hosts:
        gpu1: {ansible_host: 10.77.0.11}
        gpu2: {ansible_host: 10.77.0.12}
    balancers:
      hosts:
        lb: {ansible_host: 10.77.0.2}
"""


def test_example_inventory() -> None:
    """The annotated inventory loads, and its groups, exceptions and canary mean what its comments say."""
    inventory = load_inventory([PROJECT / "inventories/example"])
    assert len(inventory.hosts) == 20
    assert len(select(inventory, "ranking")) == 16
    canary = inventory.hosts["gpu01.racka.example.net"].services[0]
    assert canary.models[0].versions == VersionsWish(numbers=(7, 8))
    assert canary.models[0].labels == {"stable": 7, "canary": 8}
    assert canary.models[0].source == PROJECT / "inventories/example/models/ranker"
    lame = inventory.hosts["gpu08.rackb.example.net"]
    assert lame.gpus == DeclaredGpus(6, "NVIDIA A100-SXM4-80GB", 80 * 1024**3, "8.0")
    assert lame.services[0].gpus == GpuRequest(devices=(2, 3))
    assert lame.services[0].models[0].versions == VersionsWish(numbers=(7,))
    embedding = inventory.hosts["gpu09.racka.example.net"]
    assert embedding.services[0].models[0].versions == VersionsWish(latest=1)
    assert embedding.balancer is not None
    assert embedding.balancer.host == "lb1.example.net"
    assert inventory.hosts["lb1.example.net"].services == ()


def test_lab_variables(tmp_path: Path) -> None:
    """What the lab's GPU hosts shall run is complete, once the lab has written its hosts beside it."""
    shutil.copytree(PROJECT / "inventories/lab/group_vars", tmp_path / "lab/group_vars")
    (tmp_path / "lab/hosts.yml").write_text(LAB_HOSTS)
    inventory = load_inventory([tmp_path / "lab"])
    for name in ("gpu1", "gpu2"):
        host = inventory.hosts[name]
        (service,) = host.services
        assert [model.name for model in service.models] == ["ranker", "embedder"]
        assert service.models[0].source == tmp_path / "lab/models/ranker"
        assert host.balancer is not None
        assert host.balancer.pools == {"ranking": ("ranking_rest", "ranking_grpc")}


def test_deploy_playbook() -> None:
    """The playbook that is used when none is named has three plays, and proves each host before the next."""
    playbook = load_playbook(PROJECT / "playbooks/deploy.yml", task_names=TASKS)
    stage, switch, tidy = playbook.plays
    assert [call.name for call in stage.tasks] == ["preflight", "stage", "pull_image"]
    assert [call.name for call in switch.tasks] == ["drain", "activate", "verify", "undrain"]
    assert [call.name for call in switch.always] == ["undrain"]
    assert switch.serial
    assert tidy.tasks[0].arguments == {"keep": 3}
