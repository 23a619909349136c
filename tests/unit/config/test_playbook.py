"""Playbooks that are right."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.domain.playbook import OnFailure, Quantity
from fleetdeploy.errors import InputError

TASKS = ("drain", "undrain", "verify", "prune")
BOOK = """\
- name: Switch
  hosts: gpu:!canary
  serial: [1, 10%, "50%"]
  max_unavailable: 25%
  max_fail_percentage: 5
  soak: 1m30s
  on_failure: revert_all
  tasks:
    - drain:
    - verify: {timeout: 5m, golden: true}
    - undrain
  always: [undrain]
- hosts: all
  serial: 3
  tasks: [prune: {keep: 3}]
"""


@pytest.fixture
def book(tmp_path: Path) -> Path:
    path = tmp_path / "book.yml"
    path.write_text(BOOK)
    return path


def test_play(book: Path) -> None:
    """A play's keys become typed values: counts, percentages, seconds."""
    play, _ = load_playbook(book, task_names=TASKS).plays
    assert (play.name, play.hosts) == ("Switch", "gpu:!canary")
    assert play.serial == (Quantity(1), Quantity(10, percent=True), Quantity(50, percent=True))
    assert (play.max_unavailable, play.max_fail_percentage) == (Quantity(25, percent=True), 5)
    assert (play.soak_s, play.on_failure) == (90.0, OnFailure.REVERT_ALL)


def test_defaults(book: Path) -> None:
    """What a play leaves out is the careful choice: one host out at a time, stop and revert at the first failure."""
    _, play = load_playbook(book, task_names=TASKS).plays
    assert (play.name, play.serial) == ("all", (Quantity(3),))
    assert (play.max_unavailable, play.max_fail_percentage, play.soak_s) == (Quantity(1), 0, 0.0)
    assert (play.on_failure, play.always) == (OnFailure.REVERT, ())


def test_tasks(book: Path) -> None:
    """A task is a name with or without arguments, and knows where it stands."""
    first, second = load_playbook(book, task_names=TASKS).plays
    assert [call.name for call in first.tasks] == ["drain", "verify", "undrain"]
    assert first.tasks[1].arguments == {"timeout": "5m", "golden": True}
    assert str(first.tasks[1].origin) == f"{book}:10:7"
    assert [call.name for call in first.always] == ["undrain"]
    assert second.tasks[0].arguments == {"keep": 3}


def test_missing_playbook() -> None:
    """A missing playbook is named as it was given."""
    with pytest.raises(InputError, match=r"nowhere\.yml: no such playbook"):
        load_playbook(Path("nowhere.yml"), task_names=TASKS)
