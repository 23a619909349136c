"""The tasks that stand beside the services: ``run``, ``pause`` and ``notify``."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest
from pydantic import ValidationError
from simulation.controller import desired
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import World

from fleetdeploy.domain.protocols import Ended, Outside
from fleetdeploy.errors import Held, HostError, Interrupted, RemoteCommandFailed
from fleetdeploy.tasks import registry
from fleetdeploy.tasks.step import Step, alternatives_of, required_of

from .test_tasks import step

URL = "https://chat.example.net/hook/SECRET"


def made(name: str, **arguments: object) -> object:
    """Checked arguments of a task, as a playbook gives them."""
    return registry()[name].arguments(**arguments)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def taken(said: list[str]) -> Step:
    """A step on ``gpu1`` whose answers and messages a test can choose and see."""
    world = World.of("gpu1")
    wire = Wire(world)
    return replace(step(world, desired(1)), say=said.append, controller=SimFleet(world, wire).outside)


def world_of(taken: Step) -> World:
    return taken.outside.world  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("run", {"argv": "systemctl reload x"}),
        ("run", {"argv": []}),
        ("run", {"argv": ["sleep", 3]}),
        ("run", {"argv": ["a\0b"]}),
        ("run", {"argv": ["true"], "timeout": "soon"}),
        ("notify", {"url": "ftp://x/y"}),
        ("notify", {"url": "https://user:pw@x/y"}),
        ("notify", {"url": "https:///y"}),
        ("notify", {"command": ["x"], "retries": 11}),
        ("pause", {"prompt": ""}),
        ("pause", {"seconds": -1}),
    ],
)
def test_arguments_that_cannot_be_meant(name: str, arguments: dict[str, object]) -> None:
    """A command is a list of texts, an address is one of the web without a password, a wait is not negative."""
    with pytest.raises(ValidationError):
        made(name, **arguments)


def test_what_a_playbook_has_to_give() -> None:
    """``run`` needs its command; ``pause`` and ``notify`` exactly one of two arguments, by their schemas too."""
    assert required_of(registry()["run"]) == ("argv",)
    assert alternatives_of(registry()["pause"]) == ("seconds", "prompt")
    assert alternatives_of(registry()["notify"]) == ("url", "command")
    assert registry()["run"].arguments.model_json_schema()["required"] == ["argv"]


def test_a_command_runs_and_is_heard(taken: Step, said: list[str]) -> None:
    """The words reach the host as they are, and what it printed is told."""
    registry()["run"].act(taken, made("run", argv=["echo", "a b; c"]))
    assert world_of(taken).hosts["gpu1"].commands == [("echo", "a b; c")]
    assert said == ["a b; c"]


def test_a_command_that_fails_is_a_failure_with_its_output(taken: Step) -> None:
    """A status other than 0 fails the host, with the last lines and a hint."""
    with pytest.raises(RemoteCommandFailed, match="expr ended with status 1") as caught:
        registry()["run"].act(taken, made("run", argv=["expr", "0"]))
    assert caught.value.detail == "0"


def test_a_command_is_undone_by_the_one_that_is_named(taken: Step) -> None:
    """Without ``undo`` there is nothing to take back."""
    registry()["run"].undo(taken, made("run", argv=["on"]))
    registry()["run"].undo(taken, made("run", argv=["on"], undo=["off"]))
    assert world_of(taken).hosts["gpu1"].commands == [("off",)]


def test_a_pause_waits_and_can_be_ended(taken: Step) -> None:
    """It lasts as long as it says, and looks for an interruption on the way."""
    before = taken.clock.monotonic_s()
    registry()["pause"].act(taken, made("pause", seconds="7s"))
    assert taken.clock.monotonic_s() - before == pytest.approx(7)

    def stop() -> None:
        raise Interrupted("SIGINT", signal_number=2)

    with pytest.raises(Interrupted):
        registry()["pause"].act(replace(taken, check=stop), made("pause", seconds="7s"))


@pytest.mark.parametrize("agreed", [True, False])
def test_a_pause_asks(taken: Step, agreed: bool) -> None:
    """A yes lets the host go on, anything else holds the rollout."""
    asking = replace(taken, ask=lambda text: agreed and text == "Go?")
    if agreed:
        registry()["pause"].act(asking, made("pause", prompt="Go?"))
        return
    with pytest.raises(Held, match=r"not agreed to: Go\?") as caught:
        registry()["pause"].act(asking, made("pause", prompt="Go?"))
    assert caught.value.exit_code == 9


def test_a_webhook_is_told(taken: Step) -> None:
    """The body is JSON that names run, host, service and release."""
    registry()["notify"].act(taken, made("notify", url=URL, message="hello"))
    ((url, body),) = world_of(taken).told
    assert url == URL
    found = json.loads(body)
    assert (found["run"], found["host"], found["service"], found["message"]) == ("run", "gpu1", "ranking", "hello")


@pytest.mark.parametrize("required", [True, False])
def test_a_webhook_that_nobody_answers(taken: Step, said: list[str], required: bool) -> None:
    """It is tried again, later each time; then it fails the host only if it is required."""
    world_of(taken).deaf = True
    before = taken.clock.monotonic_s()
    arguments = made("notify", url=URL, retries=3, required=required)
    if required:
        with pytest.raises(HostError, match="nobody listens"):
            registry()["notify"].act(taken, arguments)
    else:
        registry()["notify"].act(taken, arguments)
        assert said == ["nobody was told: nobody listens"]
    assert taken.clock.monotonic_s() - before == pytest.approx(1 + 2 + 4)


def test_a_webhook_s_address_is_not_shown(taken: Step) -> None:
    """Only its host stands in the plan: the rest of such an address lets anybody write there."""
    assert registry()["notify"].summary(taken.plan, True, made("notify", url=URL)) == "tell chat.example.net"


def test_what_a_command_said_is_not_cut_within_a_word(taken: Step) -> None:
    """The end of a long output is kept; half of a secret would be recognised by nobody."""
    ended = Ended(1, "half-of-a-secret " + "y " * 996)
    outside = SimpleNamespace(command=lambda *_, **__: ended)
    failing = replace(taken, controller=lambda: cast("Outside", outside))
    with pytest.raises(RemoteCommandFailed) as caught:
        registry()["notify"].act(failing, made("notify", command=["tell"], retries=0, required=True))
    assert caught.value.detail.split() == ["...", *["y"] * 996]
