"""Reserved variables with a typo in their name."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import InputError

SERVICES = "{ranking: {image: 'serving:1', gpus: {devices: [0]}}}"
GPUS = "{count: 8, memory: 80GiB}"
BALANCER = "{kind: haproxy, host: lb, socket: /run/h.sock, pools: {ranking: [rest]}}"
HOSTS = "gpu: {hosts: {g1: }}\n"


def problems(root: Path, **extra_vars: object) -> list[str]:
    try:
        load_inventory([root], extra_vars=extra_vars)
    except InputError as error:
        return [f"{problem.where}: {problem.message} {problem.hint}" for problem in error.problems]
    return []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "host_vars").mkdir()
    (tmp_path / "hosts.yml").write_text(HOSTS)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        *((name, SERVICES, "services") for name in ("service", "servces", "sevices", "Services", "servcies")),
        *((name, GPUS, "gpus") for name in ("gpu", "gpuss", "GPUs", "gups")),
        *((name, BALANCER, "balancer") for name in ("balancers", "balncer", "ballancer", "balance")),
        ("service", "{ranking: null}", "services"),
        ("service", "[{name: ranking, image: 'serving:1'}]", "services"),
        ("gpu", "[{memory: 80GiB}]", "gpus"),
    ],
)  # fmt: skip
def test_a_typo_in_a_reserved_name_is_refused(root: Path, name: str, value: str, meant: str) -> None:
    """A name that is almost reserved, with a value of that shape, is an error with its place and the right name."""
    (root / "group_vars" / "gpu.yml").write_text(f"x: 1\n{name}: {value}\n")
    (found,) = problems(root)
    assert found.startswith(f"{root}/group_vars/gpu.yml:2:1: variable {name!r}")
    assert f"did you mean {meant!r}?" in found


@pytest.mark.parametrize(
    "text",
    [
        "service: nginx",
        "gpu: true",
        "gpu: {driver: '550'}",
        "gpus_per_node: {count: 4}",
        "gpu_count: 8",
        "balancers: [lb1, lb2]",
        "service: {name: web, port: 80}",
        "cpus: {count: 64, model: EPYC}",
        "devices: {ranking: {image: x}}",
        "servers: [{name: a, memory: 1}]",
        "1: {count: 8}",
        "service:",
        "services: {}",
    ],
)
def test_variables_of_other_tools_are_left_alone(root: Path, text: str) -> None:
    """An inventory that exists already keeps its own variables, however their names look."""
    (root / "group_vars" / "gpu.yml").write_text(text + "\n")
    assert problems(root) == []


def test_every_place_of_a_variable_is_looked_at(root: Path) -> None:
    """Inventory files, ``group_vars``, ``host_vars`` and ``-e`` are all looked at, also of a group without hosts."""
    (root / "hosts.yml").write_text(
        f"gpu: {{hosts: {{'g[1:3]': {{gpu: {GPUS}}}}}}}\nspare:\n  vars:\n    servces: {SERVICES}\n"
    )
    (root / "group_vars" / "all.yml").write_text(f"balncer: {BALANCER}\n")
    (root / "host_vars" / "g2.yml").write_text(f"gpuss: {GPUS}\n")
    places = [found.split(": ", 1)[0] for found in problems(root, sevices={"ranking": {"image": "serving:1"}})]
    assert sorted(places) == [
        "--extra-vars",
        f"{root}/group_vars/all.yml:1:1",
        f"{root}/host_vars/g2.yml:1:1",
        f"{root}/hosts.yml:1:26",
        f"{root}/hosts.yml:4:5",
    ]


@pytest.mark.parametrize("name", ["group_var", "groups_vars", "group-vars", "host_var", "hosts_vars", "Group_vars"])
def test_a_slip_in_the_name_of_a_variables_directory(root: Path, name: str) -> None:
    """A directory that is almost called ``group_vars`` is refused: its files would be read as inventories."""
    (root / name).mkdir()
    (root / name / "gpu.yml").write_text("services: {}\n")
    (found,) = problems(root)
    assert found.startswith(f"{root}/{name}: the directory {name!r} looks like '")
