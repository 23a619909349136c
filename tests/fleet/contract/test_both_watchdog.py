"""The watchdog: each case on a simulated host, where time passes at once, and on one of the lab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from fleetdeploy.domain.lease import Holder
from fleetdeploy.domain.observed import Absent, Present, Reading
from fleetdeploy.domain.service import LABEL_SERVICE, ServiceWish
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import HostError, LeaseLost, Unreachable
from fleetdeploy.planning.container import previous_name
from tests.fleet.contract.places import Place, Server, config, release

LONG_S, SHORT_S = 600.0, 2.0
RUN, NEXT = "run-1", "r2-00ff"
ANN = Holder(RUN, "ann@one")


@pytest.fixture
def wish(place: Place) -> Iterator[ServiceWish]:
    """A service with a release to go back to, and no container; afterwards nothing counts down."""
    made = place.wish()
    place.session.files(made).write_release(release("r1", made, text="before\n"))
    place.session.files(made).write_config("after\n")
    yield made
    place.session.watchdog(made).disarm()


def arm(place: Place, wish: ServiceWish, *, run: str = RUN) -> None:
    back = release("r1", wish, text="before\n", spec=place.spec(wish))
    place.session.watchdog(wish).arm(back, run=run, release=NEXT, after_s=LONG_S)


def told(found: Reading[Watch] | Watch | None) -> tuple[WatchState, str, str] | None:
    """A watch without its reason, which is for people."""
    watch = found.value if isinstance(found, Present) else found
    return (watch.state, watch.run, watch.release) if isinstance(watch, Watch) else None


def test_armed_it_is_seen(place: Place, wish: ServiceWish) -> None:
    """A look tells whose it is and over which release; armed again it is the last one's; nothing else changes."""
    assert place.seen(wish).watch == Absent()
    for run in (RUN, "run-2"):
        arm(place, wish, run=run)
        assert told(place.seen(wish).watch) == (WatchState.ARMED, run, NEXT)
    assert place.seen(wish).config_text == Present("after\n")


def test_disarmed_it_leaves_nothing(place: Place, wish: ServiceWish) -> None:
    """Whoever armed it; what this call ended has no verdict, and without one there is nothing to end."""
    dog = place.session.watchdog(wish)
    assert dog.disarm() is None
    arm(place, wish)
    for _ in range(2):
        assert place.controller().watchdog(wish).disarm() is None
        assert place.seen(wish).watch == Absent()


def test_confirmed_it_goes_back_no_more(place: Place, wish: ServiceWish) -> None:
    """The verdict is there to be read, by a disarm as well; to confirm again is no error; armed anew it counts down."""
    dog = place.session.watchdog(wish)
    arm(place, wish)
    for _ in range(2):
        dog.confirm(run=RUN, deadline_s=20)
        assert told(place.seen(wish).watch) == (WatchState.CONFIRMED, RUN, NEXT)
    assert told(dog.disarm()) == (WatchState.CONFIRMED, RUN, NEXT)
    arm(place, wish)
    assert told(place.seen(wish).watch) == (WatchState.ARMED, RUN, NEXT)


def test_there_must_be_something_to_confirm(place: Place, wish: ServiceWish) -> None:
    """Where nothing was armed, it was disarmed, or is another run's: HostError, and what is armed stays."""
    dog = place.session.watchdog(wish)

    def refused() -> None:
        with pytest.raises(HostError):
            dog.confirm(run="run-9", deadline_s=20)

    refused()
    arm(place, wish)
    refused()
    assert told(place.seen(wish).watch) == (WatchState.ARMED, RUN, NEXT)
    dog.disarm()
    refused()


def test_an_arm_whose_answer_was_lost_counts_down(place: Place, wish: ServiceWish) -> None:
    """It is armed although nobody heard so, and armed again it is armed once."""
    back = release("r1", wish, text="before\n", spec=place.spec(wish))
    dog = place.losing_answers().watchdog(wish)
    with pytest.raises(Unreachable):
        dog.arm(back, run=RUN, release=NEXT, after_s=LONG_S)
    assert told(place.seen(wish).watch) == (WatchState.ARMED, RUN, NEXT)
    dog.arm(back, run=RUN, release=NEXT, after_s=LONG_S)
    assert dog.disarm() is None
    assert place.seen(wish).watch == Absent()


def fired(place: Place, server: Server) -> None:
    """Wait until its time is over and it has done what it does."""

    def done() -> bool:
        now = told(place.seen(server.wish).watch)
        return now is not None and now[0] is not WatchState.ARMED

    place.until(done, "the watchdog has a verdict")


def test_not_told_in_time_it_loads_the_release_before(place: Place, server: Server) -> None:
    """After a reload: file, record, history and versions of before, in the same container; the run has lost its lease,
    and cannot confirm.
    """
    files, before = place.session.files(server.wish), release("r1", server.wish, text=config(1), spec=server.spec)
    files.write_release(before)
    made = place.session.containers().inspect(server.spec.name)
    ann = place.controller()
    ann.leases().take([server.wish], ANN, ttl_s=300)
    dog = ann.watchdog(server.wish)
    dog.arm(before, run=RUN, release=NEXT, after_s=SHORT_S)
    ann.files(server.wish).write_config(config(2))
    server.reload(config(2))
    newer = [replace(release(name, server.wish, text=config(2)), models={"ranker": (2,)}) for name in ("r3", "r2")]
    for item in newer:
        ann.files(server.wish).write_release(item)
    assert newer[-1].id == NEXT
    fired(place, server)
    seen, now = place.seen(server.wish), place.session.containers().inspect(server.spec.name)
    assert told(seen.watch) == (WatchState.RESTORED, RUN, NEXT)
    assert (seen.config_text, seen.release, seen.lease) == (Present(config(1)), Present(before), Absent())
    assert isinstance(seen.history, Present)
    assert [item.id for item in seen.history.value] == [before.id, newer[0].id], "what was not confirmed goes alone"
    assert [files.read_release(item.id) for item in newer] == [newer[0], None]
    assert made is not None
    assert now is not None
    assert (now.id, now.running) == (made.id, True)
    server.await_shown(v1="AVAILABLE")
    with pytest.raises(HostError):
        dog.confirm(run=RUN, deadline_s=20)
    with pytest.raises(LeaseLost, match="the host's watchdog"):
        ann.files(server.wish).write_config("late")
    assert told(place.controller().watchdog(server.wish).disarm()) == (WatchState.RESTORED, RUN, NEXT)
    ann.leases().release([server.wish], ANN)


def test_not_told_in_time_it_takes_the_container_before(place: Place, server: Server) -> None:
    """After a replacement: the newcomer goes, and the kept container runs under its name again."""
    containers, spec = place.session.containers(), server.spec
    before = release("r1", server.wish, text=config(1), spec=spec)
    place.session.files(server.wish).write_release(before)
    made = containers.inspect(spec.name)
    place.session.watchdog(server.wish).arm(before, run=RUN, release=NEXT, after_s=SHORT_S)
    containers.stop(spec.name, grace_s=1)
    containers.rename(spec.name, previous_name(server.wish.name))
    newcomer = replace(spec, environment={**spec.environment, "NEW": "1"})
    containers.create_and_start(newcomer, {LABEL_SERVICE: server.wish.name})
    fired(place, server)
    seen, now = place.seen(server.wish), containers.inspect(spec.name)
    assert told(seen.watch) == (WatchState.RESTORED, RUN, NEXT)
    assert (seen.previous, seen.config_text) == (Absent(), Present(config(1)))
    assert made is not None
    assert now is not None
    assert (now.id, now.running) == (made.id, True)
    server.await_shown(v1="AVAILABLE")
