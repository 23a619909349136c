"""GetModelStatus answers and what they mean."""

from __future__ import annotations

import pytest

from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.tfserving import status, stubs
from fleetdeploy.tfserving.status import Settled


def states(**named: str) -> tuple[VersionState, ...]:
    """v7="AVAILABLE" or v8="END UNKNOWN: broken"."""
    result = []
    for name, text in named.items():
        state, _, error = text.partition(" ")
        result.append(VersionState(int(name[1:]), State(state), error))
    return tuple(result)


def test_states_come_highest_version_first() -> None:
    """An answer becomes states, highest version first, errors by name."""
    response = stubs.get_model_status_pb2.GetModelStatusResponse()
    response.model_version_status.add(version=7, state=30)
    failed = response.model_version_status.add(version=8, state=50)
    failed.status.error_code = 2
    failed.status.error_message = "broken"
    assert status.from_proto(response) == states(v8="END UNKNOWN: broken", v7="AVAILABLE")


def test_new_states_and_codes_are_not_lost() -> None:
    """A state or error code that a later server may invent is UNKNOWN or told by its number."""
    response = stubs.get_model_status_pb2.GetModelStatusResponse()
    entry = response.model_version_status.add(version=7, state=35)
    entry.status.error_code = 77
    assert status.from_proto(response) == states(v7="UNKNOWN code 77: ")


@pytest.mark.parametrize(
    ("seen", "wanted", "others_allowed", "verdict", "said"),
    [
        (states(v7="AVAILABLE"), {7}, False, Settled.READY, ""),
        (states(v7="AVAILABLE", v6="END"), {7}, False, Settled.READY, ""),
        (states(v7="AVAILABLE", v6="END UNKNOWN: old"), {7}, False, Settled.READY, ""),
        (states(v7="AVAILABLE", v6="UNLOADING"), {7}, False, Settled.PENDING, "version 6 is UNLOADING but not wanted"),
        (states(v7="AVAILABLE", v6="AVAILABLE"), {7}, False, Settled.PENDING, "version 6 is AVAILABLE"),
        (states(v7="AVAILABLE", v8="START"), {7}, False, Settled.PENDING, "version 8 is START"),
        (states(v7="AVAILABLE", v8="UNKNOWN"), {7}, False, Settled.PENDING, "version 8 is UNKNOWN"),
        (states(v7="AVAILABLE", v6="AVAILABLE"), {7}, True, Settled.READY, ""),
        (states(v7="AVAILABLE", v6="LOADING"), {6, 7}, True, Settled.PENDING, "version 6 is LOADING"),
        (states(v7="LOADING"), {7}, False, Settled.PENDING, "version 7 is LOADING"),
        (states(v7="END"), {7}, False, Settled.PENDING, "version 7 is END"),
        (
            states(v7="END UNKNOWN: bad", v6="AVAILABLE"),
            {7},
            True,
            Settled.FAILED,
            "version 7 failed to load: UNKNOWN: bad",
        ),
        ((), {7}, False, Settled.PENDING, "version 7 is not known yet"),
        ((), set(), False, Settled.READY, ""),
        (states(v7="AVAILABLE"), set(), False, Settled.PENDING, "version 7 is AVAILABLE but not wanted"),
    ],
)
def test_verdict(
    seen: tuple[VersionState, ...], wanted: set[int], others_allowed: bool, verdict: Settled, said: str
) -> None:
    """Ready means exactly the wanted versions (or at least, where others may stay); END with an error is final."""
    found = status.settled(seen, wanted, others_allowed=others_allowed)
    assert found.settled is verdict
    assert said in found.text
    assert (found.ready, found.failed) == (verdict is Settled.READY, verdict is Settled.FAILED)


def test_available_versions() -> None:
    """Only AVAILABLE versions count as served, in ascending order."""
    assert status.available(states(v9="AVAILABLE", v8="END", v7="AVAILABLE")) == (7, 9)
