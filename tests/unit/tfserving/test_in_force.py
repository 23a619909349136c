"""The list that a server must be taken to have: from the host's file, the last proven one and the states it tells."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.observed import Absent, Present, State, Unknown, VersionState
from fleetdeploy.tfserving import model_config
from fleetdeploy.tfserving.in_force import in_force, recorded_text
from fleetdeploy.tfserving.simulation import HELD, listed, ours

from .test_simulation import LATEST, MODELS, STATES, Models, m, seen, text_of

BLANK = ["", "\n", model_config.NO_MODELS, "model_config_list {", "custom_model_config {}"]


def test_a_file_of_ours_is_what_is_in_force() -> None:
    """Whatever else is known."""
    assert in_force(m(1), m(2), {"m": seen(v3="AVAILABLE")}, m(4)) == m(1)


@pytest.mark.parametrize("text", BLANK)
def test_a_file_that_tells_nothing(text: str) -> None:
    """What was last proven with its labels, and what is in memory beside it; what only failed or left is neither."""
    states = seen(v2="AVAILABLE", v3="LOADING", v4="END", v5="END NOT_FOUND: no", v6="UNLOADING")
    assert in_force(text, m(1, stable=1), {"m": states}, m(9)) == m(1, 2, 3, stable=1)
    assert in_force(text, "", {"m": states}, m(9, stable=9)) == m(2, 3)
    assert in_force(text, m(1), {"m": Unknown("timeout"), "n": Absent()}, m(9)) == m(1)
    assert in_force(text, "", {"m": Present(()), "n": seen(v1="AVAILABLE")}, m(9)) == ""


def test_a_file_that_is_not_ours_is_kept_and_added_to() -> None:
    """No reload begins from it, and the models that only the record names may well be loaded."""
    theirs = LATEST.replace("EXTRA", "")
    found = in_force(theirs, text_of({"m": ((1,), {}), "n": ((2,), {})}), {"m": seen(v5="AVAILABLE")}, m(1))
    assert not ours(found)
    assert {model: entry.versions for model, entry in listed(found).items()} == {"m": (), "n": (2,)}


def test_a_record_stands_for_its_configuration() -> None:
    """Where it has none that can be read, its models do."""
    assert recorded_text(m(1, stable=1), {"m": (7,)}, target="/models") == m(1, stable=1)
    assert recorded_text("{", {"m": (7, 3)}, target="/models") == m(3, 7)
    assert recorded_text("", {}, target="/models") == ""


@given(
    text=st.sampled_from(BLANK),
    recorded=MODELS,
    wanted=MODELS,
    states=st.dictionaries(st.sampled_from(["a", "b", "c"]), STATES),
)
def test_no_reload_from_it_drops_what_serves(
    text: str, recorded: Models, wanted: Models, states: Mapping[str, Mapping[int, State]]
) -> None:
    """Old and new together list every version that a wanted or recorded model has in memory."""
    served = {
        model: Present(tuple(VersionState(number, state) for number, state in found.items()))
        for model, found in states.items()
    }
    before = in_force(text, text_of(recorded) if recorded else "", served, text_of(wanted))
    both = listed(model_config.overlap(before, text_of(wanted)))
    for model, found in states.items():
        if model in wanted or model in recorded:
            held = {number for number, state in found.items() if state in HELD}
            assert held <= set(both[model].versions if model in both else ())
