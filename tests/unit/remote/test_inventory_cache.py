"""Answers of executable inventories that are kept: when they count, who can read them, and what is said about them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fleetdeploy.errors import InputError
from fleetdeploy.remote import inventory_cache
from fleetdeploy.remote.inventory_cache import CachedScripts


@dataclass
class Clock:
    at_s: float = 1_000_000.0

    def now_s(self) -> float:
        return self.at_s

    def monotonic_s(self) -> float:
        return self.at_s

    def wait(self, seconds: float) -> None:
        self.at_s += seconds


@dataclass
class Desk:
    """A program that says how often it was run, and everything around it."""

    path: Path
    directory: Path
    clock: Clock = field(default_factory=Clock)
    said: list[str] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    answer: Callable[[int], str] = lambda number: json.dumps({"runs": number})

    def run(self, path: Path, arguments: Sequence[str]) -> str:
        assert (path, arguments[:1]) == (self.path, ("--list",)) or arguments[0] == "--host"
        self.runs += 1
        return self.answer(self.runs)

    def ask(self, *arguments: str, within_s: float = 600.0) -> str:
        """What a new command gets."""
        scripts = CachedScripts(self.run, self.directory, within_s, self.clock, self.said.append, self.environ)
        return scripts(self.path, arguments or ("--list",))

    @property
    def files(self) -> list[Path]:
        return sorted(self.directory.iterdir())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    path = tmp_path / "aws.py"
    path.write_text("#!/bin/sh\n")
    return Desk(path, tmp_path / "cache" / "inventory")


def test_an_answer_counts_for_a_while_and_its_age_is_told(desk: Desk) -> None:
    """Younger than the time it is used and its age is told; then the program is run again."""
    assert desk.ask() == '{"runs": 1}'
    assert desk.said == []
    desk.clock.wait(200)
    assert desk.ask() == '{"runs": 1}'
    assert desk.said == [
        f"{desk.path}: answer of 3 min ago (--inventory-cache 10m); run again without the option for a fresh one"
    ]
    desk.clock.wait(400)
    assert desk.ask() == '{"runs": 2}'
    assert len(desk.said) == 1


def test_a_clock_that_was_set_back_makes_no_answer_young(desk: Desk) -> None:
    """An answer of the future has no age that anybody could judge."""
    desk.ask()
    desk.clock.at_s -= 10
    assert desk.ask() == '{"runs": 2}'


@pytest.mark.parametrize("change", ["content", "time", "arguments", "environment", "directory", "moved"])
def test_what_an_answer_is_for(desk: Desk, change: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program, other words, another place to run in or another environment have no part in it."""
    desk.ask()
    arguments: tuple[str, ...] = ("--list",)
    if change == "content":
        desk.path.write_text("#!/bin/sh\n# changed\n")
    elif change == "time":
        os.utime(desk.path, ns=(1, 1))
    elif change == "arguments":
        arguments = ("--host", "gpu1")
    elif change == "environment":
        desk.environ["AWS_PROFILE"] = "other"
    elif change == "directory":
        monkeypatch.chdir(tmp_path)
    else:
        desk.path = desk.path.rename(tmp_path / "other.py")
    assert desk.ask(*arguments) == '{"runs": 2}'
    assert desk.ask(*arguments) == '{"runs": 2}'


def test_what_makes_no_difference(desk: Desk, tmp_path: Path) -> None:
    """A link leads to the same program, and another terminal is no other fleet."""
    desk.ask()
    desk.environ["SSH_TTY"] = "/dev/pts/7"
    link = tmp_path / "link.py"
    link.symlink_to(desk.path)
    desk.path = link
    assert desk.ask() == '{"runs": 1}'


def test_hosts_one_by_one_are_told_of_once(desk: Desk) -> None:
    """A program without `_meta` is asked for each host: one line for all of them."""
    for _ in range(2):
        scripts = CachedScripts(desk.run, desk.directory, 60, desk.clock, desk.said.append, {})
        for words in (("--list",), ("--host", "a"), ("--host", "b")):
            scripts(desk.path, words)
    assert (desk.runs, len(desk.said)) == (3, 1)


def test_a_program_that_fails_is_not_covered_up(desk: Desk) -> None:
    """An old answer is no answer, whatever the program does now, and a failure is never kept."""
    desk.ask()
    desk.clock.wait(601)

    def fail(_: int) -> str:
        raise InputError("ended with status 1", where=str(desk.path))

    desk.answer = fail
    for _ in range(2):
        with pytest.raises(InputError, match="ended with status 1"):
            desk.ask()
    assert (desk.runs, desk.said) == (3, [])


def test_what_is_no_json_is_not_kept(desk: Desk) -> None:
    """The reader will refuse it, and the program may do better the next time."""
    desk.answer = lambda number: "oops" if number == 1 else "{}"
    assert [desk.ask(), desk.ask(), desk.ask()] == ["oops", "{}", "{}"]
    assert desk.runs == 2


def test_answers_are_the_user_s_alone(desk: Desk) -> None:
    """They may hold passwords: nobody else can read them, whatever the umask."""
    before = os.umask(0)
    try:
        desk.ask()
    finally:
        os.umask(before)
    (file,) = desk.files
    assert [path.stat().st_mode & 0o777 for path in (file, desk.directory)] == [0o600, 0o700]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-1]), "is damaged"),
        (lambda file: file.write_bytes(file.read_bytes().replace(b'"runs": 1', b'"runs": 9')), "is damaged"),
        (lambda file: file.write_bytes(b""), "is damaged"),
        (lambda file: file.write_bytes(b"[]\n{}"), "is damaged"),
        (lambda file: file.write_bytes(b"\xff\n\xff"), "is damaged"),
        (lambda file: file.chmod(0o644), "is not yours alone"),
        (lambda file: (file.rename(file.with_suffix(".x")), file.symlink_to(file.with_suffix(".x"))), "symbolic link"),
        (lambda file: (file.unlink(), os.mkfifo(file, 0o600)), "is not yours alone"),
    ],
)
def test_what_cannot_be_trusted_is_made_anew(desk: Desk, damage: Callable[[Path], object], words: str) -> None:
    """A file that is not as it was written is never used; a person is told, and the next one is fine."""
    desk.ask()
    (file,) = desk.files
    damage(file)
    assert desk.ask() == '{"runs": 2}'
    (said,) = desk.said
    assert said.startswith(f"warning: the cached answer of {desk.path} is not used: ")
    assert said.endswith("; it is made anew")
    assert words in said
    assert desk.ask() == '{"runs": 2}'


def test_a_cache_that_cannot_be_written_is_no_failure(desk: Desk) -> None:
    """The inventory is read all the same, and a person is told that nothing was kept."""
    desk.directory.parent.mkdir()
    desk.directory.write_text("in the way")
    assert desk.ask() == '{"runs": 1}'
    assert desk.ask() == '{"runs": 2}'
    assert any("the inventory cache cannot be written" in line for line in desk.said)


def test_the_cache_stays_small(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many files the oldest go, what killed commands left among them."""
    monkeypatch.setattr(inventory_cache, "MOST_FILES", 3)
    desk.directory.mkdir(parents=True)
    for number in range(6):
        file = desk.directory / f".new-{number}"
        file.write_text("{}")
        os.utime(file, (number, number))
    desk.ask()
    assert [path.name for path in desk.files if path.suffix != ".json"] == [".new-3", ".new-4", ".new-5"]
    assert len(desk.files) == 4


def test_a_program_that_is_gone_is_for_the_one_that_runs_it(desk: Desk) -> None:
    """What is wrong with it is said by whoever runs it."""
    desk.path.unlink()
    assert desk.ask() == '{"runs": 1}'
    assert not desk.directory.exists()
