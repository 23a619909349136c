"""Playbooks: keys of plays and tasks, tags, conditions, and files that include each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.config.playbook.conditions import ConditionReader
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.playbook.selection import Selection, narrowed
from fleetdeploy.domain.inventory import Connection, Group, Host, Inventory
from fleetdeploy.domain.playbook import Order, Playbook, Quantity, When
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.templated import Templated
from fleetdeploy.errors import InputError

TASKS = ("drain", "undrain", "verify", "prune")
TOKEN = Secret(lambda: "hush-hush", note=lambda _: None, where="vars.yml:1:8")


def _no_value() -> object:
    raise InputError("broken: no value", where="hosts.yml:1:1")


HOST = Host(
    "a.x",
    Connection("a.x"),
    {
        "templated": Templated("{{ n }}", lambda: 3),
        "db": {"port": Templated("{{ n }}", lambda: 3), "other": Templated("{{ x }}", _no_value)},
        "plain": {"port": 3},
        "broken": Templated("{{ x }}", _no_value),
        "rack": "r1",
        "n": 3,
        "odd": "{% if x %}",
        "list": ["a"],
        "token": TOKEN,
    },
    ("all", "gpu", "web"),
)
TAGGED = """\
- name: First
  hosts: all
  tags: early
  tasks:
    - {name: One, drain: , tags: [a]}
    - {name: Two, drain: , tags: "b, never"}
    - {name: Three, undrain: , tags: always}
    - undrain
- hosts: all
  tasks:
    - {name: Five, verify: }
    - {name: Six, prune: {keep: 2}, tags: [a, c]}
"""


def book(tmp_path: Path, text: str, **files: str) -> Playbook:
    for name, content in files.items():
        path = tmp_path / f"{name.replace('__', '/')}.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    (tmp_path / "book.yml").write_text(text)
    return load_playbook(tmp_path / "book.yml", task_names=TASKS, project=tmp_path)


def titles(playbook: Playbook) -> list[str]:
    return [call.title for play in playbook.plays for call in play.tasks]


def refusal(tmp_path: Path, text: str, **files: str) -> str:
    with pytest.raises(InputError) as caught:
        book(tmp_path, text, **files)
    assert all(problem.where for problem in caught.value.problems)
    return "\n".join(map(str, caught.value.problems))


def test_the_keys_of_a_play_become_typed_values(tmp_path: Path) -> None:
    """Order, seed, domains, the floor, variables and tags arrive in the play."""
    (play,) = book(
        tmp_path,
        "- hosts: all\n  order: shuffle\n  seed: 7\n  spread: rack\n  min_available: 50%\n  any_errors_fatal: true\n"
        "  vars: {batch: 3, names: [a]}\n  tags: [x]\n  tasks: [prune]\n",
    ).plays
    assert (play.order, play.seed, play.spread) == (Order.SHUFFLE, 7, "rack")
    assert (play.min_available, play.max_fail_percentage) == (Quantity(50, percent=True), 0)
    assert play.variables == {"batch": 3, "names": ["a"]}
    assert (play.tags, play.tasks[0].tags) == (("x",), ("x",))


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("order: shuffle", "book.yml:2:3: play 1.order: shuffle needs a seed"),
        ("seed: 3", "play 1.seed: only the order shuffle has a seed"),
        ("order: random", "not an order of hosts"),
        ("any_errors_fatal: true\n  max_fail_percentage: 5", "any_errors_fatal stops at the first failure already"),
        ("any_errors_fatal: false", "the first failure stops the rollout all the same"),
        ("vars: {services: {}}", "book.yml:2:10: play 1.vars: services is set in the inventory only"),
        ("vars: {ansible_host: x}", "ansible_host is set in the inventory only"),
        ("vars: {a: '{{ b }}'}", "is a template"),
        ("spread: [rack]", "not a variable's name"),
        ("min_available: 0", "not a count of hosts"),
        ("tags: [all]", "'all' is a word of --tags, not a tag"),
        ("rescue: undrain", "play 1.rescue: expected a list"),
    ],
)
def test_keys_of_a_play_that_cannot_be_meant(tmp_path: Path, keys: str, words: str) -> None:
    """A play whose keys contradict each other, or reach into the inventory, is refused with the place."""
    assert words in refusal(tmp_path, f"- hosts: all\n  {keys}\n  tasks: [prune]\n")


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("{drain: , whn: x}", "unknown key 'whn'\n    did you mean 'when'?"),
        ("{drain: , verify: }", "got 'drain' and 'verify'"),
        ("{name: x}", "a task is one name"),
        ("{drain: , when: 'rack =='}", "book.yml:3:23: when: 'rack =='"),
        ("{drain: , when: 3}", "not a condition"),
        ("{drain: , when: facts}", "when: 'facts': this is neither true nor false"),
        ("{drain: , when: facts.gpus}", "this is neither true nor false\n    compare it"),
        ("{drain: , when: 'facts.gpus[0].driver'}", "this is neither true nor false"),
        ("{drain: , when: rack is match('r')}", "No test named 'match'.\n    look for a part with `in`"),
        ("{drain: , when: '{{ x }}'}", "is a template"),
        ("{drain: , tags: [1]}", "not a tag"),
        ("{drain: , run_once: 1}", "expected true or false"),
        ("{include_tasks: ../other.yml}", "'../other.yml' leaves the project"),
        ("{include_tasks: /etc/passwd}", "leaves the project"),
        ("{include_tasks: nowhere.yml}", "'nowhere.yml': no such file"),
        ("{include_tasks: }", "expected the name of a file"),
        ("{include_tasks: book.yml}", "files that include each other: book.yml -> book.yml"),
        ("{include_tasks: more.yml, loop: [1]}", "unknown key 'loop'"),
    ],
)
def test_tasks_that_cannot_be_meant(tmp_path: Path, task: str, words: str) -> None:
    """A task with a mistyped keyword, a condition nobody can read, or a file outside the project is refused."""
    assert words in refusal(tmp_path, f"- hosts: all\n  tasks:\n    - {task}\n")


def test_included_tasks_stand_where_they_are_named(tmp_path: Path) -> None:
    """Tasks of a file take their include's place, and its tags and conditions besides their own."""
    (play,) = book(
        tmp_path,
        "- hosts: all\n  tags: p\n  tasks:\n    - drain\n"
        "    - {include_tasks: parts/more.yml, tags: i, when: a}\n    - undrain\n",
        parts__more="- {verify: {times: 2}, tags: v, when: b}\n- import_tasks: last.yml\n",
        parts__last="- prune\n",
    ).plays
    assert [call.name for call in play.tasks] == ["drain", "verify", "prune", "undrain"]
    assert play.tasks[1].tags == ("p", "i", "v")
    assert [when.text for when in play.tasks[1].when] == ["a", "b"]
    assert str(play.tasks[2].origin) == f"{tmp_path / 'parts' / 'last.yml'}:1:3"


def test_imported_playbooks_stand_where_they_are_named(tmp_path: Path) -> None:
    """Plays of a file take its place; what is wrong in the file is told with the file's own place."""
    more = "- {name: Inner, hosts: gpu, tasks: [prune]}\n"
    found = book(tmp_path, "- {import_playbook: more.yml, tags: t}\n- {hosts: all, tasks: [drain]}\n", more=more)
    assert [(play.name, play.tasks[0].tags) for play in found.plays] == [("Inner", ("t",)), ("all", ())]
    text = refusal(tmp_path, "- import_playbook: bad.yml\n", bad="- {hosts: all, tasks: [prnue]}\n")
    assert text.startswith(f"{tmp_path / 'bad.yml'}:1:24: unknown task 'prnue'")


def test_a_link_does_not_lead_out_of_the_project(tmp_path: Path) -> None:
    """A file that is inside by its name and outside by where it leads is refused."""
    outside = tmp_path / "outside.yml"
    outside.write_text("- prune\n")
    inside = tmp_path / "project"
    inside.mkdir()
    (inside / "link.yml").symlink_to(outside)
    assert "leaves the project" in refusal(inside, "- hosts: all\n  tasks: [include_tasks: link.yml]\n")


@pytest.mark.parametrize(
    ("tags", "skip", "left"),
    [
        ((), (), "One Three undrain Five Six"),
        (("a",), (), "One Three Six"),
        (("b",), (), "Two Three"),
        (("never",), (), "Two Three"),
        (("early",), (), "One Two Three undrain"),
        (("tagged",), (), "One Three undrain Six"),
        (("untagged",), (), "Three Five"),
        ((), ("a",), "Three undrain Five"),
        ((), ("always",), "One undrain Five Six"),
        ((), ("tagged",), "Five"),
        ((), ("all",), "Three"),
        (("a", "c"), ("early",), "Six"),
    ],
)
def test_tags_choose_as_in_ansible(tmp_path: Path, tags: tuple[str, ...], skip: tuple[str, ...], left: str) -> None:
    """``always``, ``never``, ``all``, ``tagged`` and ``untagged`` mean what they mean to ansible-playbook."""
    assert titles(narrowed(book(tmp_path, TAGGED), Selection(tags, skip))) == left.split()


def test_a_selection_begins_at_a_task(tmp_path: Path) -> None:
    """``--start-at-task`` takes a label, a task's name or a pattern; what stands before it is left out."""
    found = book(tmp_path, TAGGED)
    assert titles(narrowed(found, Selection(start_at="undrain"))) == ["Three", "undrain", "Five", "Six"]
    assert titles(narrowed(found, Selection(start_at="Fi*"))) == ["Five", "Six"]
    assert titles(narrowed(found, Selection(tags=("a",), start_at="Three"))) == ["Three", "Six"]


@pytest.mark.parametrize(
    ("selection", "words"),
    [
        (Selection(tags=("erly",)), r"--tags: no task has the tag 'erly'"),
        (Selection(skip_tags=("d",)), r"--skip-tags: no task has the tag 'd'"),
        (Selection(start_at="Fuve"), r"--start-at-task: no task is called 'Fuve'"),
        (Selection(("c",), ("c", "always")), r"--tags c --skip-tags c,always leaves no task"),
    ],
)
def test_a_selection_that_names_nothing_is_refused(tmp_path: Path, selection: Selection, words: str) -> None:
    """A tag or task that does not exist, or a choice that leaves nothing, is an error and not an empty run."""
    with pytest.raises(InputError, match=words):
        narrowed(book(tmp_path, TAGGED), selection)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("rack == 'r1'", True),
        ("rack in ['r2']", False),
        ("n > 2 and 'gpu' in group_names", True),
        ("missing is defined", False),
        ("inventory_hostname_short == 'a' and inventory_hostname == 'a.x'", True),
        ("missing | default(false)", False),
        ("true", True),
        ("templated == 3 and db.port == 3", True),
        ("'yes' | bool and 1 | bool and true | bool and 'ON' | bool", True),
        ("'no' | bool or 0 | bool", False),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    """A condition sees its host's variables and names, and nothing that is only known later."""
    assert ConditionReader().holds(When(text), HOST) is holds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rak == 'r1'", "did you mean 'rack'"),
        ("rack", "it gives a text, not true or false"),
        ("n", "it gives a number"),
        ("odd == 'r1'", "odd holds a statement"),
        ("token == 'hush-hush'", "it looks into a secret"),
        ("list.append('b')", "'append' cannot be used: conditions call no methods"),
        ("rack.startswith('r')", "look for a part with `in` or a slice: 'gpu' in inventory_hostname"),
        ("db.prt == 1", "db has no 'prt'\n    did you mean 'port'?"),
        ("plain.prt == 1", "a mapping has no 'prt'\n    did you mean 'port'?"),
        ("broken == 1", "hosts.yml:1:1: broken: no value, for when: 'broken == 1' on a.x"),
        ("rack | bool", "not for a text"),
        ("list | bool", "not for a list"),
        ("token | bool", "it looks into a secret"),
        ("token", "it gives a secret, not true or false"),
        ("rack.__class__ == 1", "on a.x"),
        ("'x' * 100000000 == ''", "small numbers"),
        ("rack == 'r1' }} {{ x", "braces"),
    ],
)
def test_conditions_that_give_no_answer(text: str, words: str) -> None:
    """What is undefined, neither true nor false, a template, or reaches outside is an error with its place."""
    with pytest.raises(InputError) as caught:
        ConditionReader().holds(When(text), HOST)
    assert words in str(caught.value.problems[0])
    assert HOST.variables["list"] == ["a"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("'wep' in group_names", "the inventory has no group 'wep'"),
        ("n > 2 and not 'canry' not in group_names", "the inventory has no group 'canry'"),
        ("inventory_hostname == 'a'", "the inventory has no host 'a'"),
        ("inventory_hostname in ['a.x', 'b.x']", "the inventory has no host 'b.x'"),
        ("inventory_hostname_short != 'b'", "the inventory has no host 'b'"),
        ("'web' in group_names and inventory_hostname == 'a.x' and inventory_hostname_short == 'a'", ""),
        ("'rack1' in inventory_hostname", ""),
        ("rack == 'wep'", ""),
        ("'wep' == group_names[0]", "the inventory has no group 'wep'"),
        ("group_names | first == 'wep'", "the inventory has no group 'wep'"),
        ("inventory_hostname[0] == 'b' or inventory_hostname | first == 'b'", ""),
    ],
)
def test_conditions_name_groups_and_hosts_that_exist(text: str, words: str) -> None:
    """A condition that looks for a group or a host that is not there would hold nowhere, or everywhere, in silence."""
    groups = {name: Group(name, ("a.x",), ()) for name in ("all", "gpu", "web")}
    found = list(ConditionReader().strangers(When(text), Inventory({"a.x": HOST}, groups, ())))
    assert [problem.message.partition(": ")[2].partition(": ")[2] for problem in found] == [words] * bool(words)


def test_a_problem_of_a_task_is_told_once(tmp_path: Path) -> None:
    """What the play's own check has said of a task is not said again when the task is read."""
    text = refusal(tmp_path, "- hosts: all\n  tasks:\n    - {drain: , environment: {A: '{{ b }}', B: '{{ b }}'}}\n")
    assert text.count("is a template") == 2
    assert "play 1.tasks[0].environment.A: '{{ b }}' is a template" in text


def test_a_container_that_runs_is_an_answer(tmp_path: Path) -> None:
    """Of what was seen on a host, only a boolean can stand alone."""
    when = "facts.services.ranking.container.running"
    assert book(tmp_path, f"- hosts: all\n  tasks:\n    - {{drain: , when: {when}}}\n").plays


def test_plays_keep_their_numbers(tmp_path: Path) -> None:
    """A choice of tasks leaves plays out, or empty where all are asked for, and numbers none of them anew."""
    found = book(tmp_path, TAGGED)
    assert [play.number for play in narrowed(found, Selection(("c",))).plays] == [1, 2]
    some = Selection(skip_tags=("early",))
    assert [play.number for play in narrowed(found, some).plays] == [2]
    every = narrowed(found, some, every_play=True).plays
    assert [(play.number, len(play.all_tasks)) for play in every] == [(1, 0), (2, 2)]
