"""Files of ``group_vars`` and ``host_vars``: which are read, in what order, and what is never passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.errors import InputError

from .conftest import Write, problems


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


def test_variable_files_that_would_not_be_read(write: Write) -> None:
    """Variable files below a directory inside an inventory are refused: Ansible passes over them in silence."""
    root = write({"hosts": "w1\n", "sub/hosts": "w2\n", "sub/group_vars/all.yml": "a: 1\n"})
    assert "sub has variable files of its own, which would not be read" in problems(root)


@pytest.mark.parametrize(
    "name",
    ["vars.yml.disabled", "vars.YML", "vars.ini", "vars.toml", "vars.yml.save", "prod.d/vars.yml", "deep/vars.yaml.j2"],
)
@pytest.mark.parametrize("folder", ["group_vars/a", "host_vars/h"])
def test_what_ansible_passes_over_below_a_name_is_refused(write: Write, folder: str, name: str) -> None:
    """Ansible reads no other endings than its own there, and no directory with one: their values would be missing."""
    root = write({"hosts.yml": "a: {hosts: {h: }}\n", f"{folder}/main.yml": "x: 1\n", f"{folder}/{name}": "x: 2\n"})
    found = problems(root)
    odd = name.partition("/")[0] if name.startswith("prod") else name
    assert f"{root}/{folder}/{odd}: " in found
    assert "would be passed over" in found


def test_copies_and_notes_beside_variable_files(write: Write) -> None:
    """Hidden files, editors' copies and notes set nothing and are no mistake, beside a name and below it."""
    names = (".vars.yml.swp", ".git/config", "vars.yml~", "vars.yml.bak", "vars.yml.orig", "vars.retry", "README.md",
             "notes.rst", "notes.txt", "empty.txt", "old.bak/vars.yml")  # fmt: skip
    for folder in ("group_vars/a", "host_vars"):
        write({f"{folder}/{name}": "" if name == "empty.txt" else "What is said here.\n" for name in names})
    root = write({"hosts.yml": "a: {hosts: {h: }}\n", "group_vars/a/one": "x: 1\n", "group_vars/a/deep/two.json": "{}"})
    assert load_inventory([root]).hosts["h"].variables == {"x": 1}


@pytest.mark.parametrize(
    "text", ["x: 1\n", "# of this host\n\nx:\n  - 1\n", "---\nx: 1\n", "$ANSIBLE_VAULT;1.1;AES256\n"]
)
@pytest.mark.parametrize("name", ["group_vars/a.txt", "group_vars/a/vars.txt", "host_vars/h.txt"])
def test_variables_in_a_text_file_are_told(write: Write, name: str, text: str) -> None:
    """What looks like variables and is not read, as its ending is that of a note, is refused."""
    root = write({"hosts.yml": "a: {hosts: {h: }}\n", name: text})
    assert f"{root}/{name}: {Path(name).name!r} would be passed over: .txt is no variables file's ending" in problems(
        root
    )


@pytest.mark.parametrize("name", ["group_var", "groups_vars", "group-vars", "host_var", "Host_vars", "hostvars"])
def test_a_slip_in_the_name_of_a_variables_directory(write: Write, name: str) -> None:
    """Beside a file that is given, and beside the playbook, such a directory is refused too; a file is none."""
    files = {"inv/hosts.yml": "a: {hosts: {h: }}\n", "inv/group_vars/a.yml": "x: 1\n", "play/deploy.yml": "[]\n"}
    root = write(files)
    assert load_inventory([root / "inv/hosts.yml"], playbook_dir=root / "play").hosts["h"].variables == {"x": 1}
    for place in ("inv", "play"):
        wrong = root / place / name
        wrong.write_text("x")
        load_inventory([root / "inv/hosts.yml"], playbook_dir=root / "play")
        wrong.unlink()
        wrong.mkdir()
        found = problems(root / "inv/hosts.yml", playbook_dir=root / "play")
        meant = "group_vars" if name.lower().startswith("g") else "host_vars"
        assert found.startswith(f"{wrong}: the directory {name!r} looks like {meant!r}")
        assert f"did you mean {meant!r}?" in found
        wrong.rmdir()


def test_no_directory_beside_the_playbook(write: Write) -> None:
    """A playbook's directory that does not exist holds no variables."""
    root = write({"hosts.yml": "a: {hosts: {h: }}\n"})
    assert load_inventory([root / "hosts.yml"], playbook_dir=root / "nowhere").hosts["h"].variables == {}


def test_a_file_that_cannot_be_read_has_no_followers(write: Write) -> None:
    """What it would have set is not missed elsewhere: only the file itself is told, with all others that are wrong."""
    root = write({
        "hosts.yml": "gpu: {hosts: {g1: {services: {ranking: {user: 'x:y'}}, ansible_host: '{{ address }}'}}}\n",
        "group_vars/gpu.yml": "address: [1\n", "group_vars/all.yml": "a: b: c\n",
    })  # fmt: skip
    found = problems(root)
    assert "services.ranking" not in found
    assert "undefined" not in found
    assert "group_vars/gpu.yml:" in found
    assert "group_vars/all.yml:1" in found


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_variables_file_that_is_none(kind: str, write: Write) -> None:
    """A broken link and a pipe cannot be read; their ending is not to blame."""
    root = write({"hosts.yml": "web: {hosts: {h: }}\n", "group_vars/all.yml": "a: 1\n"})
    path = root / "group_vars/web.yml"
    if kind == "link":
        path.symlink_to("elsewhere.yml")
    else:
        os.mkfifo(path)
    found = problems(root)
    assert found.startswith(f"{path}: ")
    assert ("a link to what does not exist" if kind == "link" else "not a regular file") in found
    assert "ending" not in found


@pytest.mark.parametrize("name", ["group_vars.yml", "host_vars.yaml", "group_vars.json"])
@pytest.mark.parametrize("source", ["", "hosts.yml"])
def test_a_file_in_place_of_the_directory(name: str, source: str, write: Write) -> None:
    """``group_vars.yml`` beside an inventory would set nothing, or be taken for an inventory."""
    root = write({"hosts.yml": "web: {hosts: {h: }}\n", name: "a: 1\n"})
    found = problems(root / source)
    folder = name.partition(".")[0]
    assert f"{root}/{name}: '{name}' is a file, and would be passed over" in found
    assert f"move it to {root}/{folder}/" in found
