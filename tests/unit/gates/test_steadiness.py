# ruff: noqa: ARG002  the signatures are those of the Serving protocol
"""Watching a server that is healthy now."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.domain.observed import ContainerFacts, State, VersionState
from fleetdeploy.errors import NotHealthy
from fleetdeploy.gates.readiness import keeps_running
from fleetdeploy.gates.steadiness import stays_available

WELL = (VersionState(2, State.AVAILABLE), VersionState(1, State.END))
GONE = (VersionState(2, State.END),)


class Scripted:
    """A server that says one thing after the other, the last one for ever."""

    def __init__(self, *states: Sequence[VersionState]) -> None:
        self.states, self.asked = list(states), 0

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        self.asked += 1
        return tuple(self.states.pop(0) if len(self.states) > 1 else self.states[0])


def watch(serving: Any, clock: VirtualClock, *, for_s: float, over: object = None, alive: object = None) -> None:
    stays_available(
        serving, {"m": (2,)}, clock, for_s=for_s,
        alive=alive or (lambda: None), over=over or (lambda: False),  # type: ignore[arg-type]
    )  # fmt: skip


def test_it_is_watched_for_the_whole_time() -> None:
    """Looks stand half a second apart and fill the time, however short the last one is."""
    server, clock = Scripted(WELL), VirtualClock()
    watch(server, clock, for_s=2.2)
    assert clock.monotonic_s() == pytest.approx(2.2)
    assert server.asked == 5


def test_one_bad_look_is_enough() -> None:
    """A version that comes back later has flapped all the same."""
    server, clock = Scripted(WELL, GONE, WELL), VirtualClock()
    with pytest.raises(NotHealthy, match="m was AVAILABLE and did not stay so for 60 s: version 2 is END"):
        watch(server, clock, for_s=60)
    assert clock.monotonic_s() == pytest.approx(1.0)


def test_an_interruption_spares_the_rest() -> None:
    """A run that shall end does not watch on."""
    server, clock = Scripted(WELL), VirtualClock()
    watch(server, clock, for_s=600, over=lambda: server.asked >= 3)
    assert clock.monotonic_s() == pytest.approx(1.5)


def test_a_server_that_falls_silent_is_told_by_its_container() -> None:
    """Docker sees its end a moment later, and knows the status and the count; without its word the silence is told."""

    class Silent(Scripted):
        def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
            raise NotHealthy("Socket closed")

    asked = list[float]()

    def alive() -> None:
        asked.append(clock.monotonic_s())
        if len(asked) == 3:
            raise NotHealthy("restarted 1 time")

    clock = VirtualClock()
    with pytest.raises(NotHealthy, match="restarted 1 time"):
        watch(Silent(), clock, for_s=60, alive=alive)
    with pytest.raises(NotHealthy, match="stopped answering while it was watched: Socket closed"):
        watch(Silent(), VirtualClock(), for_s=60)


FACTS = ContainerFacts("c", "id1", "image", "running", restart_count=1, started_at="noon")


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (None, "is gone"),
        (ContainerFacts("c", "id1", "image", "restarting", {}, 3, 255, "noon"), "restarted 2 times by Docker"),
        (ContainerFacts("c", "id1", "image", "running", {}, 2, 0, "one"), "is running, restarted 1 time by Docker"),
        (ContainerFacts("c", "id1", "image", "exited", {}, 1, 137, "noon"), "is exited"),
        (ContainerFacts("c", "id1", "image", "running", {}, 0, 0, "one"), "was restarted by somebody"),
        (ContainerFacts("c", "id2", "image", "running", {}, 0, 0, "one"), "is another one than before"),
    ],
)  # fmt: skip
def test_a_container_that_is_not_the_same_process_any_more_is_told(now: ContainerFacts | None, words: str) -> None:
    """Ended, looping, restarted by Docker or by a person, replaced: each with its count and status."""

    class Docker:
        found: ContainerFacts | None = FACTS

        def inspect(self, name: str) -> ContainerFacts | None:
            return self.found

    docker: Any = Docker()
    check = keeps_running(docker, "c")
    check()
    docker.found = now
    with pytest.raises(NotHealthy) as caught:
        check()
    assert words in caught.value.message
