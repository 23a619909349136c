# ruff: noqa: ARG002  the signatures are those of the Serving protocol
"""When a server that did not answer a reload holds a lock for ever, and when it is only slow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from simulation.controller import config_text

from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.errors import NotHealthy
from fleetdeploy.tasks.activating.restart import is_hung

TEXT = config_text((("embedder", (4,), ()), ("ranker", (1, 2), (("stable", 2),))))
THERE = VersionState(4, State.AVAILABLE)
ONE, TWO, SEVEN = (VersionState(number, State.AVAILABLE) for number in (1, 2, 7))


class Says:
    """A server with these states and this label; None stands for one that does not answer."""

    def __init__(self, states: Mapping[str, tuple[VersionState, ...]] | None, stable: int | None) -> None:
        self.states, self.stable = states, stable

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        if self.states is None:
            raise NotHealthy("UNAVAILABLE")
        return self.states.get(model, ())

    def label(self, model: str, label: str, *, deadline_s: float) -> int | None:
        return self.stable


def hung(embedder: tuple[VersionState, ...], ranker: tuple[VersionState, ...], *, final: bool, stable: int = 2) -> bool:
    serving: Any = Says({"embedder": embedder, "ranker": ranker}, stable)
    return is_hung(serving, TEXT, final=final)


@pytest.mark.parametrize("final", [True, False])
def test_versions_that_it_does_not_know_are_a_hang(final: bool) -> None:
    """It has not begun with one of them, and nothing moves; one that was unloaded before is as good as not known."""
    assert hung((), (ONE, TWO), final=final)
    assert hung((THERE,), (ONE,), final=final)
    assert hung((VersionState(4, State.END),), (ONE, TWO), final=final)


@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("state", [State.START, State.LOADING, State.UNLOADING, State.UNKNOWN])
def test_a_server_in_which_anything_moves_is_slow(final: bool, state: State) -> None:
    """With one load at a time the others are not known yet."""
    assert not hung((VersionState(4, state),), (), final=final)
    assert not hung((), (VersionState(1, state),), final=final)


@pytest.mark.parametrize("final", [True, False])
def test_a_version_that_failed_was_begun_with(final: bool) -> None:
    """Its error is what is to be told, and no restart mends it."""
    assert not hung((VersionState(4, State.END, "NOT_FOUND: no"),), (ONE, TWO), final=final)


def test_what_shall_go_and_where_labels_lead_counts_in_the_end_only() -> None:
    """While old and new are loaded together others may stay, and labels are the old ones."""
    assert hung((THERE,), (ONE, TWO, SEVEN), final=True)
    assert hung((THERE,), (ONE, TWO), final=True, stable=1)
    assert not hung((THERE,), (ONE, TWO, SEVEN), final=False, stable=1)
    assert not hung((THERE,), (ONE, TWO), final=True)


def test_a_server_that_does_not_answer_is_no_case_of_this() -> None:
    """Who waits for its states finds that out."""
    serving: Any = Says(None, None)
    assert not is_hung(serving, TEXT, final=True)
