"""``run``, ``pause``, ``notify``, ``when``, ``run_once`` and ``delegate_to`` in whole rollouts on a simulated fleet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulation.controller import Run, deploy, plays
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import converged

from fleetdeploy.errors import InputError

from .books import ROLES, THREE, bound, commands, not_made_good
from .fleets import V1, V2, dangers, settled, spoil

pytestmark = pytest.mark.simulation


def states(run: Run) -> dict[str, str]:
    assert run.outcome is not None
    return {name: item.state.value for name, item in run.outcome.hosts.items()}


def test_a_command_runs_on_hosts_that_change(tmp_path: Path) -> None:
    """A host that needs no change gets no command, and a second run gives none to anybody."""
    world = settled(*THREE)
    run_plays = bound(tmp_path, "run: {argv: [warm, up]}")
    run = deploy(world, {"gpu1": V1, "gpu2": V2, "gpu3": V2}, run_plays=run_plays)
    assert commands(world) == {"gpu2": [("warm", "up")], "gpu3": [("warm", "up")]}
    assert run.last_line == "OK: 2 of 3 hosts changed"
    again = deploy(world, {"gpu1": V1, "gpu2": V2, "gpu3": V2}, run_plays=run_plays)
    assert (again.code, again.acts, again.last_line) == (0, [], "OK: 3 hosts, nothing to do")


@pytest.mark.parametrize(("changes", "line"), [("false", "OK: 3 hosts, nothing to do"), ("true", "OK: 3 of 3 hosts c")])
def test_a_command_for_every_time_counts_as_it_says(tmp_path: Path, changes: str, line: str) -> None:
    """With ``every_time`` it runs on hosts that need nothing too, and is a change only where it says so."""
    world = settled(*THREE)
    run = deploy(world, V1, run_plays=bound(tmp_path, f"run: {{argv: [look], every_time: true, changes: {changes}}}"))
    assert set(commands(world)) == set(THREE)
    assert run.code == 0
    assert run.last_line.startswith(line)


def test_a_command_that_fails_takes_the_host_back(tmp_path: Path) -> None:
    """It is a failure like any other: the rollout stops, the host serves what it served before."""
    world = settled(*THREE)
    before = world.serves_all()
    run = deploy(world, V2, run_plays=bound(tmp_path, "run: {argv: ['false'], undo: [mend]}"))
    assert (run.code, world.serves_all()) == (3, before)
    assert commands(world) == {"gpu1": [("false",), ("mend",)]}
    assert dangers(world) == []


def test_a_check_that_fails_first_leaves_the_host_untouched(tmp_path: Path) -> None:
    """A command that only looks, before anything else, is no reason to call the host mixed or out of service."""
    path = tmp_path / "check.yml"
    path.write_text("- hosts: all\n  on_failure: stop\n  tasks: [{run: {argv: ['false']}}, drain, undrain]\n")
    world = settled(*THREE)
    run = deploy(world, V2, run_plays=plays(THREE, path=path))
    assert run.code == 3
    assert run.outcome is not None
    assert all(item.untouched and not item.mixed for item in run.outcome.hosts.values())


@pytest.mark.parametrize("serial", [1, 3])
def test_once_is_once_in_the_whole_rollout(tmp_path: Path, serial: int) -> None:
    """The first host that comes to it does it for all, whatever the waves."""
    world = settled(*THREE)
    run = deploy(
        world, V2, run_plays=bound(tmp_path, "{notify: {command: [tell]}, run_once: true}", serial=serial), threads=True
    )
    assert run.code == 0
    assert len(world.told) == 1


def test_a_task_behind_the_switch_still_knows_of_the_change(tmp_path: Path) -> None:
    """In a later play, hosts that this run has changed are told about, and no others."""
    last = "- hosts: all\n  tasks: [notify: {command: [tell]}]\n"
    world = settled(*THREE)
    assert deploy(world, {"gpu1": V1, "gpu2": V2, "gpu3": V2}, run_plays=bound(tmp_path, last=last)).code == 0
    assert [json.loads(body)["host"] for _, body in world.told] == ["gpu2", "gpu3"]


def test_nobody_told_is_no_failure(tmp_path: Path) -> None:
    """A webhook that does not answer changes nothing about the run, unless it is required."""
    world = settled(*THREE)
    world.deaf = True
    run = deploy(world, V2, run_plays=bound(tmp_path, "notify: {url: 'https://x.example/y'}"))
    assert (run.code, converged(world, V2)) == (0, [])
    run = deploy(world, V1, run_plays=bound(tmp_path, "notify: {url: 'https://x.example/y', required: true}"))
    assert run.code == 3
    assert converged(world, V2) == []


def test_conditions_choose_hosts(tmp_path: Path) -> None:
    """A task is done on the hosts for which its conditions hold."""
    world = settled(*THREE)
    run = deploy(world, V2, run_plays=bound(tmp_path, "{run: {argv: [x]}, when: role == 'canary'}"))
    assert (run.code, set(commands(world))) == (0, {"gpu1"})


def test_another_host_does_it(tmp_path: Path) -> None:
    """A delegated command runs on the named host, once for each host it is for."""
    world = settled(*THREE)
    text = "{run: {argv: [x]}, delegate_to: gpu3, when: role == 'canary'}"
    assert deploy(world, V2, run_plays=bound(tmp_path, text)).code == 0
    assert commands(world) == {"gpu3": [("x",)]}


def test_another_host_out_of_reach_is_no_word_about_this_one(tmp_path: Path) -> None:
    """The host whose command was delegated failed and went back; it is not called unreachable."""
    world = settled(*THREE)
    world.hosts["gpu3"].reachable = False
    text = "{run: {argv: [x]}, delegate_to: gpu3, when: role == 'canary'}"
    run = deploy(world, V2, run_plays=bound(tmp_path, text)[:1], allow_unreachable=True)
    assert run.code == 5, "one host is out already, and one may be"
    path = tmp_path / "look.yml"
    path.write_text(f"- hosts: gpu1\n  tasks: [{text}]\n")
    run = deploy(world, V2, run_plays=plays(THREE, path=path, variables=ROLES), allow_unreachable=True)
    assert run.outcome is not None
    assert run.outcome.hosts["gpu1"].state.value == "failed"
    assert "gpu3, which `run` is delegated to, cannot be reached" in run.outcome.hosts["gpu1"].reason


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("{verify: , run_once: true}", "verify: every host needs it, it cannot be done once"),
        ("{verify: , delegate_to: gpu1}", "verify: it is about the host itself"),
        ("{run: {argv: [x]}, delegate_to: gpu9}", "delegate_to: no host 'gpu9' in the inventory"),
        ("run", "run.argv: missing"),
        ("pause", "pause: exactly one of seconds and prompt is needed"),
        ("notify: {url: 'https://x/y', command: [x]}", "notify: exactly one of url and command is needed"),
        ("{run: {argv: [x]}, when: rol == 'x'}", "when: \"rol == 'x'\" on gpu1: 'rol' is undefined"),
    ],
)
def test_tasks_that_make_no_sense(tmp_path: Path, task: str, words: str) -> None:
    """What every host needs is not done once or elsewhere, and what is missing is said, with the task's place."""
    with pytest.raises(InputError) as caught:
        bound(tmp_path, task)
    assert words in str(caught.value.problems[0])
    assert ":10:" in caught.value.problems[0].where


def test_a_person_is_asked_once_a_wave(tmp_path: Path) -> None:
    """All hosts of a wave wait for one answer; the next wave is asked for anew."""
    asked: list[str] = []
    world = settled(*THREE)
    run = deploy(
        world,
        V2,
        run_plays=bound(tmp_path, before="pause: {prompt: Go?}", serial=2),
        ask=lambda text: not asked.append(text),
        threads=True,
    )
    assert (run.code, asked) == (0, ["Go?", "Go?"])


@pytest.mark.parametrize("behind", [True, False])
def test_a_no_holds_the_rollout(tmp_path: Path, behind: bool) -> None:
    """Who is not agreed to goes back, who went before stays, nobody fails: exit 9, with the way to go on."""
    answers = iter([True, False])
    world = settled(*THREE)
    prompt = "pause: {prompt: Go?}"
    run_plays = bound(tmp_path, prompt) if behind else bound(tmp_path, before=prompt)
    run = deploy(world, V2, run_plays=run_plays, ask=lambda _: next(answers))
    assert run.code == 9
    assert run.last_line == "HELD: held at a pause of play 'Switch'; gpu1 switched over; go on with: fleetdeploy deploy"
    assert states(run) == {"gpu1": "changed", "gpu2": "skipped", "gpu3": "skipped"}
    assert [world.serves(name).versions[0][1] for name in THREE] == [(2,), (1,), (1,)]
    assert all(world.serves(name).traffic for name in THREE)
    assert dangers(world) == []


def test_a_held_rollout_in_which_a_host_failed_has_failed(tmp_path: Path) -> None:
    """A failure is not hidden behind a question."""
    world = settled(*THREE)
    spoil(world, 2, Quality.WRONG)
    run_plays = bound(tmp_path, before="{pause: {prompt: Go?}, when: role == 'x'}", serial=3)
    run = deploy(world, V2, run_plays=run_plays, ask=lambda _: False)
    assert run.code == 3


def test_a_failure_is_told_and_cleaned_up_after(tmp_path: Path) -> None:
    """``rescue`` and ``always`` follow once the host serves again, and ``always`` on the hosts that went well too."""
    last = (
        "  max_fail_percentage: 50\n  rescue: [{run: {argv: [mop]}}, {notify: {command: [page]}}]\n"
        "  always: [{run: {argv: [sweep]}}]\n"
    )
    world = settled(*THREE)
    world.hosts["gpu1"].quality[("ranker", 2)] = Quality.WRONG
    run = deploy(world, V2, run_plays=bound(tmp_path, last=last))
    assert states(run) == {"gpu1": "reverted", "gpu2": "changed", "gpu3": "changed"}
    assert commands(world) == {"gpu1": [("mop",), ("sweep",)], "gpu2": [("sweep",)], "gpu3": [("sweep",)]}
    ((whom, body),) = world.told
    assert (whom, json.loads(body)["host"]) == ("page", "gpu1")
    assert json.loads(body)["failed"]
    methods = [method for host, method in run.calls if host == "gpu1"]
    assert methods.index("command") > methods.index("files.clear_drained")


def test_a_rescue_that_fails_changes_nothing_about_the_outcome(tmp_path: Path) -> None:
    """The host is reverted all the same, and the exit code is that of the failure."""
    world = settled(*THREE)
    before = world.serves_all()
    spoil(world, 2, Quality.WRONG)
    run = deploy(world, V2, run_plays=bound(tmp_path, last="  rescue: [{run: {argv: ['false']}}]\n"))
    assert (run.code, states(run)["gpu1"], world.serves_all()) == (3, "reverted", before)


def test_a_rescue_takes_nothing_back(tmp_path: Path) -> None:
    """How a host goes back is not the playbook's business: only commands and messages are taken."""
    with pytest.raises(InputError, match="rescue holds `notify`, `run`, not `undrain`"):
        bound(tmp_path, last="  rescue: [undrain]\n")


def test_an_interruption_ends_a_pause(tmp_path: Path) -> None:
    """Before the switch the host goes back; behind it the wait ends and the host is finished."""
    for text, behind, served in (("pause: {seconds: 1h}", False, 1), ("pause: {seconds: 1h}", True, 2)):
        world = settled(*THREE)
        run_plays = bound(tmp_path, text) if behind else bound(tmp_path, before=text)
        at = deploy(world.copy(), V2, run_plays=run_plays).calls.index(
            ("gpu1", "files.write_release" if behind else "files.stage")
        )
        run = deploy(world, V2, run_plays=run_plays, trouble=Trouble("signal", at + 1))
        assert run.code == 130
        assert world.serves("gpu1").versions == (("ranker", (served,)),)
        assert world.serves("gpu1").traffic
        assert world.clock.monotonic_s() < 3600


@pytest.mark.parametrize("kind", ["kill", "refuse", "drop", "lose"])
def test_trouble_anywhere_beside_the_services(tmp_path: Path, kind: str) -> None:
    """With commands, messages and a rescue too, a run that breaks off anywhere is made good by the next."""
    run_plays = bound(
        tmp_path,
        "{run: {argv: [warm], changes: true, undo: [cool]}}",
        "notify: {command: [tell]}",
        before="pause: {seconds: 3s}",
        last="  rescue: [{run: {argv: [mop]}}]\n  always: [{notify: {command: [tell]}}]\n",
    )
    assert not_made_good(run_plays, kind) == []
