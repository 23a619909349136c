"""The same cases of leases on a host of the lab and on a simulated one: neither may do what the other does not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.lease import Holder, Lease
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.protocols import Fleet, HostSession
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.errors import LeaseLost, LockHeld, Unreachable
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.onlooker import make_new, on
from tests.simulation.fleet import SimFleet
from tests.simulation.wire import Wire
from tests.simulation.world import World

ANN, BOB = Holder("run-ann", "ann@one"), Holder("run-bob", "bob@two")
TTL_S = 300.0


@dataclass
class Place(ABC):
    """A host on which the cases are played; every controller has a fleet of its own."""

    host: Host
    wish: ServiceWish
    fleets: list[Fleet] = field(default_factory=list)

    @abstractmethod
    def controller(self) -> HostSession:
        """A session of one more controller."""

    @abstractmethod
    def expire(self) -> None:
        """Let the lease's time be over."""

    def lease(self) -> Lease | None:
        seen = self.controller().observe([self.wish]).services[self.wish.name].lease
        return seen.value if isinstance(seen, Present) else None


class Simulated(Place):
    world: World

    def controller(self) -> HostSession:
        self.fleets.append(SimFleet(self.world, Wire(self.world)))
        return self.fleets[-1].session(self.host)

    def expire(self) -> None:
        self.world.clock.wait(TTL_S)


class InTheLab(Place):
    lab: Lab

    def controller(self) -> HostSession:
        self.fleets.append(SshFleet())
        return self.fleets[-1].session(self.host)

    def expire(self) -> None:
        path = f"{self.wish.directory}/lock/holder"
        on(self.lab, self.host.name, "sed", "-i", "s/^ttl .*/ttl 0/", path)


def service(base: Path) -> ServiceWish:
    models = (ModelWish("ranker", base, VersionsWish((1,))),)
    return ServiceWish("ranking", "fleetdeploy/none:1", Ports(8500, 8501), "127.0.0.1", models)


def in_the_lab(lab: Lab, base: Path) -> InTheLab:
    at, paths = lab.host("gpu1"), lab.paths
    way = Connection(at.door_address, at.ssh_port, "root", paths.client_key, paths.known_hosts)
    found = InTheLab(Host("gpu1", way), service(base))
    found.lab = lab
    return found


@pytest.fixture(params=["simulated", "lab"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "simulated":
        found: Any = Simulated(Host("gpu1", Connection("gpu1")), service(tmp_path))
        found.world = World.of("gpu1")
        yield found
        return
    lab: Lab = request.getfixturevalue("lab")
    found = in_the_lab(lab, tmp_path)
    yield found
    for fleet in found.fleets:
        fleet.close()
    make_new(lab)


def taken(place: Place, holder: Holder) -> HostSession:
    session = place.controller()
    session.leases().take([place.wish], holder, ttl_s=TTL_S)
    return session


def change(place: Place, session: HostSession) -> None:
    session.files(place.wish).write_config("text\n")


def lost(act: Callable[[], object], why: str) -> None:
    """It is refused; the first try may find that the connection has ended, as the other one saw to that."""
    with pytest.raises((LeaseLost, Unreachable)) as first:
        act()
    if first.type is Unreachable:
        with pytest.raises(LeaseLost) as first:
            act()
    assert why in first.value.message


def test_one_at_a_time(place: Place) -> None:
    """Who holds it changes the host; another one neither takes it nor changes anything, and is told who has it."""
    ann = taken(place, ANN)
    change(place, ann)
    with pytest.raises(LockHeld, match="run run-ann of ann@one"):
        taken(place, BOB)
    with pytest.raises(LeaseLost, match="run run-ann of ann@one holds the lease"):
        change(place, place.controller())
    seen = place.lease()
    assert seen is not None
    assert (seen.holder, seen.fence, seen.live) == (ANN, 1, True)


def test_taken_twice_by_one_run_it_is_one_lease(place: Place) -> None:
    """The same run may ask again, as after an answer that was lost."""
    first, again = taken(place, ANN), taken(place, ANN)
    for session in (first, again):
        session.leases().check()
    seen = place.lease()
    assert seen is not None
    assert seen.fence == 1


def test_released_it_is_free(place: Place) -> None:
    """The next one gets it with a higher number, and the last one's is worth nothing."""
    ann = taken(place, ANN)
    ann.leases().release([place.wish], ANN)
    assert place.lease() is None
    taken(place, BOB)
    seen = place.lease()
    assert seen is not None
    assert (seen.holder, seen.fence) == (BOB, 2)


def test_late_but_not_overtaken_it_goes_on(place: Place) -> None:
    """A holder whose time is over, and whom nobody followed, renews and changes the host."""
    ann = taken(place, ANN)
    place.expire()
    seen = place.lease()
    assert seen is not None
    assert not seen.live
    ann.leases().check()
    change(place, ann)


def test_overtaken_it_changes_nothing_more(place: Place) -> None:
    """Its files, commands and checks are refused by name, also over a connection that was made again."""
    ann = taken(place, ANN)
    place.expire()
    bob = taken(place, BOB)
    for refused in (
        ann.leases().check,
        lambda: change(place, ann),
        lambda: ann.command(["true"], deadline_s=10),
        lambda: ann.containers().stop("fleetdeploy-ranking", grace_s=1),
    ):
        lost(refused, "run run-bob of bob@two took over")
    change(place, bob)


def test_what_is_on_its_way_ends_with_the_lease(lab: Lab, tmp_path: Path) -> None:
    """Who takes a lease over ends the connection of the last holder: a command of it does not go on."""
    place = in_the_lab(lab, tmp_path)
    ann = taken(place, ANN)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(ann.command, ["sh", "-c", "echo $$ >/tmp/late; sleep 60; touch /tmp/done"], deadline_s=90)
        wait_until(lambda: on(lab, "gpu1", "sh", "-c", "cat /tmp/late 2>&-; :"), "it has begun", deadline_s=30)
        pid = on(lab, "gpu1", "cat", "/tmp/late").strip()
        place.expire()
        taken(place, BOB)
        assert isinstance(late.exception(timeout=30), Unreachable)
    gone = ["sh", "-c", f"kill -0 {pid} 2>&- || echo gone"]
    wait_until(lambda: on(lab, "gpu1", *gone).strip() == "gone", "it has ended there too", deadline_s=30)
    on(lab, "gpu1", "rm", "/tmp/late")
    for fleet in place.fleets:
        fleet.close()
    make_new(lab)


def test_broken_it_changes_nothing_more(place: Place) -> None:
    """The holder is told who broke it and why; what was broken is returned; the next one takes it at once."""
    ann = taken(place, ANN)
    broken = place.controller().leases().break_all([place.wish], Holder("op", "op@desk"), reason="it hangs")
    assert {name: lease.holder for name, lease in broken.items()} == {"ranking": ANN}
    lost(lambda: change(place, ann), "op@desk broke the lease: it hangs")
    assert place.lease() is None
    taken(place, BOB)


def test_of_one_origin_it_is_taken_over_at_once(place: Place) -> None:
    """Whoever holds the lock that the last holder had does not wait; the last holder has lost it."""
    ann = taken(place, Holder("run-1", "ann@one", "00ff"))
    taken(place, Holder("run-2", "ann@one", "00ff"))
    lost(ann.leases().check, "run run-2 of ann@one")
