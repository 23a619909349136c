"""Shells complete what stands in the project's files, and nothing they ask for has an effect or makes a noise."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fleetdeploy.cli.about import completion, completions
from fleetdeploy.cli.binding import project
from fleetdeploy.cli.main import build_parser, main

ROOT = Path(__file__).parents[3]
INVENTORY = """\
all:
  children:
    ranking:
      hosts:
        gpu[1:2].example.net:
      vars:
        services:
          ranking: {image: "serving:1", models: {ranker: {}, old: {}}}
    canary:
      hosts:
        gpu1.example.net:
      vars:
        services: {embedding: {models: {embedder: {}}}}
"""
PLAYBOOK = """\
- hosts: ranking
  tags: [nightly]
  tasks:
    - name: Take it out
      drain:
      tags: [switch, canary]
    - prune:
"""
BASH = """\
eval "$(fleetdeploy completion bash)"
complete -p fleetdeploy >/dev/null || exit 1
try() {
    COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9
    read -ra COMP_WORDS <<<"$1"
    [[ $1 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    COMPREPLY=()
    _python_argcomplete fleetdeploy "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
    echo "= ${COMPREPLY[*]}"
}
while IFS= read -r line; do try "$line"; done
"""
ZSH = """\
autoload -Uz compinit is-at-least && compinit -D -u
eval "$(fleetdeploy completion zsh)"
[[ ${_comps[fleetdeploy]} == _python_argcomplete ]] || exit 1
_describe() { print -r -- "= ${completions%%:*}" }
while IFS= read -r line; do
    BUFFER=$line CURSOR=${#line}
    words=(${(z)line})
    _python_argcomplete
done
"""
FISH = """\
fleetdeploy completion fish | source
while read -l line
    echo "=" (complete -C $line | string replace -r '\\t.*' '')
end
"""
SHELLS = {"bash": ["--norc", "-c", BASH], "zsh": ["-f", "-c", ZSH], "fish": ["--no-config", "-c", FISH]}


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    """A project with an inventory, two variables files and a playbook."""
    for name, text in {
        "inventories/hosts.yml": INVENTORY,
        "inventories/group_vars/ranking.yml": "rack: r1\nservices: {ranking: {models: {ranker: {versions: [1]}}}}\n",
        "playbooks/deploy.yml": PLAYBOOK,
        "state/runs/20260131T235959Z-ab12/events.jsonl": "{}\n",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def before(folder: Path, **more: object) -> argparse.Namespace:
    """The arguments in front of the one that is completed."""
    return argparse.Namespace(**{"inventory": None, "project": folder, "playbook": None, **more})


def test_names(fleet: Path) -> None:
    """Hosts, groups, services, models, tasks, tags and titles are those of the files."""
    where = before(fleet)
    assert list(completions.hosts("", where)) == ["gpu1.example.net", "gpu2.example.net"]
    assert list(completions.groups("", where)) == ["all", "ungrouped", "ranking", "canary"]
    assert list(completions.services("", where)) == ["ranking", "embedding"]
    assert list(completions.models("", where)) == ["ranker", "old", "embedder"]
    assert {"activate", "facts", "events"} <= set(completions.tasks("", where))
    assert {"nightly", "switch", "canary", "tagged"} <= set(completions.tags("", where))
    assert list(completions.titles("", where)) == ["Take it out", "prune"]


@pytest.mark.parametrize("begun", ["", "ranking:", "ranking:!", "ranking,&", "gpu1.example.net:canary,"])
def test_patterns_go_on(begun: str, fleet: Path) -> None:
    """The last term of a pattern is completed, what stands before it is kept."""
    found = list(completions.patterns(f"{begun}can", before(fleet)))
    assert f"{begun}canary" in found
    assert all(item.startswith(begun) for item in found)


def test_lists_go_on(fleet: Path) -> None:
    """Tags behind a comma, and keys behind a dot, are completed."""
    assert "switch,nightly" in completions.tags("switch,ni", before(fleet))
    assert list(completions.keys("services.ranking.i", before(fleet))) == [
        "services.ranking.image",
        "services.ranking.models",
    ]
    assert set(completions.keys("", before(fleet))) == {"services", "rack"}


def test_the_inventory_that_is_named(fleet: Path) -> None:
    """`-i` decides; without it the project's own inventories are read."""
    assert list(completions.hosts("", before(fleet, inventory=["a,b,"]))) == ["a", "b"]
    assert str(project.DEFAULT_INVENTORY) == completions.INVENTORY
    assert str(project.DEFAULT_PLAYBOOK) == completions.PLAYBOOK


def test_nothing_is_run_and_nothing_is_opened(fleet: Path) -> None:
    """A program among the inventories is passed over, commands of secrets stay closed; the rest is completed."""
    mark = fleet / "was-run"
    program = fleet / "inventories/dynamic"
    program.write_text(f"#!/bin/sh\ntouch {mark}\necho '{{}}'\n")
    program.chmod(0o755)
    (fleet / "inventories/group_vars/canary.yml").write_text(
        f"token: !secret {{command: [touch, {mark}]}}\nservices: {{embedding: {{models: {{hidden: {{}}}}}}}}\n"
    )
    (fleet / "inventories/group_vars/from_the_program.yml").write_text("rack: r9\n")
    assert list(completions.hosts("", before(fleet))) == ["gpu1.example.net", "gpu2.example.net"]
    assert "hidden" in completions.models("", before(fleet))
    assert not mark.exists()


@pytest.mark.parametrize("text", ["all: [", "", "all: {hosts: {a b: }}", "a: {children: {b: }}", "$ANSIBLE_VAULT;1.1"])
def test_a_broken_inventory_completes_nothing(text: str, fleet: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What cannot be read gives no completions, and not a word."""
    (fleet / "inventories/hosts.yml").write_text(text)
    for kind in ("hosts", "groups", "patterns", "services", "models", "keys"):
        assert list(completion._quiet(kind)(prefix="", parsed_args=before(fleet))) == []
    assert capfd.readouterr() == ("", "")


def test_every_argument_has_its_completer() -> None:
    """Patterns, hosts, groups, keys, tags, titles, models and tasks are completed wherever they stand."""
    parser = build_parser()
    completion.attach(parser)
    words = set()
    commands = [parser]
    for command in commands:
        for action in command._actions:
            if isinstance(action, argparse._SubParsersAction):
                commands += action.choices.values()
            elif hasattr(action, "completer"):
                words.add((command.prog.removeprefix("fleetdeploy "), action.dest))
            elif action.metavar in completion._KINDS:
                raise AssertionError(f"{command.prog} {action.metavar} has no completer")
    assert {("plan", "limit"), ("status", "pattern"), ("inventory explain", "key"), ("docs", "task")} <= words
    assert {("deploy", "tags"), ("deploy", "start_at_task"), ("plan", "allow_signature_change")} <= words
    assert not {("plan", "inventory"), ("plan", "playbook"), ("models inspect", "path")} & words, "argcomplete's: files"


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.programs
def test_a_real_shell(shell: str, fleet: Path) -> None:
    """Each shell reads what the command prints for it, and completes commands, options, patterns and models."""
    asked = {
        "fleetdeploy vali": "validate",
        "fleetdeploy plan --list-tas": "--list-tasks",
        "fleetdeploy plan -l all,can": "all,canary",
        "fleetdeploy inventory host gpu2": "gpu2.example.net",
        "fleetdeploy plan --allow-signature-change emb": "embedder",
        "fleetdeploy docs und": "undrain",
        "fleetdeploy runs show --state-dir state 2026": "20260131T235959Z-ab12",
        "fleetdeploy logs --service emb": "embedding",
        "fleetdeploy plan -i no/such/inventory -l rank": "",
    }
    answers = drive(shell, fleet, list(asked))
    assert dict(zip(asked, answers, strict=True)) == asked


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.programs
def test_a_real_shell_and_a_broken_inventory(shell: str, fleet: Path) -> None:
    """An inventory that cannot be read leaves the line as it is."""
    (fleet / "inventories/hosts.yml").write_text("all: [")
    assert drive(shell, fleet, ["fleetdeploy plan -l rank", "fleetdeploy plan --list-tas"]) == ["", "--list-tasks"]


def drive(shell: str, folder: Path, lines: list[str]) -> list[str]:
    """What the shell's own completion answers to each line; anything else that it prints is a failure."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    command = folder / "bin/fleetdeploy"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m fleetdeploy "$@"\n')
    command.chmod(0o755)
    done = subprocess.run(
        [shell, *SHELLS[shell]],
        input="".join(f"{line}\n" for line in lines),
        env={
            "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
            "HOME": str(folder),
            "LC_ALL": "C.UTF-8",
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stderr == ""
    assert all(line.startswith("=") for line in done.stdout.splitlines()), done.stdout
    return [line.removeprefix("=").strip() for line in done.stdout.splitlines()]


@pytest.mark.programs
def test_argcomplete_waits_until_it_is_asked() -> None:
    """A command does not load argcomplete."""
    code = (
        "import sys; from fleetdeploy.cli.main import build_parser; build_parser(); print('argcomplete' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert done.stdout == "False\n"


def test_without_argcomplete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it is missing, the command says so, and a shell that asks hears nothing."""
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    assert main(["completion", "bash"]) == 2
    assert "argcomplete is not installed" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        completion.answer(build_parser())
    assert ended.value.code == 1
    assert capsys.readouterr() == ("", "")
