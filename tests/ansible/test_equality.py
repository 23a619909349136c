"""Ansible and fleetdeploy read the same inventories and patterns the same, or fleetdeploy refuses and says why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_asking import Case
from ansible_corpus import CASES
from ansible_generated import generated_cases

from fleetdeploy.cli.main import main
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.errors import PatternError
from fleetdeploy.remote.inventory_script import InventoryScripts

EVERY = [case.name for case in (*CASES, *generated_cases())]
READ = [case.name for case in (*CASES, *generated_cases()) if not case.refused]
REFUSED = [case.name for case in CASES if case.refused]


def ours(case: Case, folder: Path, *verb: str) -> int:
    """Run our command on a case."""
    arguments = ["inventory", *verb, "--project", str(folder)]
    for source in case.given_sources(folder):
        arguments += ["-i", source]
    for variables in case.extra_vars:
        arguments += ["-e", variables]
    return main([*arguments, *(["--playbook-dir", str(folder / case.playbook_dir)] if case.playbook_dir else [])])


def read_by(case: Case, answers: dict[str, Any]) -> dict[str, Any]:
    """Ansible's answer; the test is skipped where this Ansible reads the files in another way."""
    if answers["version"] < case.since:
        pytest.skip(f"as Ansible reads it since {'.'.join(map(str, case.since))}")
    found = dict(answers[case.name])
    assert "error" not in found, found
    return found


def without_profile(text: str) -> str:
    """Ansible's listing without the name of its own serialization, which later versions add."""
    listed = json.loads(text)
    listed["_meta"].pop("profile", None)
    return json.dumps(listed, indent=4, sort_keys=True, ensure_ascii=False) + "\n"


def test_the_corpus_is_large_enough(corpus: dict[str, Case]) -> None:
    """At least 60 inventories and 120 patterns, with names of their own."""
    assert len(corpus) == len(EVERY) >= 60
    assert sum(len(case.patterns) + len(case.refused_patterns) for case in corpus.values()) >= 120


@pytest.mark.parametrize("name", READ)
def test_same_listing(
    name: str,
    corpus: dict[str, Case],
    folders: dict[str, Path],
    answers: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``inventory list --json`` is, byte for byte, what ``ansible-inventory --list`` prints without a warning."""
    case = corpus[name]
    theirs = read_by(case, answers)
    assert "Unable to parse" not in theirs["warnings"]
    assert "same name" not in theirs["warnings"]
    assert ours(case, folders[name], "list", "--json") == 0
    assert capsys.readouterr().out == without_profile(theirs["text"])


@pytest.mark.parametrize("name", READ)
def test_same_graph(
    name: str,
    corpus: dict[str, Case],
    folders: dict[str, Path],
    answers: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``inventory graph``, with and without variables, is what ``ansible-inventory --graph`` prints."""
    case = corpus[name]
    theirs = read_by(case, answers)
    if "graph" in case.questions:
        assert ours(case, folders[name], "graph") == 0
        assert capsys.readouterr().out == theirs["graph"]
    assert ours(case, folders[name], "graph", "--vars") == 0
    assert capsys.readouterr().out == theirs["graph_vars"]


@pytest.mark.parametrize("name", READ)
def test_same_hosts(name: str, corpus: dict[str, Case], folders: dict[str, Path], answers: dict[str, Any]) -> None:
    """A pattern names the hosts that Ansible names, in its order; where Ansible warns or finds none, it is refused."""
    case, folder = corpus[name], folders[name]
    theirs = read_by(case, answers)
    inventory = load_inventory([Path(item) for item in case.given_sources(folder)], run_script=InventoryScripts())
    for pattern in case.patterns:
        answer = theirs["patterns"][pattern]
        if answer.get("warnings") or not answer.get("hosts"):
            with pytest.raises(PatternError):
                select(inventory, pattern)
        else:
            assert list(select(inventory, pattern)) == answer["hosts"], pattern
    for pattern, expected in case.refused_patterns.items():
        with pytest.raises(PatternError) as caught:
            select(inventory, pattern)
        assert expected in str(caught.value)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_on_purpose(
    name: str,
    corpus: dict[str, Case],
    folders: dict[str, Path],
    answers: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What Ansible takes with a warning, or in silence for something else than it looks like, ends with exit code 2."""
    case = corpus[name]
    assert "text" in answers[name], answers[name]
    assert ours(case, folders[name], "list", "--json") == 2
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert any(case.refused in f"{item['where']}: {item['message']}" for item in problems), problems
