"""How a host is reached: jump hosts, configuration files and becoming root; what is not followed is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.domain.inventory import Connection
from fleetdeploy.errors import InputError


def connection(path: Path, **variables: object) -> Connection:
    file = path / "hosts.json"
    file.write_text(json.dumps({"web": {"hosts": {"h": variables}}}))
    return load_inventory([file]).hosts["h"].connection


@pytest.mark.parametrize(
    ("written", "jump", "config"),
    [
        ("-J bastion", "bastion", ""),
        ("-Jme@bastion.lan:2222,second", "me@bastion.lan:2222,second", ""),
        ("-o ProxyJump=bastion", "bastion", ""),
        ("-oProxyJump=bastion -F ssh.cfg", "bastion", "ssh.cfg"),
        ("-o 'proxyjump bastion'", "bastion", ""),
        ("-o ProxyJump=none", "none", ""),
        ("-F '/etc/with blank'", None, "/etc/with blank"),
        ("-J [::1]:22", "[::1]:22", ""),
        ("", None, ""),
    ],
)
def test_ssh_arguments(written: str, jump: str | None, config: str, tmp_path: Path) -> None:
    """A jump host and a configuration file are taken however OpenSSH lets one write them."""
    found = connection(tmp_path, ansible_ssh_common_args=written)
    assert found.proxy_jump == jump
    assert found.ssh_config == (tmp_path / config if config else None)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("-o ProxyCommand='nc %h 22'", "-o ProxyCommand=nc %h 22 is not followed"),
        ("-o StrictHostKeyChecking=no -J bastion", "-o StrictHostKeyChecking=no is not followed"),
        ("-A", "'-A' is not followed"),
        ("-J", "-J lacks its value"),
        ("-J a -J b", "ProxyJump is given twice"),
        ("-J -oProxyCommand=id", "'-oProxyCommand=id' is not a jump host"),
        ("-J 'a;id'", "'a;id' is not a jump host"),
        ("-J 'a", "no closing quotation"),
        (7, "expected text, got 7"),
    ],
)
def test_ssh_arguments_refused(written: object, message: str, tmp_path: Path) -> None:
    """Whatever else stands in SSH's arguments is refused, with the place."""
    with pytest.raises(InputError) as caught:
        connection(tmp_path, ansible_ssh_common_args=written)
    assert any(message in problem.message for problem in caught.value.problems), caught.value.problems
    assert all(problem.where.startswith(f"{tmp_path}/hosts.json:1:") for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [(True, True), ("yes", True), ("True", True), (1, True), (False, False), ("no", False), ("off", False)],
)
def test_become(written: object, wanted: bool, tmp_path: Path) -> None:
    """``ansible_become`` is read from every kind of inventory, whatever it takes true and false to be."""
    found = connection(
        tmp_path,
        ansible_become=written,
        ansible_become_user="root",
        ansible_become_method="sudo",
        ansible_become_flags="",
    )
    assert found.become is wanted


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ansible_become", "perhaps"),
        ("ansible_become_user", "deploy"),
        ("ansible_become_method", "su"),
        ("ansible_become_password", "hunter2"),
        ("ansible_become_pass", "hunter2"),
        ("ansible_become_flags", "-H"),
        ("ansible_sudo", "true"),
        ("ansible_sudo_user", "root"),
        ("ansible_sudo_exe", "doas"),
        ("ansible_sudo_flags", "-H"),
        ("ansible_su", "true"),
        ("ansible_su_user", "root"),
        ("ansible_su_pass", "hunter2"),
        ("ansible_password", "hunter2"),
        ("ansible_ssh_pass", "hunter2"),
        ("ansible_ssh_extra_args", "-v"),
    ],
)
def test_what_is_not_followed(name: str, value: str, tmp_path: Path) -> None:
    """Another user, another method and passwords are refused by the variable's name, without showing a password."""
    with pytest.raises(InputError) as caught:
        connection(tmp_path, **{name: value})
    (problem,) = caught.value.problems
    assert problem.message.startswith(f"{name}")
    assert problem.hint
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("ansible_hosts", "ansible_host"),
        ("ansible_usr", "ansible_user"),
        ("ansible_prot", "ansible_port"),
        ("Ansible_User", "ansible_user"),
        ("ansible_ssh_hots", "ansible_ssh_host"),
        ("ansible_becone", "ansible_become"),
    ],
)
def test_a_slip_in_the_name_of_a_connection_variable(name: str, meant: str, tmp_path: Path) -> None:
    """A name that is one slip away from a connection variable's is refused: another host or user would be meant."""
    with pytest.raises(InputError) as caught:
        connection(tmp_path, **{name: "x"})
    assert f"did you mean {meant!r}?" in caught.value.problems[0].hint


@pytest.mark.parametrize("name", ["ansible_python_interpreter", "ansible_timeout", "ansible_hostname", "ansible_vault"])
def test_other_variables_of_ansible_are_passed_over(name: str, tmp_path: Path) -> None:
    """What fleetdeploy has no use for, and what holds a list, is no slip."""
    assert connection(tmp_path, **{name: "x"}, ansible_users=["x"]).address == "h"
