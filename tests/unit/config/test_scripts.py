"""Executable inventories: what they print becomes groups and hosts, and what it cannot be is refused with its place."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import Loaded, load, load_inventory
from fleetdeploy.errors import InputError


def script(path: Path) -> Path:
    file = path / "inv.py"
    file.write_text("#!/bin/sh\n")
    file.chmod(0o755)
    return file


def loaded(path: Path, listed: object, hosts: dict[str, str] | None = None) -> Loaded:
    """The inventory of a program that prints ``listed`` for --list, and ``hosts`` for --host."""
    text = listed if isinstance(listed, str) else json.dumps(listed)

    def run(asked: Path, arguments: Sequence[str]) -> str:
        assert asked == path / "inv.py"
        return text if arguments == ("--list",) else (hosts or {})[arguments[1]]

    return load([script(path)], run_script=run)


def test_groups_and_host_variables(tmp_path: Path) -> None:
    """A group is a list of hosts, or a mapping; ``_meta.hostvars`` and ``vars`` set variables; children nest."""
    found = loaded(tmp_path, {
        "web": {"hosts": ["w1", "w2"], "vars": {"a": 1, "ansible_group_priority": 3}, "children": ["edge"]},
        "edge": ["e1"], "empty": {}, "all": {"vars": {"b": "x"}, "hosts": ["lone"]},
        "_meta": {"hostvars": {"w1": {"a": 2, "ansible_port": 2222}, "w2": {}, "gone": {}}},
    })  # fmt: skip
    inventory = found.inventory
    assert inventory.groups["all"].children == ("ungrouped", "web", "empty")
    assert inventory.groups["web"].children == ("edge",)
    assert inventory.groups["ungrouped"].hosts == ("lone",)
    assert inventory.hosts["w1"].variables == {"a": 2, "b": "x", "ansible_port": 2222}
    assert inventory.hosts["w1"].connection.port == 2222
    assert inventory.hosts["e1"].variables == {"a": 1, "b": "x"}
    assert "gone" not in inventory.hosts


def test_each_host_is_asked_for_without_meta(tmp_path: Path) -> None:
    """A program that gives no ``_meta`` is run once a host."""
    found = loaded(tmp_path, {"web": ["w1", "w2"]}, {"w1": '{"a": 1}', "w2": ""})
    assert found.inventory.hosts["w1"].variables == {"a": 1}
    assert found.inventory.hosts["w2"].variables == {}


def test_every_value_has_its_place(tmp_path: Path) -> None:
    """A value from a program is known by the program and its path in the JSON."""
    found = loaded(tmp_path, {"web": {"hosts": ["w1"], "vars": {"a": {"b": [1]}}}, "_meta": {"hostvars": {}}})
    node = found.merged["w1"].get("a")
    assert node is not None
    assert str(node.origin) == f"{tmp_path}/inv.py:$.web.vars.a"


def test_paths_start_beside_the_program(tmp_path: Path) -> None:
    """A relative path that a program prints starts from its directory."""
    variables = {"ansible_ssh_private_key_file": "keys/id"}
    found = loaded(tmp_path, {"web": {"hosts": ["w1"], "vars": variables}, "_meta": {"hostvars": {}}})
    assert found.inventory.hosts["w1"].connection.private_key == tmp_path / "keys/id"
    found = loaded(tmp_path, {"web": ["w1"]}, {"w1": json.dumps(variables)})
    assert found.inventory.hosts["w1"].connection.private_key == tmp_path / "keys/id"


META = {"_meta": {"hostvars": {}}}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("", "inv.py: what it printed is no JSON"),
        ("[]", "inv.py: --list gave a list"),
        ('{"g": {"hosts": ["a"], "hosts": []}}', "inv.py: the key 'hosts' is given twice in one mapping"),
        ('{"g": NaN}', "no JSON: NaN is no JSON value"),
        ("[" * 5000, "no JSON"),
        ({**META, "g": {"hosts": "h"}}, "inv.py:$.g.hosts: group 'g': `hosts` is a list, got 'h'"),
        ({**META, "g": {"hosts": ["h"], "vars": None}}, "inv.py:$.g.vars: group 'g': `vars` is a mapping, got nothing"),
        ({**META, "g": {"hosts": ["h"], "foo": 1}}, "inv.py:$.g.foo: group 'g': unknown key 'foo'"),
        ({**META, "g": {"hosts": ["h", 1]}}, "inv.py:$.g.hosts[1]: the host name 1 is not text"),
        ({**META, "g": {"hosts": ["h:22"]}}, "inv.py:$.g.hosts[0]: 'h:22' is not a host name"),
        ({**META, "g": {"hosts": ["h[1:2]"]}}, "has a malformed range"),
        ({**META, "g": {"hosts": ["h"], "children": ["k"]}}, "group 'k' is named as a child but nothing defines it"),
        ({**META, "g": {"hosts": ["h"], "children": [1]}}, "'1' is not a group's name"),
        ({**META, "1g": ["h"]}, "inv.py:$.1g: '1g' is not a group's name"),
        ({**META, "g": None}, "inv.py:$.g: group 'g': expected a list of hosts or a mapping, got nothing"),
        ({**META, "g": {}}, "no hosts defined"),
        ({"_meta": {}, "g": ["h"]}, "_meta.hostvars: expected a mapping of hosts, got nothing"),
        ({"_meta": {"hostvars": {"h": None}}, "g": ["h"]}, "the variables of host 'h' are a mapping, got nothing"),
        ({"_meta": {"hostvars": {"hh": {"a": 1}}}, "g": ["h"]}, "variables of 'hh', which is in no group"),
    ],
)
def test_refused(listed: object, expected: str, tmp_path: Path) -> None:
    """What Ansible takes for something else, or passes over, is refused."""
    with pytest.raises(InputError) as caught:
        loaded(tmp_path, listed)
    assert any(expected in str(problem) for problem in caught.value.problems), caught.value.problems


def test_programs_are_not_run_where_none_may(tmp_path: Path) -> None:
    """Without a way to run programs an executable inventory is refused, not read as something else."""
    with pytest.raises(InputError, match="executable inventories are not run here"):
        load_inventory([script(tmp_path)])


def test_an_executable_file_that_is_no_program(tmp_path: Path) -> None:
    """A file that is executable by accident is read as what it holds."""
    path = tmp_path / "hosts.yml"
    path.write_text("web: {hosts: {w1: }}\n")
    path.chmod(0o755)
    assert list(load_inventory([path]).hosts) == ["w1"]
