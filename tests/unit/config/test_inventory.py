"""Inventories: Ansible's merge order, groups, extra variables, connection variables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import InputError

from .conftest import SERVICE, Write, indented, problems

RECORDED = sorted((Path(__file__).parent / "cases" / "ansible").iterdir())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.name)
def test_variables_merge_as_in_ansible(case: Path) -> None:
    """Every host has exactly the variables that Ansible itself gives it, as recorded from ``ansible-core``."""
    recorded = json.loads((case / "ansible.json").read_text())
    inventory = load_inventory([case / "hosts.yml"])
    ours = {name: dict(host.variables) for name, host in inventory.hosts.items()}
    for variables in ours.values():
        variables.pop("ansible_group_priority", None)
    assert ours == recorded["hostvars"]


def test_groups(write: Write) -> None:
    """Groups keep their hosts and children in file order; ``all`` and ``ungrouped`` are always there."""
    root = write(
        {"hosts.yml": "web: {hosts: {w2: , w1: }, children: {edge: {hosts: {e1: }}}}\nungrouped: {hosts: {x: }}\n"}
    )
    inventory = load_inventory([root])
    assert inventory.groups["web"].hosts == ("w2", "w1")
    assert inventory.groups["web"].children == ("edge",)
    assert inventory.groups["all"].children == ("ungrouped", "web")
    assert inventory.groups["ungrouped"].hosts == ("x",)
    assert inventory.hosts["e1"].groups == ("all", "web", "edge")
    assert list(inventory.hosts) == ["w2", "w1", "e1", "x"]
    assert inventory.sources == (root,)


def test_other_mappings_replace(write: Write) -> None:
    """Any other mapping variable replaces the outer one as a whole, as in Ansible."""
    root = write({"hosts.yml": "gpu: {hosts: {g1: {limits: {b: 2}}}, vars: {limits: {a: 1}}}\n"})
    assert load_inventory([root]).hosts["g1"].variables["limits"] == {"b": 2}


def test_templates_in_ordinary_variables_stay_text(write: Write) -> None:
    """A value with braces is carried as it is and never rendered."""
    root = write({"hosts.yml": 'gpu: {hosts: {g1: {motd: "{{ 7 * 7 }}"}}}\n'})
    assert load_inventory([root]).hosts["g1"].variables["motd"] == "{{ 7 * 7 }}"


def test_extra_vars_win(write: Write) -> None:
    """Extra variables outrank every file, merge into services, and start paths from the working directory."""
    root = write({"hosts.yml": "gpu:\n  hosts: {g1: {x: 1}}\n  vars:\n    services:\n" + indented(SERVICE, 4)})
    extra = {"x": "2", "ansible_port": "2222", "services": {"ranking": {"models": {"ranker": {"source": "here"}}}}}
    host = load_inventory([root], extra_vars=extra).hosts["g1"]
    assert host.variables["x"] == "2"
    assert host.connection.port == 2222
    assert host.services[0].models[0].source == Path("here")
    assert host.services[0].models[0].versions.numbers == (7,)


def test_bad_extra_vars(write: Write) -> None:
    """A wrong extra variable is told as such."""
    root = write({"hosts.yml": "gpu: {hosts: {g1: }}\n"})
    with pytest.raises(InputError, match=r"--extra-vars: gpus.count: 'many'|expected a whole number"):
        load_inventory([root], extra_vars={"gpus": {"count": "many"}})


def test_connection(write: Write) -> None:
    """Ansible's connection variables say how a host is reached; what is not set stays open."""
    root = write({
        "hosts.yml": "gpu:\n  vars: {ansible_user: deploy, fleetdeploy_known_hosts: known_hosts}\n  hosts:\n"
        "    g1: {ansible_host: 10.0.0.1, ansible_port: 2222, ansible_ssh_private_key_file: keys/id}\n"
        "    g2:2200:\n    g3: {ansible_host: 'fe80::1%eth0', ansible_ssh_private_key_file: /etc/key}\n",
    })  # fmt: skip
    hosts = load_inventory([root]).hosts
    first = hosts["g1"].connection
    assert (first.address, first.port, first.user) == ("10.0.0.1", 2222, "deploy")
    assert first.private_key == root / "keys/id"
    assert first.known_hosts == root / "known_hosts"
    assert (hosts["g2"].connection.address, hosts["g2"].connection.port) == ("g2", 2200)
    assert hosts["g2"].connection.private_key is None
    assert (hosts["g3"].connection.address, hosts["g3"].connection.private_key) == ("fe80::1%eth0", Path("/etc/key"))


def test_variable_names(write: Write) -> None:
    """A variable's name that Ansible only complains about is refused in an inventory file."""
    root = write({"hosts.yml": "g: {hosts: {h: {a-b: 1}}}\n"})
    assert "hosts.yml:1:17: 'a-b' is not a variable's name" in problems(root)
