"""INI inventories: sections, words and values as Ansible reads them, and every line that it gives up at."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetdeploy.config.inventory.load import load, load_inventory
from fleetdeploy.domain.inventory import Inventory
from fleetdeploy.errors import InputError

from .conftest import Write
from .conftest import problems as told

CALM = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: Path, text: str) -> Inventory:
    (path / "hosts").write_text(text, encoding="utf-8", newline="")
    return load_inventory([path / "hosts"])


def problems(path: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(path, text)
    return [str(problem).replace(f"{path}/", "") for problem in caught.value.problems]


def test_sections(tmp_path: Path) -> None:
    """Hosts stand before any section or in one, groups have children and variables, comments and blanks are free."""
    inventory = read(
        tmp_path,
        "# a comment\n; another\nlone rack=r0\n\n[web] # both\n  w[1:2]:2222   a=1   # end\n[top:children]\n"
        "web  # one\n[web:vars]\n  b = two words\n[db:hosts]\nd1\r\n[empty]\n",
    )
    assert inventory.groups["ungrouped"].hosts == ("lone",)
    assert inventory.groups["web"].hosts == ("w1", "w2")
    assert inventory.groups["top"].children == ("web",)
    assert inventory.groups["all"].children == ("ungrouped", "top", "db", "empty")
    assert inventory.hosts["w2"].variables == {"ansible_port": 2222, "a": 1, "b": "two words"}
    assert inventory.hosts["d1"].groups == ("all", "db")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1", 1), ("-5", -5), ("1.10", 1.1), ("1e3", 1000.0), ("012", "012"), ("0x1F", 31), ("True", True),
        ("true", "true"), ("yes", "yes"), ("NO", "NO"), ("None", None), ("null", "null"), ("", ""),
        ('"a b"', "a b"), ("'x # y'", "x # y"), ('"1"', 1), ("'\"1\"'", "1"), ("[1,2]", [1, 2]), ("(1,2)", [1, 2]),
        ("'{\"a\": 1}'", {"a": 1}), ('{"a":1}', "{a:1}"), (r"x\ y", "x y"), (r'"\t"', r"\t"), (r'"\""', '"'),
        ("1+2", "1+2"), ("1j", "1j"), ("...", "..."), ("a=b", "a=b"), ("a;b", "a;b"), ("22:22", "22:22"), ("~", "~"),
    ],
)  # fmt: skip
def test_values_on_a_hosts_line(written: str, value: object, tmp_path: Path) -> None:
    """A word's quotes go, and what is left is a Python literal if it is one, and text otherwise."""
    assert read(tmp_path, f"h v={written} # end\n").hosts["h"].variables == {"v": value}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("two words", "two words"), ('"q"', "q"), ("[1, 2]", [1, 2]), ('{"x": [1]}', {"x": [1]}), ("012", "012"),
        ("a=b", "a=b"), ("", ""), ("'x' # c", "x"), ("1 # c", 1), (r'"a\nb"', "a\nb"), (r"\n", r"\n"), ("a#b", "a#b"),
        ("True", True), ('"a" "b"', "ab"), ('"1.10"', "1.10"), ("x ; y", "x ; y"),
    ],
)  # fmt: skip
def test_values_in_a_vars_section(written: str, value: object, tmp_path: Path) -> None:
    """The whole rest of the line is the value, a Python literal with its own escapes or text."""
    assert read(tmp_path, f"[g]\nh\n[g:vars]\nv = {written}\n").hosts["h"].variables == {"v": value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("h a b=1\n", "hosts:1:3: 'a' is not `key=value`"),
        ("h a = 1\n", "hosts:1:3: 'a' is not `key=value`"),
        ('h a="x\n', "hosts:1:5: the quote opened here is never closed"),
        ("h a=x\\", "hosts:1:6: the line ends with a backslash"),
        ("h a=x#y\n", "hosts:1:6: `#` ends the line here, within a word"),
        ("h a=1 a=2\n", "hosts:1:7: the key 'a' is given twice, first at line 1"),
        ("h a-b=1\n", "hosts:1:3: 'a-b' is not a variable's name"),
        ("h =1\n", "hosts:1:3: '' is not a variable's name"),
        ("h a=b'x'\n", ""),
        ("h \"a=b'x'\"\n", "hosts:1:5: \"b'x'\" is a Python bytes"),
        ("h a={1,2}\n", "hosts:1:5: '{1,2}' is a Python set"),
        ("[g]\nh a=1\nh a=2\n", "hosts:3:1: host 'h' is given twice in one group, first at line 2"),
        ("h1,h2\n", "hosts:1:1: 'h1,h2' is not a host name"),
        ("h[1:3\n", "hosts:1:1: 'h[1' has a malformed range"),
        ("h[3:1]\n", "the range [3:1] runs backwards"),
        ("h:99999\n", "the port of 'h:99999' is not one"),
        ("k\nh:\n", "hosts:2:1: 'h:' ends with a colon"),
        ("h\n[x:childern]\ny\n", "hosts:2:1: [x:childern]: unknown kind of section 'childern'"),
        ("h\n[x y]\n", "hosts:2:1: '[x y]' is not a section"),
        ("h\n[x\n", "hosts:2:1: '[x' is not a section"),
        ("h\n[x] ; c\n", "hosts:2:1: '[x] ; c' is not a section"),
        ("h\n[1x]\n", "hosts:2:2: '1x' is not a group's name"),
        ("h\n[x:vars]\na=1\n", "hosts:2:2: group 'x' has variables, but nothing defines it"),
        ("h\n[x:vars]\n", "hosts:2:2: group 'x' has variables, but nothing defines it"),
        ("h\n[x:children]\ny\n", "hosts:3:1: group 'y' is named as a child but nothing defines it"),
        ("[x]\nh\n[x:children]\nx\n", "contains itself"),
        ("[x:children]\ny\n[y:children]\nx\n[z]\nh\n", "contains itself"),
        ("[x:children]\nall\n", "group 'x' has `all` as a child"),
        ("[x]\nh\n[h]\nx\n", "'h' is a host and a group"),
        ("[g]\nh\n[g:vars]\na\n", "hosts:4:1: 'a' is not `key=value`"),
        ("[g]\nh\n[g:vars]\na=1\n[g:vars]\na=1\n", "hosts:6:1: the key 'a' is given twice, first at line 4"),
        ("[g]\nh\n[g:vars]\na = b # c\n", "hosts:4:5: a: what follows `#` would be part of the value"),
        ("[g]\nh\n[g:vars]\nansible_group_priority=x\n", "ansible_group_priority: 'x' is not a whole number"),
        ("h a=\0\n", "the control character U+0000 is not allowed"),
        ("# nothing\n", "no hosts defined"),
        ("#!/bin/sh\necho\n", "begins with `#!`, but is not executable"),
    ],
)
def test_refused(text: str, expected: str, tmp_path: Path) -> None:
    """A line that Ansible gives up at, or reads as something else than it looks like, is refused with its place."""
    if not expected:
        assert read(tmp_path, text).hosts["h"].variables == {"a": "bx"}
        return
    found = problems(tmp_path, text)
    assert any(expected in problem for problem in found), found


def test_all_problems_at_once(tmp_path: Path) -> None:
    """One bad line does not hide the next."""
    found = problems(tmp_path, "h a\n[x:y]\n[1]\nk b\n")
    assert [problem.split(": ")[0] for problem in found] == ["hosts:1:3", "hosts:2:1", "hosts:3:2", "hosts:4:3"]


@pytest.mark.parametrize(("lines", "told"), [(24, 48), (25, 10), (200, 10)])
def test_a_text_that_is_no_inventory_is_told_by_its_first_problems(tmp_path: Path, lines: int, told: int) -> None:
    """Up to 49 problems people see all of them; of more the first ten, though all are there."""
    (tmp_path / "README").write_text("some prose .\n" * lines)
    with pytest.raises(InputError) as caught:
        load_inventory([tmp_path / "README"])
    found = caught.value.problems
    assert len(found) == 2 * lines
    assert [item.one_of_many_in for item in found] == [""] * told + [str(tmp_path / "README")] * (2 * lines - told)


def test_every_value_has_its_place(tmp_path: Path) -> None:
    """A variable is found by line and column, on a host's line and in a section."""
    path = tmp_path / "hosts"
    path.write_text("[g]\nh  a=1 bb='x y'\n[g:vars]\n  c  =  3\n")
    merged = load([path]).merged["h"]
    places = {entry.key.raw: (entry.key.origin.line, entry.value.origin.column) for entry in merged}
    assert places == {"a": (2, 6), "bb": (2, 11), "c": (4, 9)}


def test_a_child_takes_its_place_when_it_is_described(tmp_path: Path) -> None:
    """Children are in the order in which Ansible links them: at once when known, else where they begin."""
    inventory = read(tmp_path, "[b]\nh2\n[x:children]\nb\na\nc\n[c]\nh3\n[a]\nh1\n")
    assert inventory.groups["x"].children == ("b", "c", "a")
    assert list(inventory.groups) == ["all", "ungrouped", "b", "x", "c", "a"]


def test_numbers_that_surprise_are_refused_where_a_version_is_meant(tmp_path: Path) -> None:
    """A number whose text would be lost is refused in a reserved variable, as it is in YAML."""
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars/all.yml").write_text("")
    found = problems(tmp_path, "h gpus=\"{'count': '0x2'}\"\n")
    assert any("gpus.count" in problem for problem in found)


LINES = st.lists(
    st.text("[]:=#;'\"\\ ab1,{}\t.-", max_size=14)
    | st.sampled_from(
        ["[a]", "[a:vars]", "[b:children]", "a", "b", "h1 x=1", "x=1", "h[1:3]:22", "[a:hosts]", "y = 'z"]
    ),
    max_size=8,
)


@CALM
@given(LINES)
def test_any_lines(tmp_path: Path, lines: list[str]) -> None:
    """Whatever lines a file has, it is an inventory with hosts, or refused with a place in it."""
    try:
        inventory = read(tmp_path, "\n".join(lines))
    except InputError as error:
        assert all(problem.where.startswith(str(tmp_path)) for problem in error.problems)  # noqa: PT017  both ends
        return
    assert inventory.hosts
    assert json.dumps([dict(host.variables) for host in inventory.hosts.values()])


def test_hints_speak_of_the_file_at_hand(write: Write) -> None:
    """A group that nothing defines is defined by a section in INI, by `hosts: {}` in YAML; a priority has a hint."""
    found = told(write({"x": "[g:children]\nlost\n[g:vars]\nansible_group_priority=high\n"}) / "x")
    assert "an empty group is a line [lost]" in found
    assert "hosts: {}" not in found
    assert "write a number such as 10" in found
    found = told(write({"y.yml": "g: {children: {lost: }}\n"}) / "y.yml")
    assert "an empty group says `hosts: {}`" in found
