"""Two names of one machine are refused where both have services; ports and jump hosts tell machines apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import InputError

from .conftest import SERVICE, Write, problems


def fleet(write: Write, **own: str) -> Path:
    """Hosts with services, each with its own variables."""
    hosts = "".join(f"    {name}: {{{text}}}\n" for name, text in own.items())
    return write({"hosts.yml": f"gpu:\n  hosts:\n{hosts}", "group_vars/gpu.yml": "services:\n" + SERVICE})


def test_a_copied_host(write: Write) -> None:
    """Both hosts, the address and both places are told, once."""
    root = fleet(write, gpu5="ansible_host: 10.0.0.5", gpu7="ansible_host: 10.0.0.5, ansible_port: 22", gpu8="")
    (line, hint) = problems(root).splitlines()
    assert line == f"{root}/hosts.yml:4:26: gpu5 and gpu7 are one machine: 10.0.0.5, port 22"
    assert f"gpu5 has it from {root}/hosts.yml:3:26" in hint


def test_the_name_of_another_host(write: Write) -> None:
    """An address is the host's name where no other is given, in whatever case, and IPv6 in whatever form."""
    assert "gpu5 and gpu7 are one machine" in problems(fleet(write, gpu5="", gpu7="ansible_host: GPU5"))
    root = fleet(write, a="ansible_host: '2001:db8::1'", b="ansible_host: '2001:DB8:0::1'")
    assert "a and b are one machine" in problems(root)


def test_an_address_for_everybody(write: Write) -> None:
    """``-e ansible_host=…`` is one mistake, and not one of each host."""
    root = fleet(write, g1="", g2="", g3="", g4="", g5="")
    with pytest.raises(InputError) as caught:
        load_inventory([root], extra_vars={"ansible_host": "1.2.3.4"})
    (problem,) = caught.value.problems
    assert problem.message == "g1, g2, g3 and 2 more are one machine: 1.2.3.4, port 22"
    assert problem.where == "--extra-vars"
    assert "for one host only" in problem.hint


@pytest.mark.parametrize("other", ["ansible_port: 2222", "ansible_ssh_common_args: -J gate2", "services: null"])
def test_machines_that_share_an_address(other: str, write: Write) -> None:
    """Another port or jump host is another machine; a host without services may be a second name."""
    root = fleet(write, gpu5="ansible_host: 10.0.0.5", gpu7=f"ansible_host: 10.0.0.5, {other}")
    if "null" in other:
        (root / "group_vars/gpu.yml").rename(root / "services.yml.bak")
        (root / "host_vars").mkdir()
        (root / "services.yml.bak").rename(root / "host_vars/gpu5.yml")
        (root / "hosts.yml").write_text((root / "hosts.yml").read_text().replace(f", {other}", ""))
    assert len(load_inventory([root]).hosts) == 2
