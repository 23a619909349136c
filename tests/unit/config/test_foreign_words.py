"""Words of Ansible's playbooks that are not ours are refused with what to do instead."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.playbook.foreign_words import PLAY, TASK, instead_of
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.playbook.schema import IncludeKeywords, PlayFields, TaskKeywords
from fleetdeploy.errors import InputError
from fleetdeploy.tasks import registry


def refusals(path: Path, text: str) -> list[str]:
    book = path / "book.yml"
    book.write_text(text)
    (path / "more.yml").write_text("- drain\n")
    with pytest.raises(InputError) as caught:
        load_playbook(book, task_names=registry().keys())
    return [str(problem).removeprefix(f"{book}:") for problem in caught.value.problems]


@pytest.mark.parametrize("word", sorted(PLAY))
def test_keys_of_a_play(tmp_path: Path, word: str) -> None:
    """A key that plays have elsewhere is told with its place and what to do instead, and not with a near word."""
    (found,) = refusals(tmp_path, f"- hosts: all\n  {word}: x\n  tasks: [drain]\n")
    assert found == f"2:3: play 1.{word}: unknown key\n    {PLAY[word]}"


@pytest.mark.parametrize("word", sorted(TASK))
@pytest.mark.parametrize("task", ["drain: ", "include_tasks: more.yml"])
def test_keys_beside_a_task(tmp_path: Path, word: str, task: str) -> None:
    """So is a keyword of tasks, beside a task of ours and beside an include."""
    (found,) = refusals(tmp_path, f"- hosts: all\n  tasks:\n    - {task}\n      {word}: x\n")
    assert found == f"4:7: unknown key {word!r}\n    {TASK[word]}"


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("shell: uptime", ["3:7: unknown task 'shell'\n    use `run`"]),
        ("ansible.builtin.command: uptime", ["3:7: unknown task 'ansible.builtin.command'\n    use `run`"]),
        ("shell", ["3:7: unknown task 'shell'\n    use `run`"]),
        ("block: [drain]", ["3:7: unknown task 'block'\n    there are no blocks"]),
        (
            "block: [drain]\n      rescue: [drain]",
            [
                "3:7: unknown key 'block'\n    there are no blocks",
                "4:7: unknown key 'rescue'\n    it is a key of the play",
            ],
        ),
        (
            "shell: uptime\n      register: up",
            ["3:7: unknown key 'shell'\n    use `run`", "4:7: unknown key 'register'\n    no task's result is kept"],
        ),
        ("drain: \n      with_items: [1]", ["4:7: unknown key 'with_items'\n    a task is done once on each host"]),
        ("drian: ", ["3:7: unknown task 'drian'\n    did you mean 'drain'?"]),
    ],
)
def test_tasks(tmp_path: Path, task: str, words: list[str]) -> None:
    """So is a module of Ansible, by its short and its whole name; other unknown words keep their near ones."""
    found = refusals(tmp_path, f"- hosts: all\n  tasks:\n    - {task}\n")
    assert len(found) == len(words)
    for problem, beginning in zip(found, words, strict=True):
        assert problem.startswith(beginning)


def test_no_word_of_ours_is_called_foreign() -> None:
    """What a play, a task or an include may say is never in the tables."""
    assert not PLAY.keys() & PlayFields.model_fields.keys()
    assert not TASK.keys() & {*TaskKeywords.model_fields, *IncludeKeywords.model_fields}
    assert [
        name for name in (*registry(), "include_tasks", "import_tasks", "import_playbook") if instead_of(name)
    ] == []
