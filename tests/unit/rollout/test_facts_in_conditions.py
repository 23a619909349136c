"""Conditions on facts, and environments, in whole rollouts on a simulated fleet."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulation.controller import Run, deploy
from simulation.model_server import Quality

from fleetdeploy.errors import InputError

from .books import THREE, bound, commands, not_made_good
from .fleets import V1, V2, dangers, settled, spoil

pytestmark = pytest.mark.simulation

SERVING = "facts.services.ranking.served.ranker"
NEW = f"2 in {SERVING} and {SERVING}[2] == 'AVAILABLE'"


def looks(run: Run, host: str) -> int:
    return run.calls.count((host, "observe"))


def test_what_a_host_has_decides(tmp_path: Path) -> None:
    """A condition on what does not change is answered by the look that comes first, beside those on variables."""
    text = "{run: {argv: [x]}, when: [role == 'x', facts.gpus | length == 1]}"
    other = "{run: {argv: [y]}, when: facts.gpus | length > 4}"
    world = settled(*THREE)
    assert deploy(world, V2, run_plays=bound(tmp_path, before=text, last=f"    - {other}\n")).code == 0
    assert commands(world) == {"gpu2": [("x",)], "gpu3": [("x",)]}


def test_what_the_run_changed_is_looked_at_anew(tmp_path: Path) -> None:
    """The same condition says no before the switch and yes behind it, each time by a look of its own."""
    before, behind = f'{{run: {{argv: [early]}}, when: "{NEW}"}}', f'{{run: {{argv: [late]}}, when: "{NEW}"}}'
    world = settled(*THREE)
    plain = deploy(settled(*THREE), V2, run_plays=bound(tmp_path))
    run = deploy(world, V2, run_plays=bound(tmp_path, behind, before=before))
    assert run.code == 0
    assert commands(world) == {name: [("late",)] for name in THREE}
    assert looks(run, "gpu1") == looks(plain, "gpu1") + 2


def test_nobody_looks_for_what_is_not_due(tmp_path: Path) -> None:
    """On a host that needs no change, and where other conditions say no, facts are not asked for."""
    text = f"{{run: {{argv: [x]}}, when: [\"{NEW}\", role == 'canary']}}"
    world = settled(*THREE)
    plain = deploy(settled(*THREE), {"gpu1": V1, "gpu2": V2, "gpu3": V1}, run_plays=bound(tmp_path))
    run = deploy(world, {"gpu1": V1, "gpu2": V2, "gpu3": V1}, run_plays=bound(tmp_path, text))
    assert [looks(run, name) for name in THREE] == [looks(plain, name) for name in THREE]
    assert commands(world) == {}


def test_what_could_not_be_read_refuses_the_host(tmp_path: Path) -> None:
    """What no step changes is told before anything is touched, with the reason and the next thing to do."""
    world = settled(*THREE)
    world.hosts["gpu2"].blind = {"boot_id"}
    run = deploy(world, V2, run_plays=bound(tmp_path, "{run: {argv: [x]}, when: facts.boot_id == 'b'}"))
    assert (run.code, run.acts) == (5, [])
    assert run.error is not None
    assert "gpu2: " in str(run.error)
    assert "when: \"facts.boot_id == 'b'\": facts.boot_id is not known: the host did not say" in str(run.error)
    assert "neither there nor absent" in str(run.error)
    assert ":10:32: " in str(run.error)


def test_what_nobody_asks_for_refuses_nobody(tmp_path: Path) -> None:
    """A reading that failed is no matter on a host on which the condition is not due."""
    world = settled(*THREE)
    world.hosts["gpu2"].blind = {"boot_id"}
    text = "{run: {argv: [x]}, when: facts.boot_id == 'boot'}"
    run = deploy(world, {"gpu1": V2, "gpu2": V1, "gpu3": V1}, run_plays=bound(tmp_path, text))
    assert (run.code, commands(world)) == (0, {"gpu1": [("x",)]})


@pytest.mark.parametrize("behind", [True, False])
def test_what_cannot_be_read_any_more_fails_the_host(tmp_path: Path, behind: bool) -> None:
    """Where the run changes what is asked for, its turn decides: no answer is a failure, and the host goes back."""
    world = settled(*THREE)
    before = world.serves_all()
    world.hosts["gpu1"].blind = {"listening"}
    text = "{run: {argv: [x]}, when: 8501 in facts.listening}"
    run = deploy(world, V2, run_plays=bound(tmp_path, text) if behind else bound(tmp_path, before=text))
    assert (run.code, commands(world), world.serves_all()) == (3, {}, before)
    assert run.outcome is not None
    assert "facts.listening is not known: it broke" in run.outcome.hosts["gpu1"].reason
    assert dangers(world) == []


@pytest.mark.parametrize("task", ["drain", "activate", "verify", "undrain", "stage", "pull_image", "preflight"])
def test_the_order_of_tasks_never_depends_on_facts(tmp_path: Path, task: str) -> None:
    """Whether a host is drained and proven is known before it is contacted, so such conditions are refused."""
    with pytest.raises(InputError) as caught:
        bound(tmp_path, f"{{{task}: , when: facts.gpus | length > 4}}")
    problem = caught.value.problems[0]
    assert problem.message.startswith(f"{task}: whether it is done cannot depend on facts")
    assert problem.hint == "use a variable or a group here; facts are for `notify`, `pause`, `prune`, `run`"
    assert ":10:" in problem.where


def test_a_file_of_tasks_passes_its_condition_on(tmp_path: Path) -> None:
    """A condition on facts beside an include is one of each task there, also of those that cannot have it."""
    (tmp_path / "more.txt").write_text("- run: {argv: [x]}\n- run: {argv: [y]}\n")
    (tmp_path / "bad.txt").write_text("- run: {argv: [x]}\n- verify\n")
    text = "{{include_tasks: {}.txt, when: facts.docker.version == '29.0', environment: {{A: file}}}}"
    world = settled(*THREE)
    assert deploy(world, V2, run_plays=bound(tmp_path, text.format("more"))).code == 0
    assert commands(world) == {name: [("x",), ("y",)] for name in THREE}
    assert world.hosts["gpu1"].environments == [{"A": "file"}] * 2
    with pytest.raises(InputError, match="verify: whether it is done cannot depend on facts"):
        bound(tmp_path, text.format("bad"))


def test_once_is_for_the_first_host_that_fits(tmp_path: Path) -> None:
    """With ``run_once``, the first host for which the facts say yes does it for all."""
    world = settled(*THREE)
    text = "{run: {argv: [x]}, run_once: true, when: facts.gpus | length == 1 and inventory_hostname != 'gpu1'}"
    assert deploy(world, V2, run_plays=bound(tmp_path, text)).code == 0
    assert commands(world) == {"gpu2": [("x",)]}


def test_facts_are_those_of_the_inventory_s_host(tmp_path: Path) -> None:
    """As in Ansible: another host does it, and what this one was seen to have decides."""
    world = settled(*THREE)
    text = f"{{run: {{argv: [x]}}, delegate_to: gpu3, environment: {{WHO: me}}, when: [role == 'canary', \"{NEW}\"]}}"
    assert deploy(world, V2, run_plays=bound(tmp_path, text)).code == 0
    assert commands(world) == {"gpu3": [("x",)]}, "gpu3 itself still served the old version"
    assert world.hosts["gpu3"].environments == [{"WHO": "me"}]


def test_a_rescue_sees_the_host_as_it_is_then(tmp_path: Path) -> None:
    """What is asked for after a failure is looked at once the host has been taken back; no answer changes nothing."""
    last = (
        f'  rescue:\n    - {{run: {{argv: [old]}}, when: "1 in {SERVING}"}}\n'
        f'    - {{run: {{argv: [new]}}, when: "{NEW}"}}\n'
    )
    world = settled(*THREE)
    spoil(world, 2, Quality.WRONG)
    run = deploy(world, V2, run_plays=bound(tmp_path, last=last))
    assert (run.code, commands(world)) == (3, {"gpu1": [("old",)]})
    world = settled(*THREE)
    spoil(world, 2, Quality.WRONG)
    world.hosts["gpu1"].blind = {"listening"}
    last = "  rescue:\n    - {run: {argv: [x]}, when: 8501 in facts.listening}\n    - {run: {argv: [y]}}\n"
    run = deploy(world, V2, run_plays=bound(tmp_path, last=last))
    assert (run.code, commands(world)) == (3, {"gpu1": [("y",)]})
    assert any("facts.listening is not known" in event.message for event in run.events)


def test_environments_reach_commands_and_nothing_else(tmp_path: Path) -> None:
    """The play's variables and the task's on top, for a command, its undo and a message by a command."""
    tasks = ("{run: {argv: ['false'], undo: [mend]}, environment: {B: task}}",)
    told = "{notify: {command: [tell]}, environment: {B: told}}"
    top = "  environment: {A: play, B: play}\n"
    world = settled(*THREE)
    assert deploy(world, V2, run_plays=bound(tmp_path, *tasks, before=told, top=top)).code == 3
    assert commands(world) == {"gpu1": [("false",), ("mend",)]}
    assert world.hosts["gpu1"].environments == [{"A": "play", "B": "task"}] * 2
    assert world.environments == [{"A": "play", "B": "told"}]


@pytest.mark.parametrize(
    "text",
    [
        "{drain: , environment: {A: b}}",
        "{pause: {seconds: 1}, environment: {A: b}}",
        "{notify: {url: 'https://x.example/y'}, environment: {A: b}}",
    ],
)
def test_an_environment_for_nobody_is_refused(tmp_path: Path, text: str) -> None:
    """Beside a task that runs no command it would be lost in silence."""
    with pytest.raises(InputError) as caught:
        bound(tmp_path, text)
    assert "it runs no command that would get the environment" in caught.value.problems[0].message
    assert caught.value.problems[0].hint == "remove `environment`; it is for `notify`, `run`"


def test_a_variable_of_that_name_is_in_the_way(tmp_path: Path) -> None:
    """Which of the two is meant would not be seen in the playbook."""
    with pytest.raises(InputError, match="a variable of that name is set too"):
        bound(tmp_path, "{run: {argv: [x]}, when: facts.gpus | length == 0}", top="  vars: {facts: 1}\n")
    assert bound(tmp_path, "{run: {argv: [x]}, when: role == 'x'}", top="  vars: {facts: 1}\n")


@pytest.mark.parametrize("kind", ["kill", "refuse", "drop", "lose"])
def test_trouble_anywhere_with_facts(tmp_path: Path, kind: str) -> None:
    """A run that breaks off anywhere, in a look for facts too, is made good by the next."""
    run_plays = bound(
        tmp_path,
        f'{{run: {{argv: [warm], changes: true, undo: [cool]}}, when: "{NEW}"}}',
        before="{pause: {seconds: 3s}, when: facts.gpus | length == 1}",
        last="  rescue: [{run: {argv: [mop]}, when: facts.docker is not none}]\n",
    )
    assert not_made_good(run_plays, kind) == []
