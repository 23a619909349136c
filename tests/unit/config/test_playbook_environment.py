"""``environment`` in playbooks: names, values, secrets, and which of several wins."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.domain.playbook import Playbook
from fleetdeploy.domain.secret import Secret, opened
from fleetdeploy.errors import InputError

TASKS = ("drain", "run", "notify")
STORE = SecretStore(environ={"TOKEN": "hush-hush"})


def book(tmp_path: Path, text: str, **files: str) -> Playbook:
    for name, content in files.items():
        (tmp_path / f"{name}.yml").write_text(content)
    (tmp_path / "book.yml").write_text(text)
    return load_playbook(tmp_path / "book.yml", task_names=TASKS, project=tmp_path, secrets=STORE)


def refusal(tmp_path: Path, text: str, **files: str) -> str:
    with pytest.raises(InputError) as caught:
        book(tmp_path, text, **files)
    assert all(problem.where for problem in caught.value.problems)
    return "\n".join(map(str, caught.value.problems))


def test_what_stands_nearer_wins(tmp_path: Path) -> None:
    """A task's variables win over those of its file, those over the play's, and those over the imported playbook's."""
    (play,) = book(
        tmp_path,
        "- {import_playbook: inner.yml, environment: {A: book, B: book, C: book, D: book}}\n",
        inner="- hosts: all\n  environment: {B: play, C: play, D: play}\n  tasks:\n"
        "    - {include_tasks: tasks.yml, environment: {C: file, D: file}}\n    - drain\n",
        tasks="- {run: {argv: [x]}, environment: {D: 7}}\n",
    ).plays
    run, drain = play.tasks
    assert (run.environment, run.sets_environment) == ({"A": "book", "B": "play", "C": "file", "D": "7"}, True)
    assert (drain.environment["B"], drain.sets_environment) == ("play", False)


def test_secrets_stay_closed(tmp_path: Path) -> None:
    """A secret is one from the start, and its variable is known for one that is not handed on."""
    text = "- {hosts: all, tasks: [{run: {argv: [x]}, environment: {T: !secret {env: TOKEN}}}]}\n"
    (play,) = book(tmp_path, text).plays
    value = play.tasks[0].environment["T"]
    assert isinstance(value, Secret)
    assert "hush" not in repr(play)
    assert opened(play.tasks[0].environment) == {"T": "hush-hush"}
    assert "TOKEN" in STORE.variables


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ("[A]", "environment: expected a mapping"),
        ("{'A-B': x}", "not a variable's name"),
        ("{A=B: x}", "not a variable's name"),
        ("{1: x}", "the key 1 is read as a number"),
        ("{UID: '5'}", "'UID' is a variable that shells set themselves"),
        ("{A: yes}", "not text"),
        ("{A: [b]}", "not text"),
        ("{A: }", "the value is missing"),
        ("{A: '{{ proxy }}'}", "is a template; templates are not rendered here"),
        ('{A: "two\\nlines"}', "line breaks are not allowed here"),
        ("{A: !secret {env: [x]}}", "`env` of `!secret` is a text"),
    ],
)
@pytest.mark.parametrize("place", ["play", "task", "include"])
def test_environments_that_cannot_be_meant(tmp_path: Path, environment: str, words: str, place: str) -> None:
    """Names are those of variables that every shell passes on, and values are texts as they are written."""
    beside = {name: f", environment: {environment}" if name == place else "" for name in ("play", "task", "include")}
    text = (
        f"- {{hosts: all{beside['play']}, tasks: [{{drain: {beside['task']}}}, "
        f"{{include_tasks: more.yml{beside['include']}}}]}}\n"
    )
    said = refusal(tmp_path, text, more="- drain\n")
    assert words in said
    assert "book.yml:1:" in said


@pytest.mark.parametrize(
    "text",
    [
        "- {hosts: !secret {env: TOKEN}, tasks: [drain]}\n",
        "- {hosts: all, vars: {a: {b: !secret {env: TOKEN}}}, tasks: [drain]}\n",
        "- {hosts: all, tasks: [{drain: , when: !secret {env: TOKEN}}]}\n",
        "- {hosts: all, tasks: [{drain: , tags: [!secret {env: TOKEN}]}]}\n",
    ],
)
def test_secrets_stand_nowhere_else(tmp_path: Path, text: str) -> None:
    """What a play is made of is shown, so it cannot be secret."""
    assert "a secret cannot stand here" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ("[!secret {env: TOKEN}]", "a task is one name"),
        ("[run: !secret {env: TOKEN}]", "run: the arguments of a task are a mapping, got '<secret>'"),
        ("[include_tasks: !secret {env: TOKEN}]", "expected the name of a file"),
    ],
)
def test_a_secret_is_no_task(tmp_path: Path, tasks: str, words: str) -> None:
    """A secret in place of a task, its arguments or a file's name is refused as what it is."""
    assert words.replace("'", "") in refusal(tmp_path, f"- {{hosts: all, tasks: {tasks}}}\n").replace("'", "")


def test_a_playbook_is_not_encrypted_as_a_whole(tmp_path: Path) -> None:
    """A play that nobody can read is no play, whatever the passwords."""
    assert "encrypted with Ansible Vault" in refusal(tmp_path, "$ANSIBLE_VAULT;1.1;AES256\n6162\n")


def test_a_play_has_no_conditions(tmp_path: Path) -> None:
    """As in Ansible; where they can stand is said, and the rest of the play is checked all the same."""
    said = refusal(tmp_path, "- hosts: all\n  when: rack == 'r1'\n  tasks: [drian]\n")
    assert "book.yml:2:3: play 1.when: a play has no conditions, as in Ansible" in said
    assert "`include_tasks: FILE` with `when` beside it" in said
    assert "unknown task 'drian'" in said
