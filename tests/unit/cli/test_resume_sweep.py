"""Every point at which a deploy can be killed, one after the other, and ``resume`` after each."""

from __future__ import annotations

import json
from typing import Any

import pytest
from simulation.controller import one_by_one
from simulation.wire import Killed, changes
from simulation.world import SERVICE, World

from .conftest import Project
from .resumes import KILLED, Call, Shell

pytestmark = pytest.mark.simulation
IN_TURN = ("executor", "targets", "taking_back", "soaking", "locks.leases")


def end_of(world: World) -> dict[str, object]:
    """What an undisturbed run leaves: what each host serves and has on disk, and who is out of the balancer."""
    found: dict[str, object] = {"drained": sorted(world.drained), "lost": world.lost}
    for name, host in world.hosts.items():
        files = host.directory(SERVICE)
        found[name] = (
            world.serves(name), files.config_text, files.drained_by, sorted(files.versions["ranker"]),
            files.release.content_hash if files.release else "", sorted(host.containers),
        )  # fmt: skip
    return found


@pytest.fixture
def shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Both hosts serve version 1, and version 2 is wanted; calls come in the same order every time."""
    for room in IN_TURN:
        monkeypatch.setattr(f"fleetdeploy.rollout.{room}.side_by_side", one_by_one)
    made = Shell(project, monkeypatch)
    assert made("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    return made


def first_worked_on(shell: Shell) -> str:
    """The first host that the newest run changed something on, beside putting files in place."""
    steps = [event for event in shell.events() if event["kind"] == "step_started"]
    return next((step["host"] for step in steps if step["task"] in {"drain", "activate", "verify", "undrain"}), "")


def middle(events: list[dict[str, Any]]) -> str:
    """The host that was begun to be switched over and had not come to the end of that."""
    play: list[str] = []
    for event in events:
        if event["kind"] == "play_started":
            play = []
        elif event["kind"] == "step_started" and event["task"] == "drain":
            play = [event["host"]]
        elif event["kind"] == "host_finished":
            play = [name for name in play if name != event["host"]]
    return next(iter(play), "")


def test_killed_anywhere_and_resumed_it_ends_as_undisturbed(shell: Shell) -> None:
    """Before every call that changes something: the same end, no host that was done touched, the middle one first."""
    start, number, state = shell.world.copy(), 0, dict[str, object]()
    kept = set(shell.runs())
    seen: list[Call] = []
    shell.at_each(seen.append)
    put(shell, start)
    assert shell("deploy").code == 0
    undisturbed = end_of(shell.world)
    points = [at for at, (_, method) in enumerate(seen, 1) if changes(method)]
    assert len(points) > 15
    wrong = []
    for at in points:
        forget(shell, kept)
        put(shell, start)
        number = 0

        def die(_: Call, at: int = at) -> None:
            nonlocal number
            number += 1
            if number == at:
                raise Killed

        shell.at_each(die)
        assert shell("deploy").code == KILLED
        shell.at_each(lambda _: None)
        events = shell.events()
        done = {event["host"] for event in events if event["kind"] == "step_finished" and event["task"] == "undrain"}
        begun = middle(events)
        result = shell("resume")
        state = end_of(shell.world)
        touched = {act.split()[0] for act in shell.acts} & done
        first = first_worked_on(shell)
        if result.code or state != undisturbed or touched or (begun and first not in {begun, ""}):
            wrong.append((at, seen[at - 1], result.last_line, touched, begun, first, json.dumps(state, default=str)))
    assert wrong == []


def put(shell: Shell, world: World) -> None:
    """The fleet is as it was then."""
    shell.world = world.copy()


def forget(shell: Shell, kept: set[str]) -> None:
    """The state directory has no runs but these."""
    for run in set(shell.runs()) - kept:
        for path in sorted((shell.path / "state" / "runs" / run).iterdir()):
            path.unlink()
        (shell.path / "state" / "runs" / run).rmdir()
