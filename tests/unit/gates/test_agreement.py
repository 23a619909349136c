# ruff: noqa: ARG002  the signatures are those of the Serving protocol
"""File and memory against what was meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from simulation.controller import config_text

from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.errors import NotHealthy
from fleetdeploy.gates.agreement import check_file, check_memory, differences, gone_models

ONE = config_text((("ranker", (1,), (("stable", 1),)),))
TWO = config_text((("embedder", (4,), ()), ("ranker", (2,), (("canary", 2), ("stable", 2)))))


class Memory:
    """A server with these states and labels."""

    def __init__(self, states: Mapping[str, tuple[VersionState, ...]], labels: Mapping[tuple[str, str], int]) -> None:
        self.states, self.labels = states, labels

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        return self.states.get(model, ())

    def label(self, model: str, label: str, *, deadline_s: float) -> int | None:
        return self.labels.get((model, label))


def memory(labels: Mapping[tuple[str, str], int], **states: State) -> Any:
    return Memory({model: (VersionState(4, state),) for model, state in states.items()}, labels)


def test_the_same_text_is_well() -> None:
    """Byte for byte."""
    check_file(ONE, ONE, secret=False)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (None, "is missing"),
        ("", "reads nothing in line 1"),
        (ONE.replace("versions: 1", "versions: 7"), "reads 'versions: 7' in line "),
        (ONE + "# mine\n", "reads '# mine' in line "),
        (ONE.replace("\n", "\r\n"), "another line end"),
    ],
)
def test_another_text_is_told_with_both_sides(found: str | None, words: str) -> None:
    """What stands there, where, and what was meant."""
    with pytest.raises(NotHealthy) as caught:
        check_file(found, ONE, secret=False)
    assert words in caught.value.message
    assert caught.value.hint


def test_a_text_with_a_secret_is_not_quoted() -> None:
    """An earlier secret is in it, which nobody here knows to mask."""
    with pytest.raises(NotHealthy) as caught:
        check_file("hunter2", ONE, secret=True)
    assert "hunter2" not in caught.value.message
    assert "not shown" in caught.value.message


def test_memory_that_is_as_meant_has_no_differences() -> None:
    """Labels mean their versions, and what was there before is END or not known at all."""
    now = memory({("ranker", "canary"): 2, ("ranker", "stable"): 2}, embedder=State.AVAILABLE)
    assert list(differences(now, TWO, before=[ONE])) == []
    check_memory(memory({("ranker", "stable"): 1}, embedder=State.END), ONE, before=[TWO, "not a list"])


@pytest.mark.parametrize(
    ("labels", "state", "words"),
    [
        ({}, State.END, "label stable of ranker is not known and shall mean version 1"),
        ({("ranker", "stable"): 2}, State.END, "label stable of ranker means version 2 and shall mean version 1"),
        (
            {("ranker", "stable"): 1, ("ranker", "canary"): 2},
            State.END,
            "label canary of ranker means version 2 and shall be gone",
        ),
        ({("ranker", "stable"): 1}, State.AVAILABLE, "embedder has 4 AVAILABLE and shall be gone"),
        ({("ranker", "stable"): 1}, State.LOADING, "embedder has 4 LOADING and shall be gone"),
    ],
)
def test_each_difference_names_both_sides(labels: Mapping[tuple[str, str], int], state: State, words: str) -> None:
    """Labels that mean another version or none, labels and models that should be gone."""
    with pytest.raises(NotHealthy) as caught:
        check_memory(memory(labels, embedder=state), ONE, before=[TWO])
    assert words in caught.value.message


def test_models_that_shall_go_are_waited_for_with_no_version() -> None:
    """Those of any earlier text that the new one does not list."""
    assert gone_models(ONE, [TWO, ONE, ""]) == {"embedder": ()}
