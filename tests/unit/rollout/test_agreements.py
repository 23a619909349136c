"""What the hosts of a run share where one of them acts for all: who does it, who waits, and how it ends for those."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from fleetdeploy.errors import Held, HostError, Interrupted, LeaseLost, RemoteCommandFailed
from fleetdeploy.rollout.agreements import Agreements
from fleetdeploy.rollout.work import Call
from fleetdeploy.tasks import registry

LONG_S = 30.0
ONCE = Call(registry()["run"], registry()["run"].arguments(argv=["x"]), once=True)  # type: ignore[call-arg]


class Hosts:
    """Hosts that come to a task that one of them does for all, each in a thread of its own."""

    def __init__(self) -> None:
        self.shared = Agreements()
        self.done = list[str]()
        self.ended: dict[str, BaseException | None] = {}
        self._threads: dict[str, threading.Thread] = {}

    def come(self, name: str, do: Callable[[], None] = lambda: None, ready: Callable[[], None] = lambda: None) -> None:
        def act() -> None:
            self.done.append(name)
            do()

        def work() -> None:
            try:
                self.shared.forward(ONCE, name, act, ready)
                self.ended[name] = None
            except BaseException as error:  # noqa: BLE001  it is what the test looks at
                self.ended[name] = error

        self._threads[name] = threading.Thread(target=work, daemon=True)
        self._threads[name].start()

    def over(self) -> Mapping[str, BaseException | None]:
        """How it ended for each of them."""
        for thread in self._threads.values():
            thread.join(LONG_S)
        assert self.ended.keys() == self._threads.keys(), "somebody still waits"
        return self.ended


class AtWork:
    """What the first host does: it has ``begun``, and ends with ``error`` as soon as it may ``go`` on."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.begun, self.go = threading.Event(), threading.Event()
        self._error = error

    def __call__(self) -> None:
        self.begun.set()
        assert self.go.wait(LONG_S)
        if self._error is not None:
            raise self._error


def asks(waits: threading.Event, error: Exception | None = None) -> Callable[[], None]:
    """``ready`` of a host that waits: it is asked again and again, and raises ``error`` at the second time."""
    times = list[None]()

    def ready() -> None:
        times.append(None)
        if len(times) > 1:
            waits.set()
            if error is not None:
                raise error

    return ready


@pytest.mark.parametrize(
    ("error", "done"),
    [
        (None, ["gpu1"]),
        (Interrupted("stopped by SIGINT", signal_number=2), ["gpu1", "gpu2"]),
        (Held("not agreed to"), ["gpu1", "gpu2"]),
        (ZeroDivisionError("a bug"), ["gpu1", "gpu2"]),
    ],
)
def test_a_host_that_stops_at_it_leaves_it_to_the_next(error: BaseException | None, done: list[str]) -> None:
    """What says nothing of the task is no result of it: who waits does it in its place."""
    hosts, first = Hosts(), AtWork(error)
    hosts.come("gpu1", first)
    assert first.begun.wait(LONG_S)
    hosts.come("gpu2", ready=asks(first.go))
    assert hosts.over() == {"gpu1": error, "gpu2": None}
    assert hosts.done == done


def test_who_waits_fails_with_the_one_it_waits_for() -> None:
    """Its reason names that host and what went wrong there; so it is for whoever comes later."""
    error = RemoteCommandFailed("x ended with status 1", hint="run it by hand on that host")
    hosts, first = Hosts(), AtWork(error)
    hosts.come("gpu1", first)
    assert first.begun.wait(LONG_S)
    hosts.come("gpu2", ready=asks(first.go))
    second = hosts.over()["gpu2"]
    assert isinstance(second, HostError)
    assert (second.where, second.hint) == ("gpu2", "run it by hand on that host")
    assert second.message == "gpu1 failed at `run`, which it did for all hosts: x ended with status 1"
    with pytest.raises(HostError, match="gpu1 failed"):
        hosts.shared.check(ONCE, "gpu3")
    assert hosts.done == ["gpu1"]


def test_who_waits_heeds_the_runs_end() -> None:
    """It gives up while the other one is still at it."""
    hosts, first, waits = Hosts(), AtWork(), threading.Event()
    hosts.come("gpu1", first)
    assert first.begun.wait(LONG_S)
    error = Interrupted("stopped by SIGINT", signal_number=2)
    hosts.come("gpu2", ready=asks(waits, error))
    assert waits.wait(LONG_S)
    first.go.set()
    assert hosts.over() == {"gpu1": None, "gpu2": error}
    assert hosts.done == ["gpu1"]


def test_a_host_that_may_not_begin_has_not_begun_it() -> None:
    """One that has lost its lease holds up nobody."""
    hosts, error = Hosts(), LeaseLost("another run has it", where="gpu1")

    def ready() -> None:
        raise error

    hosts.come("gpu1", ready=ready)
    assert hosts.over() == {"gpu1": error}
    hosts.come("gpu2")
    assert hosts.over() == {"gpu1": error, "gpu2": None}
    assert hosts.done == ["gpu2"]


def test_after_its_failure_a_host_waits_for_nobody() -> None:
    """What another one is at is left to it."""
    hosts, first = Hosts(), AtWork()
    hosts.come("gpu1", first)
    assert first.begun.wait(LONG_S)
    hosts.shared.afterwards(ONCE, "gpu2", lambda: hosts.done.append("gpu2"))
    first.go.set()
    assert hosts.over() == {"gpu1": None}
    assert hosts.done == ["gpu1"]


def test_while_it_is_undone_whoever_comes_waits_and_then_does_it() -> None:
    """Nobody relies on what is on its way back."""
    hosts, waits = Hosts(), threading.Event()
    hosts.come("gpu1")
    hosts.over()
    with hosts.shared.taken_back(ONCE, "gpu1"):
        hosts.come("gpu2", ready=asks(waits))
        assert waits.wait(LONG_S)
        assert hosts.done == ["gpu1"]
    assert hosts.over() == {"gpu1": None, "gpu2": None}
    assert hosts.done == ["gpu1", "gpu2"]
    with hosts.shared.taken_back(ONCE, "gpu1"):  # what another one has done by now is not this one's to take back
        hosts.shared.forward(ONCE, "gpu3", lambda: hosts.done.append("gpu3"), lambda: None)
    assert hosts.done == ["gpu1", "gpu2"]
