# ruff: noqa: ARG002  the signatures are those of the Serving protocol
"""Waiting for a model server, and making it answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from simulation.clock import VirtualClock
from simulation.controller import golden

from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import DeadlineExceeded, NoAnswer, NotHealthy
from fleetdeploy.gates.readiness import CALL_S, answer_golden, await_answer, await_available, describe

LOADING = (VersionState(2, State.LOADING), VersionState(1, State.AVAILABLE))
BOTH = (VersionState(2, State.AVAILABLE), VersionState(1, State.AVAILABLE))
SETTLED = (VersionState(2, State.AVAILABLE), VersionState(1, State.END))
BROKEN = (VersionState(2, State.END, "NOT_FOUND: no"), VersionState(1, State.AVAILABLE))


class Scripted:
    """A server that says one thing after the other; the last one for ever. None stands for a refused connection."""

    def __init__(self, *states: Sequence[VersionState] | None, answers: Sequence[object] = ()) -> None:
        self.states, self.answers = list(states), list(answers)
        self.asked, self.predicted = 0, list[int]()

    def reload(self, config_text: str, *, deadline_s: float) -> None:
        raise AssertionError("a gate only looks")

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        assert deadline_s == CALL_S
        self.asked += 1
        found = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        if found is None:
            raise NotHealthy("UNAVAILABLE: connection refused")
        return tuple(found)

    def predict(self, model: str, request: GoldenRequest, *, version: int, deadline_s: float) -> Mapping[str, object]:
        self.predicted.append(version)
        answer = self.answers.pop(0) if self.answers else [[float(version)]]
        if isinstance(answer, Exception):
            raise answer
        return {"y": answer}


def test_it_waits_until_only_the_wanted_versions_are_there() -> None:
    """A refused connection, LOADING, and an old version still in memory are pending; then it is over."""
    server, clock = Scripted(None, (), LOADING, BOTH, SETTLED), VirtualClock()
    await_available(server, {"m": (2,)}, clock, timeout_s=60)
    assert server.asked == 5


def test_while_versions_overlap_others_are_allowed() -> None:
    """With ``others_allowed`` the old version may stay."""
    server = Scripted(LOADING, BOTH)
    await_available(server, {"m": (2,)}, VirtualClock(), timeout_s=60, others_allowed=True)
    assert server.asked == 2


def test_a_version_that_failed_ends_the_wait() -> None:
    """END with an error is final for this process; there is nothing to wait for."""
    clock = VirtualClock()
    with pytest.raises(NotHealthy, match="m: version 2 failed to load: NOT_FOUND: no"):
        await_available(Scripted(BROKEN), {"m": (2,)}, clock, timeout_s=60)
    assert clock.monotonic_s() < 1


@pytest.mark.parametrize(
    ("states", "text"),
    [(LOADING, "version 2 is LOADING"), (BOTH, "version 1 is AVAILABLE but not wanted"), (None, "refused"), ((), "m:")],
)
def test_the_deadline_ends_every_wait(states: Sequence[VersionState] | None, text: str) -> None:
    """After the timeout the error says what was seen last."""
    clock = VirtualClock()
    with pytest.raises(DeadlineExceeded) as caught:
        await_available(Scripted(states), {"m": (2,)}, clock, timeout_s=60)
    assert text in caught.value.message
    assert clock.monotonic_s() == pytest.approx(60, abs=1)


def test_a_dead_container_ends_the_wait() -> None:
    """``alive`` is called before each look and may raise."""

    def gone() -> None:
        raise NotHealthy("the new container is gone")

    with pytest.raises(NotHealthy, match="is gone"):
        await_available(Scripted(None), {"m": (2,)}, VirtualClock(), timeout_s=60, alive=gone)


def test_a_zero_timeout_looks_once() -> None:
    """A state that holds already needs no time."""
    await_available(Scripted(SETTLED), {"m": (2,)}, VirtualClock(), timeout_s=0)


def test_any_answer_will_do_where_an_answer_is_awaited() -> None:
    """A server that knows nothing is a server that answers; one that never does raises at the deadline."""
    await_answer(Scripted(None, None, ()), "m", VirtualClock(), timeout_s=60)
    clock = VirtualClock()
    with pytest.raises(NotHealthy):
        await_answer(Scripted(None), "m", clock, timeout_s=60)
    assert clock.monotonic_s() == pytest.approx(60, abs=1)


def test_golden_requests_go_to_their_versions_several_times() -> None:
    """Each version gets its own requests and those of no version, in every round."""
    any_version = GoldenRequest("any", {"x": [1.0]}, {})
    server = Scripted(())
    requests = {"m": (golden(1), golden(2))}
    assert answer_golden(server, requests, {"m": (1, 2)}, VirtualClock(), times=3, deadline_s=10) == 6
    assert server.predicted == [1, 2] * 3
    count = answer_golden(Scripted((), answers=[]), {"m": (any_version,)}, {}, VirtualClock(), times=1, deadline_s=1)
    assert count == 0


@pytest.mark.parametrize("bad", [[[3.0]], [[float("nan")]], [[1.0, 2.0]], NotHealthy("FAILED_PRECONDITION: no")])
def test_one_bad_answer_is_enough(bad: object) -> None:
    """A wrong value, NaN, another shape or a refusal in the last round fails the host, and names the request."""
    server = Scripted((), answers=[[[1.0]], [[1.0]], bad])
    with pytest.raises(NotHealthy, match="golden request 'answer of 1' to m version 1"):
        answer_golden(server, {"m": (golden(1),)}, {"m": (1,)}, VirtualClock(), times=3, deadline_s=10)


def test_a_request_that_nobody_answered_is_sent_once_more() -> None:
    """A connection can be lost while the server is well; twice is no accident."""
    lost = NoAnswer("UNAVAILABLE: Socket closed")
    server = Scripted((), answers=[lost, [[1.0]]])
    assert answer_golden(server, {"m": (golden(1),)}, {"m": (1,)}, VirtualClock(), times=1, deadline_s=10) == 1
    assert server.predicted == [1, 1]
    server = Scripted((), answers=[lost, lost, [[1.0]]])
    with pytest.raises(NotHealthy, match="'answer of 1' to m version 1 failed: UNAVAILABLE: Socket closed"):
        answer_golden(server, {"m": (golden(1),)}, {"m": (1,)}, VirtualClock(), times=1, deadline_s=10)
    assert server.predicted == [1, 1]


def test_a_server_that_ended_of_a_request_gets_no_second_one() -> None:
    """Docker needs a moment to see the end; what it says then is told, and who starts anew proves nothing."""
    server, clock = Scripted((), answers=[NoAnswer("UNAVAILABLE: Socket closed"), [[1.0]]]), VirtualClock()

    def alive() -> None:
        if clock.monotonic_s() > 1:
            raise NotHealthy("the container is running, restarted 1 time by Docker")

    with pytest.raises(NotHealthy, match="m version 1 failed: the container is running, restarted 1 time"):
        answer_golden(server, {"m": (golden(1),)}, {"m": (1,)}, clock, times=1, deadline_s=10, alive=alive)
    assert server.predicted == [1]


def test_states_are_told_as_a_person_reads_them() -> None:
    """What answers stands first and what is over last, or that the server knows none."""
    assert describe(LOADING) == "1 AVAILABLE, 2 LOADING"
    assert describe((VersionState(3, State.END), *LOADING)) == "1 AVAILABLE, 2 LOADING, 3 END"
    assert describe(()) == "not known to the server"
