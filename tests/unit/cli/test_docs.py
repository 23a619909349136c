"""``fleetdeploy docs`` tells of every task what its own file says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fleetdeploy.cli.main import main
from fleetdeploy.config.fields.durations import parse_duration, written_duration
from fleetdeploy.config.fields.schema import validate
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.domain.events import Kind
from fleetdeploy.report import task_docs
from fleetdeploy.report.contract.kinds import KINDS
from fleetdeploy.tasks import registry

TASKS = sorted(registry())


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["docs", *words]) == 0
    return capsys.readouterr().out


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a task's name every task is listed with what it does, then every other page, within 80 columns."""
    lines = printed(capsys).splitlines()
    below = lines.index("")
    assert [line.split()[0] for line in lines[:below] if not line.startswith(" ")] == TASKS
    others = [line.split()[0] for line in lines[below + 2 :] if not line.startswith(" " * 4)]
    assert others == ["facts", "events"]
    assert all(printed(capsys, name) for name in others)
    assert max(map(len, lines)) <= 80


def test_a_page_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    """All that there are are named."""
    assert main(["docs", "nosuch"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in (*TASKS, "facts", "events"))


@pytest.mark.parametrize("name", TASKS)
def test_a_page(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A page names every argument with its default and meaning, the undo and an example, within 80 columns."""
    text = printed(capsys, name)
    assert max(map(len, text.splitlines())) <= 80
    flat = " ".join(text.split())
    for argument in task_docs.arguments(registry()[name]):
        assert f"{argument.name}: {argument.kind}" in flat
        assert " ".join(argument.meaning.split()).replace("``", "`") in flat
        assert argument.meaning
        assert argument.required or argument.default in flat
    assert task_docs.summary(registry()[name]).replace("``", "`") in flat
    assert "undo:" in text
    assert f"- {name}:" in text


@pytest.mark.parametrize("name", TASKS)
def test_every_undo_is_told(name: str) -> None:
    """Every task says how it is undone, or why it is not."""
    assert len(task_docs.undo(registry()[name])) > 20


@pytest.mark.parametrize("name", TASKS)
def test_examples_can_be_copied(name: str, tmp_path: Path) -> None:
    """The example is a task that a playbook may have, arguments and all."""
    path = tmp_path / "play.yml"
    path.write_text(f"- hosts: all\n  tasks:\n    {task_docs.example(registry()[name])}\n")
    (play,) = load_playbook(path, task_names=registry().keys()).plays
    assert validate(registry()[name].arguments, play.tasks[0].arguments) is not None
    needed = {argument.name for argument in task_docs.arguments(registry()[name]) if argument.required}
    assert needed <= play.tasks[0].arguments.keys()


def test_verify_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """Bounds, defaults and kinds are those of the schema."""
    text = printed(capsys, "verify")
    assert "  timeout: duration, default 5m\n" in text
    assert "  golden: true or false, default true\n" in text
    assert "  times: whole number from 1 to 100, default 3\n" in text


def test_a_list_keeps_its_points(capsys: pytest.CaptureFixture[str]) -> None:
    """Points of a list stay points when they are wrapped."""
    lines = printed(capsys, "activate").splitlines()
    assert any(line.startswith("1. ") for line in lines)
    assert any(line.startswith("2. ") for line in lines)


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The same is there for programs."""
    found = json.loads(printed(capsys, "--json"))
    assert [item["name"] for item in found] == TASKS
    drain = json.loads(printed(capsys, "drain", "--json"))
    assert drain["arguments"][0]["default"] == "1m"
    assert drain["undoes"] is True


def test_an_unknown_task(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt task is bad input, with the one that was meant."""
    assert main(["docs", "drian"]) == 2
    assert "did you mean 'drain'?" in capsys.readouterr().err


@pytest.mark.parametrize("seconds", [0.0, 0.25, 1.0, 90.0, 3600.0, 86_400.0, 100_000.5])
def test_durations_are_written_as_they_are_read(seconds: float) -> None:
    """A default that is shown can be typed."""
    assert parse_duration(written_duration(seconds)) == seconds


def test_facts_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """What conditions can ask of a host stands on a page of its own, which the tasks that may have them name."""
    text = printed(capsys, "facts")
    assert max(map(len, text.splitlines())) <= 80
    assert "beside `notify`, `pause`, `prune`, `run`" in " ".join(text.split())
    assert "  facts.gpus[0].driver: the driver's version, a text\n" in text
    assert json.loads(printed(capsys, "facts", "--json"))["facts.boot_id"] == "another one after each boot"
    for name in TASKS:
        assert ("fleetdeploy docs facts" in printed(capsys, name)) is registry()[name].optional
        assert ("environment" in printed(capsys, name).partition("may stand")[2]) is bool(registry()[name].commands)


def test_events_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """Every kind of event has its time, whether it is written before the act, and each key of its data."""
    text = printed(capsys, "events")
    assert max(map(len, text.splitlines())) <= 80
    parts = {part.partition(":")[0]: " ".join(part.split()) for part in text.split("\n\n")}
    for kind, shape in KINDS.items():
        part = parts[kind.value]
        assert shape.when in part
        assert all(f" {name}: " in part for name in (*shape.data, *shape.more))
        assert ("before the act" in part) is shape.before
        assert ("never written" in part) is (kind is Kind.COPY_PROGRESSED)
    assert {item["kind"] for item in json.loads(printed(capsys, "events", "--json"))} == {kind.value for kind in Kind}
