"""Services and balancers in an inventory: merged key by key, with paths and places of the file that set them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.domain.inventory import DeclaredGpus, Inventory
from fleetdeploy.domain.service import GpuRequest, Requirements, VersionsWish

from .conftest import SERVICE, Write, indented, problems


@pytest.fixture
def layered(write: Write) -> Inventory:
    services = "services:\n" + SERVICE
    root = write({
        "fleet/hosts.yml": "gpu:\n  hosts: {g1: , g2: }\n  children: {canary: {hosts: {g3: }}}\n",
        "fleet/group_vars/gpu.yml": services,
        "fleet/group_vars/canary.yml": "services: {ranking: {models: {ranker: "
        "{versions: [7, 8], labels: {canary: 8}}}}}\n",
        "fleet/host_vars/g2.yml": "services: {ranking: {flags: null, gpus: {devices: null, count: 2}, models: {ranker: "
        "{labels: {stable: null}}, extra: {source: ~/extra, versions: latest, golden: none}}}}\n",
    })  # fmt: skip
    return load_inventory([root / "fleet"])


def test_services_merge_key_by_key(layered: Inventory) -> None:
    """An inner group's service adds and replaces keys of the outer one's; lists replace."""
    plain, canary = layered.hosts["g1"].services[0], layered.hosts["g3"].services[0]
    assert plain.models[0].versions == VersionsWish(numbers=(7,))
    assert canary.models[0].versions == VersionsWish(numbers=(7, 8))
    assert canary.models[0].labels == {"stable": 7, "canary": 8}
    assert (canary.image, canary.ports, canary.gpus) == (plain.image, plain.ports, GpuRequest(devices=(0,)))


def test_null_removes_a_key(layered: Inventory) -> None:
    """A null takes away what an outer group set, at any depth."""
    service = layered.hosts["g2"].services[0]
    assert service.flags == {}
    assert service.gpus == GpuRequest(count=2)
    assert service.models[0].labels == {}


def test_paths_start_from_the_inventory_that_set_them(layered: Inventory) -> None:
    """A relative path starts from the inventory directory, not from group_vars and not from the working directory."""
    ranker, extra = layered.hosts["g2"].services[0].models
    assert ranker.source == layered.sources[0] / "models/ranker"
    assert extra.source == Path("~/extra").expanduser()
    assert extra.golden is None


def test_paths_of_two_inventories(write: Write) -> None:
    """Each of several inventories is the start of its own relative paths."""
    root = write({
        "a/hosts.yml": "gpu: {hosts: {g1: }}\n",
        "a/group_vars/gpu.yml": "services:\n" + SERVICE,
        "b/more.yml": "gpu: {hosts: {g2: }}\n",
        "b/group_vars/gpu.yml": "services: {ranking: {models: {ranker: {golden: answers.jsonl}}}}\n",
    })  # fmt: skip
    model = load_inventory([root / "a", root / "b"]).hosts["g1"].services[0].models[0]
    assert model.source == root / "a/models/ranker"
    assert model.golden == root / "b/answers.jsonl"


def test_null_that_removes_nothing_is_a_missing_value(write: Write) -> None:
    """A null where no outer group set anything is a forgotten value."""
    root = write(
        {"hosts.yml": "gpu:\n  hosts: {g1: }\n  vars:\n    services:\n" + indented(SERVICE, 4) + "\n        memory:\n"}
    )
    assert "services.ranking.memory: the value is missing" in problems(root)


def test_null_takes_a_whole_service_away(write: Write) -> None:
    """A host can be left without a service that its group has."""
    root = write({
        "hosts.yml": "gpu: {hosts: {g1: , g2: {services: {ranking: null}}}}\n",
        "group_vars/gpu.yml": "services:\n" + SERVICE,
    })  # fmt: skip
    inventory = load_inventory([root])
    assert [len(host.services) for host in inventory.hosts.values()] == [1, 0]


def test_balancer_knows_the_host_by_its_inventory_name(write: Write) -> None:
    """A host's name in its pools is its inventory name unless ``server`` gives another."""
    balancer = "balancer: {kind: haproxy, host: lb, socket: /run/h.sock, pools: {ranking: [rest, grpc]}}\n"
    root = write({
        "hosts.yml": "gpu: {hosts: {g1: , g2: {balancer: {kind: haproxy, host: lb, socket: /run/h.sock, server: gpu-2, "
        "pools: {ranking: [rest]}}}}}\nlbs: {hosts: {lb: }}\n",
        "group_vars/gpu.yml": balancer + "services:\n" + SERVICE,
    })  # fmt: skip
    hosts = load_inventory([root]).hosts
    first, second = hosts["g1"].balancer, hosts["g2"].balancer
    assert first is not None
    assert second is not None
    assert (first.server, first.pools) == ("g1", {"ranking": ("rest", "grpc")})
    assert second.server == "gpu-2"
    assert hosts["lb"].balancer is None


def test_a_wrong_group_is_told_once(write: Write) -> None:
    """A mistake in a group's variables is one problem, however many hosts the group has."""
    root = write({"hosts.yml": "gpu: {hosts: {'g[1:300]': }}\n", "group_vars/gpu.yml": "gpus: {count: many}\n"})
    assert problems(root).count("gpus.count") == 1


def test_a_model_knows_where_its_keys_were_written(write: Write) -> None:
    """Each key of a model has the place of the file that set it last."""
    root = write({
        "hosts.yml": "gpu: {hosts: {g1: }}\n",
        "group_vars/gpu.yml": "services:\n" + SERVICE,
        "host_vars/g1.yml": "services: {ranking: {models: {ranker: {versions: [8], labels: {stable: 8}}}}}\n",
    })  # fmt: skip
    (service,) = load_inventory([root]).hosts["g1"].services
    (model,) = service.models
    assert model.where("source") == f"{root}/group_vars/gpu.yml:10:24"
    assert model.where("golden") == f"{root}/group_vars/gpu.yml:10:83"
    assert model.where("versions") == f"{root}/host_vars/g1.yml:1:50"
    assert model.requires == Requirements()


def test_requirements_are_carried(write: Write) -> None:
    """What a model requires of a GPU arrives in bytes and with its operator."""
    requires = "labels: {stable: 7}, requires: {gpu_memory: 12GiB, compute_capability: '8.0', driver: '535'}"
    root = write({
        "hosts.yml": "gpu: {hosts: {g1: {gpus: {count: 2, driver: '580'}}}}\n",
        "group_vars/gpu.yml": "services:\n" + SERVICE.replace("labels: {stable: 7}", requires),
    })  # fmt: skip
    host = load_inventory([root]).hosts["g1"]
    (model,) = host.services[0].models
    assert model.requires == Requirements(12 * 1024**3, ">=8.0", ">=535")
    assert model.where("requires").startswith(f"{root}/group_vars/gpu.yml:10:")
    assert host.gpus == DeclaredGpus(2, driver="580")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("versions: [7]", "versions: [x]"), "services.ranking.models.ranker.versions[0]"),
        (("image: example/serving:2.19", 'image: "{{ lost }}"'), "services: '{{ lost }}'"),
        (("services:", "service:"), "looks like the reserved variable 'services'"),
        (("image:", "image"), "group_vars/gpu.yml:"),
    ],
)
def test_services_that_cannot_be_read_do_not_make_pools_look_wrong(
    write: Write, change: tuple[str, str], message: str
) -> None:
    """Only the mistake itself is told, and not that no host has the balancer's service; its host is looked for."""
    balancer = "balancer: {kind: haproxy, host: lbb, socket: /run/h.sock, pools: {ranking: [rest]}}\n"
    root = write({
        "hosts.yml": f"gpu: {{hosts: {{g1: }}, vars: {{{balancer.strip()}}}}}\nlbs: {{hosts: {{lb: }}}}\n",
        "group_vars/gpu.yml": ("services:\n" + SERVICE).replace(*change),
    })  # fmt: skip
    found = problems(root)
    assert message in found
    # Nothing is looked into while a whole file is missing.
    assert ("balancer.host: the inventory has no host 'lbb'" in found) == (change[0] != "image:")
    assert "no host of the inventory has this service" not in found


def test_a_pool_of_no_service_is_told_beside_other_mistakes(write: Write) -> None:
    """A mistake in how a host is reached hides no other."""
    balancer = "balancer: {kind: haproxy, host: lb, socket: /run/h.sock, pools: {rankng: [rest]}}"
    root = write({
        "hosts.yml": f"gpu: {{hosts: {{g1: {{ansible_port: x}}}}, vars: {{{balancer}}}}}\nlbs: {{hosts: {{lb: }}}}\n",
        "group_vars/gpu.yml": "services:\n" + SERVICE,
    })  # fmt: skip
    assert "balancer.pools.rankng: no host of the inventory has this service" in problems(root)
