"""Inventories: Ansible's merge order, key-by-key services, variable files, ranges, connection variables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.inventory.ranges import expand
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.domain.inventory import Inventory
from fleetdeploy.domain.service import GpuRequest, Requirements, VersionsWish
from fleetdeploy.errors import InputError

RECORDED = sorted((Path(__file__).parent / "cases" / "ansible").iterdir())
Write = Callable[[dict[str, str]], Path]
SERVICE = """
  ranking:
    image: example/serving:2.19
    ports: {grpc: 8500, rest: 8501}
    bind: 10.0.0.0/8
    gpus: {devices: [0]}
    flags: {enable_batching: true}
    models:
      ranker: {source: models/ranker, versions: [7], labels: {stable: 7}, golden: golden/ranker.jsonl}
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files below one directory and returns it."""

    def write_all(files: dict[str, str]) -> Path:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write_all


def problems(*sources: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_inventory(sources)
    return "\n".join(map(str, caught.value.problems))


def indented(text: str, spaces: int) -> str:
    return "\n".join(" " * spaces + line if line else line for line in text.splitlines())


@pytest.mark.parametrize("case", RECORDED, ids=lambda case: case.name)
def test_variables_merge_as_in_ansible(case: Path) -> None:
    """Every host has exactly the variables that Ansible itself gives it, as recorded from ``ansible-core``."""
    recorded = json.loads((case / "ansible.json").read_text())
    inventory = load_inventory([case / "hosts.yml"])
    ours = {name: dict(host.variables) for name, host in inventory.hosts.items()}
    for variables in ours.values():
        variables.pop("ansible_group_priority", None)
    assert ours == recorded["hostvars"]


def test_directory_and_file_are_the_same_inventory(tmp_path: Path) -> None:
    """A directory stands for the inventory files in it, with the same variable files beside them."""
    case = tmp_path / "case"
    shutil.copytree(RECORDED[-1], case, ignore=shutil.ignore_patterns("ansible.json"))
    assert load_inventory([case]).hosts == load_inventory([case / "hosts.yml"]).hosts


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
    requires = "labels: {stable: 7}, requires: {gpu_memory: 12GiB, compute_capability: '8.0'}"
    root = write({
        "hosts.yml": "gpu: {hosts: {g1: }}\n",
        "group_vars/gpu.yml": "services:\n" + SERVICE.replace("labels: {stable: 7}", requires),
    })  # fmt: skip
    (service,) = load_inventory([root]).hosts["g1"].services
    assert service.models[0].requires == Requirements(12 * 1024**3, ">=8.0")


def test_models_beside_an_inventory_are_no_inventories(write: Write) -> None:
    """Models, golden requests and keys lie beside an inventory; any other file that cannot be one is refused."""
    root = write({
        "hosts.yml": "web: {hosts: {w1: }}\n", "known_hosts": "w1 ssh-ed25519 AAAA\n", "ssh_config": "Host *\n",
        "models/ranker/7/saved_model.pb": "x", "models/ranker/7/assets/words.tsv": "a\tb\n",
        "golden/ranker.jsonl": "{}\n", "elsewhere/ranker/7/saved_model.pb": "x", "elsewhere/ranker/7/words.yml": "a\n",
    })  # fmt: skip
    assert list(load_inventory([root]).hosts) == ["w1"]
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


def test_variable_files_that_would_not_be_read(write: Write) -> None:
    """Variable files below a directory inside an inventory are refused: Ansible passes over them in silence."""
    root = write({"hosts": "w1\n", "sub/hosts": "w2\n", "sub/group_vars/all.yml": "a: 1\n"})
    assert "sub has variable files of its own, which would not be read" in problems(root)


def test_a_list_of_hosts(write: Write) -> None:
    """``h1,h2,`` is an inventory of these hosts, with ports, and without ranges."""
    inventory = load_inventory([Path("w1, w2:2222,10.0.0.1,::1,")])
    assert inventory.groups["ungrouped"].hosts == ("w1", "w2", "10.0.0.1", "::1")
    assert inventory.hosts["w2"].connection.port == 2222
    assert "a list of hosts has no ranges" in problems(Path("w[1:2],"))
    assert "no hosts defined" in problems(Path(","))
    root = write({"a,b": "w9\n"})
    assert list(load_inventory([root / "a,b"]).hosts) == ["w9"]


def test_variables_beside_the_playbook(write: Write) -> None:
    """They outrank those of the same kind beside the inventory, and groups stay weaker than hosts, as in Ansible."""
    root = write({
        "inv/hosts": "[g]\nh a=inline b=inline\n", "inv/group_vars/all.yml": "c: 1\n",
        "inv/group_vars/g.yml": "d: 1\ne: 1\n", "inv/host_vars/h.yml": "a: file\n",
        "play/group_vars/all.yml": "c: 2\nd: 2\nb: 2\n", "play/group_vars/g.yml": "e: 2\n",
        "play/host_vars/h.yml": "a: play\n",
    })  # fmt: skip
    host = load_inventory([root / "inv"], playbook_dir=root / "play").hosts["h"]
    assert host.variables == {"a": "play", "b": "inline", "c": 2, "d": 1, "e": 2}


def test_variables_beside_the_playbook_of_unknown_names(write: Write) -> None:
    """A variables file beside the playbook for a group that the inventory lacks is refused, as one beside it."""
    root = write({"inv/hosts": "[g]\nh\n", "play/group_vars/gg.yml": "a: 1\n"})
    with pytest.raises(InputError, match="group_vars for group 'gg', which the inventory does not have"):
        load_inventory([root / "inv"], playbook_dir=root / "play")


def test_priority_is_of_inventory_files_only(write: Write) -> None:
    """``ansible_group_priority`` decides between groups of one depth, and is refused where it would do nothing."""
    files = {"hosts": "[a]\nh\n[b]\nh\n[a:vars]\nansible_group_priority=2\nv=a\n[b:vars]\nv=b\n"}
    root = write(files)
    assert load_inventory([root]).hosts["h"].variables == {"v": "a"}
    write({"group_vars/b.yml": "ansible_group_priority: 9\n"})
    assert "b.yml:1:1: ansible_group_priority has no effect in a variables file" in problems(root)


def test_the_last_of_two_sources_in_one_directory_decides(write: Write) -> None:
    """Variable files are read for each source in turn, so the directory of the last source wins."""
    root = write({
        "a/x": "h\n", "b/y": "h\n", "a/z": "h\n",
        "a/group_vars/all.yml": "v: a\n", "b/group_vars/all.yml": "v: b\nw: b\n",
    })  # fmt: skip
    assert load_inventory([root / "a/x", root / "b/y", root / "a/z"]).hosts["h"].variables == {"v": "a", "w": "b"}


def test_a_port_belongs_where_a_host_is_first_named(write: Write) -> None:
    """A port that Ansible would pass over, as the host is known without it, is refused; the same one again is not."""
    assert load_inventory([write({"x": "[a]\nh:22\n[b]\nh:22\n"}) / "x"]).hosts["h"].connection.port == 22
    assert "host 'h' is known by now, and not with port 22" in problems(write({"x": "[a]\nh\n[b]\nh:22\n"}) / "x")


def test_variable_names(write: Write) -> None:
    """A variable's name that Ansible only complains about is refused in an inventory file."""
    root = write({"hosts.yml": "g: {hosts: {h: {a-b: 1}}}\n"})
    assert "hosts.yml:1:17: 'a-b' is not a variable's name" in problems(root)


def test_variable_files_of_unknown_names(write: Write) -> None:
    """Variables for a group or host that does not exist are refused, with the nearest name."""
    root = write({
        "hosts.yml": "ranking: {hosts: {gpu01.example.net: }}\n",
        "group_vars/rankng.yml": "a: 1\n",
        "group_vars/all.yml": "a: 1\n",
        "host_vars/gpu01.example.com": "a: 1\n",
        "host_vars/.hidden.yml": "a: 1\n",
        "host_vars/notes.md": "x",
    })  # fmt: skip
    found = problems(root)
    assert "group_vars for group 'rankng', which the inventory does not have" in found
    assert "did you mean 'ranking'?" in found
    assert "host_vars for host 'gpu01.example.com'" in found
    assert "did you mean 'gpu01.example.net'?" in found
    assert found.count("which the inventory does not have") == 2


def test_file_and_directory_of_one_name(write: Write) -> None:
    """Variables of one group in two places at once are refused, in whatever spelling."""
    root = write({
        "hosts.yml": "a: {hosts: {h: }}\nb: {hosts: {h: }}\n",
        "group_vars/a.yml": "x: 1\n",
        "group_vars/a/main.yml": "x: 2\n",
        "group_vars/b.yml": "x: 1\n",
        "group_vars/b.yaml": "x: 2\n",
    })  # fmt: skip
    found = problems(root)
    assert "variables of group 'a' stand in a and a.yml at once" in found
    assert "variables of group 'b' stand in b.yaml and b.yml at once" in found


def test_broken_variable_files(write: Write) -> None:
    """Every variable file that is no mapping, or no YAML, is named; an empty one sets nothing."""
    root = write({
        "hosts.yml": "a: {hosts: {h: }}\nb: {hosts: {h: }}\n",
        "group_vars/a.yml": "- x\n",
        "group_vars/b/one.yml": "x: [\n",
        "group_vars/b/two.yml": "# nothing\n",
        "host_vars/h.yml": "x: 1\nx: 2\n",
    })  # fmt: skip
    found = problems(root)
    assert "a.yml:1:1: a variables file is a mapping, got a list" in found
    assert "one.yml:1:4: the `[` opened here is not closed" in found
    assert "h.yml:2:1: the key 'x' is given twice" in found
    assert "two.yml" not in found


def test_unreadable_directory(write: Write) -> None:
    """A variables directory that cannot be listed is refused rather than taken for empty."""
    root = write({"hosts.yml": "a: {hosts: {h: }}\n", "group_vars": "not a directory"})
    assert "group_vars" in problems(root)


def test_several_sources_merge(write: Write) -> None:
    """Hosts, groups and variables of several inventories add up; the later one wins."""
    root = write(
        {"a/h.yml": "web: {hosts: {w1: }, vars: {x: 1, y: 1}}\n", "b/h.yml": "web: {hosts: {w2: }, vars: {x: 2}}\n"}
    )
    inventory = load_inventory([root / "a", root / "b/h.yml"])
    assert inventory.groups["web"].hosts == ("w1", "w2")
    assert inventory.hosts["w1"].variables == {"x": 2, "y": 1}


@pytest.mark.parametrize(
    ("written", "names", "port"),
    [
        ("gpu01", ["gpu01"], None),
        ("gpu[01:03]", ["gpu01", "gpu02", "gpu03"], None),
        ("gpu[8:11].lan", ["gpu8.lan", "gpu9.lan", "gpu10.lan", "gpu11.lan"], None),
        ("gpu[1:9:4]", ["gpu1", "gpu5", "gpu9"], None),
        ("gpu[:2]", ["gpu0", "gpu1", "gpu2"], None),
        ("r[a:b]n[1:2]", ["ran1", "ran2", "rbn1", "rbn2"], None),
        ("r[A:C:2]", ["rA", "rC"], None),
        ("gpu[1:2]:2222", ["gpu1", "gpu2"], 2222),
        ("10.0.0.[1:2]", ["10.0.0.1", "10.0.0.2"], None),
        ("fe80::1", ["fe80::1"], None),
        ("[fe80::1]:22", ["fe80::1"], 22),
        ("gpu[007:009]", ["gpu007", "gpu008", "gpu009"], None),
    ],
)
def test_ranges(written: str, names: list[str], port: int | None) -> None:
    """Ranges count in numbers or letters, keep leading zeros, take strides, and multiply."""
    assert expand(written) == (tuple(names), port)


@given(st.integers(0, 500), st.integers(0, 60), st.integers(1, 9), st.booleans())
def test_number_ranges(first: int, length: int, step: int, padded: bool) -> None:
    """A range names the numbers that counting from begin to end by the step gives, padded to one width if asked."""
    last = first + length
    width = len(str(last)) + 1 if padded else 0
    names, _ = expand(f"gpu[{str(first).zfill(width)}:{str(last).zfill(width)}:{step}]")
    assert names == tuple(f"gpu{str(number).zfill(width)}" for number in range(first, last + 1, step))


@given(st.text(max_size=12))
def test_no_text_escapes_the_host_name_rules(text: str) -> None:
    """Whatever is written as a host, the names that come out are safe words for an SSH command."""
    try:
        names, _ = expand(text)
    except Refused:
        return
    for name in names:
        assert name
        assert not name.startswith("-")
        assert not set(name) & set(" \t\n\r;|&$`'\"\\<>(){}*?!~#/@")
