"""``init`` and what its comments and its last lines say, up to hosts that serve."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab
from tests.fleet.load import load, nothing_failed
from tests.fleet.onlooker import available, machines, make_new, traffic
from tests.fleet.project import REPOSITORY, Result

MODEL = "half_plus_two"


@dataclass(frozen=True)
class Directory:
    """An empty directory, and a person who types into it."""

    lab: Lab
    root: Path

    def run(self, *words: str, expect: int = 0) -> Result:
        settings = {
            "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", "HOME": str(self.root.parent / "home"),
            "XDG_STATE_HOME": str(self.root.parent / "state"),
        }  # fmt: skip
        ended = subprocess.run(
            [sys.executable, "-m", "fleetdeploy", *words], cwd=self.root, env={**os.environ, **settings},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=150, check=False,
        )  # fmt: skip
        result = Result(words, ended.returncode, ended.stdout, ended.stderr)
        assert result.code == expect, str(result)
        return result

    def as_told(self, said: Result, *, directory: str = "") -> dict[str, Result]:
        """Type the lines that stand behind ``next:``, one after the other; their results by command."""
        head, *lines = said.stderr.splitlines()
        assert head == "next:"
        if directory:
            assert lines.pop(0).split() == ["cd", directory]
        found = {}
        for line in lines:
            program, command, *words = shlex.split(re.split(r" {3,}", line.strip())[0])
            assert program == "fleetdeploy"
            found[command] = self.below(directory).run(command, *words)
        return found

    def below(self, directory: str) -> Directory:
        return replace(self, root=self.root / directory)

    def edit(self, file: str, *changes: tuple[str, str]) -> None:
        """Replace each line that begins so, whatever stands behind it; a line of comment is one too."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        for begins, new in changes:
            text, count = re.subn(rf"(?m)^( *){re.escape(begins)}.*$", lambda found, new=new: found[1] + new, text)
            assert count == 1, f"{file} has {count} lines that begin with {begins!r}"
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def empty(lab: Lab, tmp_path: Path) -> Iterator[Directory]:
    """Nothing is there yet; the hosts are as new, and afterwards are made so again."""
    root, labs = tmp_path / "work", tmp_path / "state/fleetdeploy/lab"
    root.mkdir()
    labs.parent.mkdir(parents=True)
    labs.symlink_to(lab.paths.labs)  # everything else of this person's state is their own
    yield Directory(lab, root)
    make_new(lab)


def serve(lab: Lab, version: int) -> None:
    assert {name: available(lab, name, MODEL) for name in machines(lab)} == {name: [version] for name in machines(lab)}
    assert set(map(frozenset, traffic(lab).values())) == {frozenset({"UP"})}


@pytest.mark.long
def test_a_lab_is_served_by_what_init_wrote(lab: Lab, empty: Directory) -> None:
    """Each of the commands that it names goes well as it stands, and a new number below models/ is a new version."""
    ended = empty.as_told(empty.run("init", "fleet", "--lab", lab.name), directory="fleet")
    assert list(ended) == ["validate", "doctor", "plan", "deploy"]
    assert ended["plan"].last_line.startswith("PLAN: 3 of 3 hosts would change")
    assert ended["deploy"].last_line == "OK: 3 of 3 hosts changed"
    serve(lab, 1)
    here, inventory = empty.below("fleet"), Path("inventories", lab.name)
    models, words = here.root / inventory / "models" / MODEL, ("-i", str(inventory))
    with load(here, model=MODEL, golden=inventory / "golden") as report:
        assert here.run("deploy", *words).last_line == "OK: 3 hosts, nothing to do"
        shutil.copytree(models / "1", models / "2")
        assert here.run("deploy", *words).last_line == "OK: 3 of 3 hosts changed"
        serve(lab, 2)
    nothing_failed(report)


def test_ones_own_hosts_are_served_with_no_more_than_the_comments_tell(lab: Lab, empty: Directory) -> None:
    """Hosts, keys, image, network and balancer are the lines that say what they are for; nothing else is needed."""
    said = empty.run("init")
    assert empty.run("validate", "-i", "inventories/prod").last_line.startswith("OK: 2 hosts")
    # Where a resolver answers, it says first that there are no hosts of these names.
    doctor = empty.run("doctor", "-i", "inventories/prod", expect=2).stdout
    assert "there is no known_hosts file" in doctor or "the name gpu1.example.net does not resolve" in doctor
    own, there = lab.hosts, "inventories/prod/hosts.yml"
    at = {
        name: json.dumps({"ansible_host": host.door_address, "ansible_port": host.ssh_port})
        for name, host in own.items()
    }
    empty.edit(
        there,
        ("# ansible_user:", "ansible_user: root"),
        ("# ansible_ssh_private_key_file:", f"ansible_ssh_private_key_file: {lab.paths.client_key}"),
        ("# fleetdeploy_known_hosts:", "fleetdeploy_known_hosts: known_hosts"),
        ("gpu1.example.net:", f"gpu1: {at['gpu1']}"),
        ("gpu2.example.net:", f"gpu2: {at['gpu2']}"),
        ("# gpu17.example.net:", f"gpu3: {at['gpu3']}"),
    )
    with (empty.root / there).open("a", encoding="utf-8") as file:
        file.write(f"    balancers:\n      hosts:\n        lb: {at['lb']}\n")
    shutil.copy(lab.paths.known_hosts, empty.root / "inventories/prod/known_hosts")
    empty.edit(
        "inventories/prod/group_vars/gpu.yml",
        ("image:", f"image: {lab.images[0]}"),
        ("bind:", "bind: 10.77.0.0/16"),
        ("# balancer:", "balancer:"),
        ("#   kind:", "  kind: haproxy"),
        ("#   host:", "  host: lb"),
        ("#   socket:", "  socket: /run/haproxy/admin.sock"),
        ("#   pools:", "  pools: {serving: [ranking_rest, ranking_grpc]}"),
    )
    ended = empty.as_told(said)
    assert ended["deploy"].last_line == "OK: 3 of 3 hosts changed"
    serve(lab, 1)
    assert empty.run("deploy", "-i", "inventories/prod").last_line == "OK: 3 hosts, nothing to do"
