# ruff: noqa: ARG002  the signatures are those of the Serving protocol
"""A reload on the way back that is not answered in time."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from simulation.controller import config_text

from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.errors import DeadlineExceeded
from fleetdeploy.tasks.activating.reload_back import _load
from fleetdeploy.tasks.activating.restart import HUNG

TEXT = config_text((("ranker", (1,), ()),))
BOTH = config_text((("embedder", (4,), ()), ("ranker", (1,), ())))


class Silent:
    """A server that answers no reload; ``state`` is that of what it goes back to, ``new`` of what is to go."""

    def __init__(self, state: State, new: State = State.AVAILABLE) -> None:
        self.state, self.new = state, new
        self.deadlines_s: list[float] = []

    def reload(self, text: str, *, deadline_s: float) -> None:
        self.deadlines_s.append(deadline_s)
        raise DeadlineExceeded("no answer")

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        return (VersionState(1, self.state if model == "ranker" else self.new),)


def load_again(serving: Silent) -> list[str]:
    said: list[str] = []
    wish = SimpleNamespace(flags={"file_system_poll_wait_seconds": "60"})
    desired = SimpleNamespace(name="ranking", wish=wish, config_text=BOTH)
    step: Any = SimpleNamespace(
        serving=serving, say=said.append, balancer=None, pools=(), plan=SimpleNamespace(desired=desired)
    )
    _load(step, TEXT, timeout_s=1.0, grace_s=1.0)
    return said


@pytest.mark.parametrize("new", [State.AVAILABLE, State.LOADING])
@pytest.mark.parametrize("state", [State.START, State.LOADING, State.UNLOADING])
def test_a_server_that_is_slow_to_go_back_is_not_taken_for_hung(state: State, new: State) -> None:
    """While what it goes back to moves in it nobody restarts it: its states are waited for instead."""
    assert load_again(Silent(state, new)) == []


@pytest.mark.parametrize(("state", "new"), [(State.END, State.AVAILABLE), (State.AVAILABLE, State.LOADING)])
def test_a_server_that_has_not_begun_to_go_back_is_hung(state: State, new: State) -> None:
    """It would be restarted, were it known that nobody sends it requests; so one that still waits for a new model."""
    (said,) = load_again(Silent(state, new))
    assert said.startswith(HUNG)


def test_a_server_that_seldom_looks_for_versions_gets_the_time_for_it() -> None:
    """The way back gives a reload as long as the way forward does."""
    serving = Silent(State.LOADING)
    load_again(serving)
    assert serving.deadlines_s == [120.0]
