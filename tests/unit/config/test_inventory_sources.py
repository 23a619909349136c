"""Sources of an inventory: files of every kind, directories of them, lists of hosts, and several at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import InputError

from .conftest import Write, problems

RECORDED = sorted((Path(__file__).parent / "cases" / "ansible").iterdir())


def test_directory_and_file_are_the_same_inventory(tmp_path: Path) -> None:
    """A directory stands for the inventory files in it, with the same variable files beside them."""
    case = tmp_path / "case"
    shutil.copytree(RECORDED[-1], case, ignore=shutil.ignore_patterns("ansible.json"))
    assert load_inventory([case]).hosts == load_inventory([case / "hosts.yml"]).hosts


def test_problems_of_all_files_at_once(write: Write) -> None:
    """Problems of several inventory files are told together."""
    root = write({"a.yml": "web: [1]\n", "b.yml": "db: {hosts: {'a b': }}\n", "c.yml": "x: [\n"})
    found = problems(root)
    assert "a.yml:1:6" in found
    assert "b.yml:1:14" in found
    assert "c.yml" in found


@pytest.mark.parametrize("kind", ["missing", "empty_directory", "only_vars"])
def test_no_inventory(kind: str, write: Write) -> None:
    """A missing inventory and a directory without one are told apart, by the path as it was given."""
    root = write({"only_vars/group_vars/all.yml": "a: 1\n"})
    (root / "empty_directory").mkdir()
    found = problems(root / kind)
    assert str(root / kind) in found
    assert ("no such inventory" if kind == "missing" else "the directory holds no inventory") in found
    with pytest.raises(InputError, match="no inventory given"):
        load_inventory([])


def test_a_directory_of_inventories_names_them(write: Write) -> None:
    """A directory that holds inventories one level down says how to name them; variable files are none."""
    root = write({
        "prod/hosts.yml": "web: {hosts: {w1: }}\n",
        "lab/fleet.yaml": "web: {hosts: {w1: }}\n",
        "empty/group_vars/web.yml": "a: 1\n",
        "group_vars/web.yml": "a: 1\n",
    })  # fmt: skip
    assert f"did you mean -i {root}/lab or -i {root}/prod?" in problems(root)


def test_models_beside_an_inventory_are_no_inventories(write: Write) -> None:
    """Models, golden requests and keys lie beside an inventory; any other file that cannot be one is refused."""
    root = write({
        "hosts.yml": "web: {hosts: {w1: }}\n", "known_hosts": "w1 ssh-ed25519 AAAA\n", "ssh_config": "Host *\n",
        "models/ranker/7/saved_model.pb": "x", "models/ranker/7/assets/words.tsv": "a\tb\n",
        "golden/ranker.jsonl": "{}\n", "elsewhere/ranker/7/saved_model.pb": "x", "elsewhere/ranker/7/words.yml": "a\n",
    })  # fmt: skip
    assert list(load_inventory([root]).hosts) == ["w1"]
    (root / "fleetdeploy_known_hosts").write_text("w1 ssh-ed25519 AAAA\n")
    assert "write `fleetdeploy_known_hosts: known_hosts` into the inventory" in problems(root)
    (root / "elsewhere" / "words.tsv").write_text("a\tb\n")
    assert f"{root}/elsewhere/words.tsv: .tsv is no inventory's ending" in problems(root)


def test_a_directory_holds_inventories_of_every_kind(write: Write) -> None:
    """YAML, JSON and INI files of one directory add up in the order of their names; notes beside them are no hosts."""
    root = write({
        "20-hosts": "[web]\nw1 rack=r1\n", "10-hosts.yml": "web: {hosts: {w2: }}\n", "30.ini": "w3\n",
        "40.json": '{"db": {"hosts": {"d1": {}}}}', "50": "# YAML without a suffix\ndb: {hosts: {d2: }}\n",
        "README.md": "x", "old.bak": "x", "notes.txt": "x", "ansible.cfg": "x", ".hidden": "x", "h~": "x",
        "sub/more": "[db]\nd3\n", "group_vars/db.yml": "a: 1\n",
    })  # fmt: skip
    inventory = load_inventory([root])
    assert inventory.groups["web"].hosts == ("w2", "w1")
    assert inventory.groups["db"].hosts == ("d1", "d2", "d3")
    assert inventory.groups["ungrouped"].hosts == ("w3",)
    assert inventory.hosts["d3"].variables == {"a": 1}
    assert inventory.hosts["w1"].variables == {"rack": "r1"}


def test_what_no_reader_takes_is_not_passed_over(write: Write) -> None:
    """A file that is no inventory, beside one that is, is refused: its hosts would be missing in silence."""
    root = write({"hosts.yml": "web: {hosts: {w1: }}\n", "old.toml": "[web]\n", "Makefile": "all:\n\techo\n"})
    found = problems(root)
    assert "old.toml: TOML inventories are not read" in found
    assert "Makefile" in found


def test_a_list_of_hosts(write: Write) -> None:
    """``h1,h2,`` is an inventory of these hosts, with ports, and without ranges."""
    inventory = load_inventory([Path("w1, w2:2222,10.0.0.1,::1,")])
    assert inventory.groups["ungrouped"].hosts == ("w1", "w2", "10.0.0.1", "::1")
    assert inventory.hosts["w2"].connection.port == 2222
    assert "a list of hosts has no ranges" in problems(Path("w[1:2],"))
    assert "no hosts defined" in problems(Path(","))
    root = write({"a,b": "w9\n"})
    assert list(load_inventory([root / "a,b"]).hosts) == ["w9"]


def test_several_sources_merge(write: Write) -> None:
    """Hosts, groups and variables of several inventories add up; the later one wins."""
    root = write(
        {"a/h.yml": "web: {hosts: {w1: }, vars: {x: 1, y: 1}}\n", "b/h.yml": "web: {hosts: {w2: }, vars: {x: 2}}\n"}
    )
    inventory = load_inventory([root / "a", root / "b/h.yml"])
    assert inventory.groups["web"].hosts == ("w1", "w2")
    assert inventory.hosts["w1"].variables == {"x": 2, "y": 1}


def test_a_port_belongs_where_a_host_is_first_named(write: Write) -> None:
    """A port that Ansible would pass over, as the host is known without it, is refused; the same one again is not."""
    assert load_inventory([write({"x": "[a]\nh:22\n[b]\nh:22\n"}) / "x"]).hosts["h"].connection.port == 22
    assert "host 'h' is known by now, and not with port 22" in problems(write({"x": "[a]\nh\n[b]\nh:22\n"}) / "x")


def test_a_comma_behind_a_file_s_name(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """``-i hosts.yml,`` would be a host of that name; a host whose name a file happens to have is none."""
    root = write({"hosts.yml": "web: {hosts: {w1: }}\n", "gpu1": "notes\n", "gpu2.example.net": "notes\n"})
    monkeypatch.chdir(root)
    found = problems(Path("hosts.yml,"))
    assert "'hosts.yml' is an inventory file" in found
    assert "write -i hosts.yml without the comma" in found
    assert list(load_inventory([Path("gpu1,gpu2.example.net,other.yml,")]).hosts)[:2] == ["gpu1", "gpu2.example.net"]
