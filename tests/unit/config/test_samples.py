"""The samples that people copy from mean what their comments say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.secrets.passwords import PasswordFile, Passwords
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.domain.inventory import DeclaredGpus, Inventory
from fleetdeploy.domain.playbook import OnFailure, Order, Quantity
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import GpuRequest, VersionsWish
from fleetdeploy.tasks import registry

PROJECT = Path(__file__).parents[3]
EXAMPLE = PROJECT / "inventories/example"
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


def example(**options: object) -> Inventory:
    return load_inventory([EXAMPLE], secrets=SecretStore(**options))  # type: ignore[arg-type]


def test_groups_of_the_example() -> None:
    """Ranges, steps and groups of groups give the hosts, racks and balancer that the comments name."""
    inventory = example()
    groups = ("rack_a", "rack_b", "ranking", "canary", "embedding")
    short = {group: [name.partition(".")[0] for name in select(inventory, group)] for group in groups}
    assert short["rack_a"] == ["gpu1", "gpu3", "gpu5", "gpu7"]
    assert short["rack_b"] == ["gpu2", "gpu4", "gpu6", "gpu8"]
    assert sorted(short["ranking"]) == sorted(short["rack_a"] + short["rack_b"])
    assert short["canary"] == ["gpu1"]
    assert sorted(short["embedding"]) == ["gpu10", "gpu3", "gpu9"]
    assert len(select(inventory, "gpu")) == 10
    assert select(inventory, "gpu:memory>=80GiB") == select(inventory, "ranking:gpu9.example.net")
    assert {inventory.hosts[name].variables["rack"] for name in select(inventory, "rack_c")} == {"c"}
    assert {host.balancer.host for host in inventory.hosts.values() if host.balancer} == {"lb1.example.net"}
    assert inventory.hosts["lb1.example.net"].services == ()


def test_canary_of_the_example() -> None:
    """The canary serves one version more, and keeps everything else of its group."""
    inventory = example()
    canary, other = (inventory.hosts[f"gpu{number}.example.net"].services[0] for number in (1, 2))
    assert canary.models[0].versions == VersionsWish(numbers=(1, 2))
    assert canary.models[0].labels == {"stable": 1, "canary": 2}
    assert other.models[0].versions == VersionsWish(numbers=(1,))
    assert other.models[0].labels == {"stable": 1}
    assert (canary.image, canary.flags, canary.models[0].requires) == (
        other.image,
        other.flags,
        other.models[0].requires,
    )
    assert canary.models[0].source == EXAMPLE / "models/ranker"


def test_exceptions_of_the_example() -> None:
    """Files of single hosts change what their comments say, and nothing else."""
    hosts = {name.partition(".")[0]: host for name, host in example().hosts.items()}
    both = {service.name: service for service in hosts["gpu3"].services}
    assert both["ranking"].gpus == GpuRequest(devices=(0,))
    assert both["embedding"].gpus == GpuRequest(devices=(1,))
    assert both["embedding"].models[0].versions == VersionsWish(latest=1)
    assert hosts["gpu9"].services[0].gpus == GpuRequest(all=True)
    assert hosts["gpu8"].gpus == DeclaredGpus(1, "NVIDIA H200", 140 * 1024**3, "9.0", "580")
    assert hosts["gpu8"].services[0].gpus == GpuRequest(count=1)
    far = hosts["gpu10"]
    assert (far.connection.port, far.connection.proxy_jump) == (2222, "deploy@gate.example.net")
    assert (far.services[0].bind, hosts["gpu9"].services[0].bind) == ("10.21.0.0/16", "10.20.0.0/16")
    assert far.connection.become


def test_one_variable_changes_the_image_of_every_service() -> None:
    """As the comment says, `-e serving_image=...` tries another server without an edit."""
    inventory = load_inventory([EXAMPLE], extra_vars={"serving_image": "other/serving:1"}, secrets=SecretStore())
    assert {service.image for host in inventory.hosts.values() for service in host.services} == {"other/serving:1"}


def test_secrets_of_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of the four ways to write a secret gives its value; the vault's password is the one in the comment."""
    text = (EXAMPLE / "group_vars/ranking.yml").read_text(encoding="utf-8")
    (password,) = re.findall(r'password is "([^"]+)"', " ".join(text.replace("#", " ").split()))
    (tmp_path / "password").write_text(password)
    (tmp_path / "password").chmod(0o600)
    key = tmp_path / ".config/fleet/audit.key"
    key.parent.mkdir(parents=True)
    key.write_text("from a file\n")
    key.chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    inventory = example(
        passwords=Passwords([PasswordFile(tmp_path / "password")]),
        environ={"FEATURE_STORE_TOKEN": "from the environment"},
        run=lambda argv: f"printed by {' '.join(argv)}\n",
    )
    environment = inventory.hosts["gpu1.example.net"].services[0].environment
    assert {name: value.reveal() for name, value in environment.items() if isinstance(value, Secret)} == {
        "FEATURE_STORE_TOKEN": "from the environment",
        "AUDIT_KEY": "from a file",
        "TRACE_SALT": "printed by pass show fleet/trace-salt",
        "RANKING_API_KEY": "sk-example-0000",
    }
    assert environment["TF_CPP_MIN_LOG_LEVEL"] == "1"


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
    """The playbook that is used when none is named has three plays with a tag each, and proves host by host."""
    playbook = load_playbook(PROJECT / "playbooks/deploy.yml", task_names=registry().keys())
    stage, switch, tidy = playbook.plays
    assert [play.tags for play in playbook.plays] == [("stage",), ("switch",), ("tidy",)]
    assert [call.name for call in stage.tasks] == ["preflight", "stage", "pull_image"]
    assert [call.name for call in switch.tasks] == ["drain", "activate", "verify", "undrain"]
    assert [call.name for call in switch.always] == ["undrain"]
    assert switch.serial
    assert tidy.tasks[0].arguments == {"keep": 3}


def test_rolling_by_rack_playbook() -> None:
    """Racks, floors and files of tasks come out as the comments say."""
    playbook = load_playbook(PROJECT / "playbooks/rolling-by-rack.yml", task_names=registry().keys())
    prepare, switch, _ = playbook.plays
    assert prepare.serial == (Quantity(50, percent=True),)
    assert (switch.spread, switch.order, switch.on_failure) == ("rack", Order.SORTED, OnFailure.REVERT_ALL)
    assert (switch.max_unavailable, switch.min_available) == (Quantity(2), Quantity(50, percent=True))
    names = [call.name for call in switch.tasks]
    assert names == ["run", "run", "drain", "activate", "verify", "undrain", "pause", "notify"]
    assert [call.name for call in switch.rescue] == ["notify", "run"]


def test_canary_first_playbook() -> None:
    """The canary's play ends with a question, and all that follows is tagged `rest` and leaves the canary out."""
    playbook = load_playbook(PROJECT / "playbooks/canary-first.yml", task_names=registry().keys())
    canary, *others = playbook.plays
    assert canary.tasks[-1].name == "pause"
    assert canary.max_fail_percentage == 0
    assert {play.hosts for play in others} == {"ranking"}
    for call in (call for play in others for call in play.all_tasks):
        assert "rest" in call.tags
        assert "'canary' not in group_names" in [when.text for when in call.when]
