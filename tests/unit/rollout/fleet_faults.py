"""What happens to a simulated fleet from outside, by hosts and by people, and how a run is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from hypothesis import strategies as st
from simulation.controller import HERE, desired
from simulation.host import Container
from simulation.world import POOLS, SERVICE, World

from fleetdeploy.domain.events import Event
from fleetdeploy.domain.observed import VersionOnDisk
from fleetdeploy.domain.playbook import OnFailure
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.planning.container import previous_name

HOSTS = ("gpu1", "gpu2", "gpu3")
THERE = "you@there"
"""Who starts runs on another controller."""
CANARY = "canary-of-a-secret"
GOOD = (1, 2, 3, 4)
BAD = 9
"""A version that is AVAILABLE and answers nothing."""
STRANGE = 77
"""A version directory that nobody of ours made."""
ROTTEN = {"saved_model.pb": 1}
LOAD_S = 1.0
IMAGES = ("serving:1", "serving:2")


def _wanted(number: int, image: str) -> DesiredService:
    secret = Secret(lambda: CANARY, note=lambda _: None, where="test")
    return desired(number, image=image, environment={"API": secret})


EVERYTHING = {(number, image): _wanted(number, image) for number in (*GOOD, BAD) for image in IMAGES}
FIRST = EVERYTHING[1, IMAGES[0]]
WANTED = st.sampled_from([key for key in EVERYTHING if key != (BAD, "serving:2")])
"""What to deploy, as the key of it: examples are easier to read."""
ANY_HOST = st.sampled_from(HOSTS)
SOME_HOSTS = st.sets(ANY_HOST, min_size=1, max_size=2)
RECORDS = st.integers(1, 60)
MOMENTS = st.tuples(st.sampled_from(("balancer.drain", "serving.reload", "balancer.undrain")), st.integers(1, 4))
"""Right before which call of a run a person puts its host into maintenance."""
Point = tuple[str, int]
POINTS = st.one_of(st.tuples(st.just("acts"), st.integers(1, 45)), st.tuples(st.just("calls"), st.integers(1, 130)))
"""Where in a run something happens: most of what matters is between two acts."""


@dataclass(frozen=True)
class How:
    """How a run is given. ``most`` is its ``max_unavailable``; with ``mended`` nothing is wrong as it begins."""

    watched: bool = False
    on_failure: OnFailure = OnFailure.REVERT
    allow_unreachable: bool = False
    most: int = 1
    again: bool = True
    owner: str = HERE
    mended: bool = False


HOWS = st.builds(
    How,
    watched=st.booleans(),
    on_failure=st.sampled_from((OnFailure.REVERT, OnFailure.REVERT_ALL)),
    allow_unreachable=st.booleans(),
    most=st.sampled_from((1, 1, 2)),
    again=st.sampled_from((True, True, False)),
    mended=st.booleans(),
)
PLAIN = How()


def full_from(record: int) -> Callable[[Event], None]:
    """A journal whose disk is full from that record on."""
    seen: list[Event] = []

    def write(event: Event) -> None:
        seen.append(event)
        if len(seen) >= record:
            raise OSError(28, "No space left on device")

    return write


def rot(world: World, host: str, number: int) -> VersionOnDisk | None:
    """One version's files are cut short, if it is there: what it was before."""
    there = world.hosts[host].directory(SERVICE).versions.get("ranker", {})
    found = there.get(number)
    if found is None or found.sizes_bytes == ROTTEN:
        return None
    there[number] = replace(found, sizes_bytes=ROTTEN)
    return found


def mend(world: World, rotten: Mapping[tuple[str, int], VersionOnDisk]) -> None:
    """Rotten files are put back from elsewhere; the directories of a server that runs are not taken away."""
    for (host, number), whole in rotten.items():
        there = world.hosts[host].directory(SERVICE).versions["ranker"]
        if number in there and there[number].sizes_bytes == ROTTEN:
            there[number] = whole


def strange_files(world: World, host: str) -> None:
    """A version directory that has no manifest of ours."""
    there = world.hosts[host].directory(SERVICE).versions.setdefault("ranker", {})
    there[STRANGE] = VersionOnDisk(STRANGE, "", {"somebody's": 1})


def strange_container(world: World, host: str) -> str:
    """Somebody else's container under the name that a kept one would get, if there is none: its id, or ""."""
    sim = world.hosts[host]
    name = previous_name(SERVICE)
    ours = next(iter(sim.containers.values()), None)
    if name in sim.containers or ours is None:
        return ""
    sim.made += 1
    made = Container(replace(ours.spec, name=name), {}, id=f"{host}-foreign-{sim.made}", status="exited")
    sim.containers[name] = made
    return made.id


def is_armed(world: World, host: str) -> bool:
    """Whether its watchdog counts down."""
    watch = world.hosts[host].directory(SERVICE).watch
    return watch is not None and watch.state is WatchState.ARMED


def ours_to_put_back(world: World, host: str) -> bool:
    return world.hosts[host].directory(SERVICE).drained_by is not None


def by_hand(world: World, host: str, *, out: bool) -> None:
    """A person drains a host in its balancer, or puts it back."""
    pools = {(pool, host) for pool in POOLS}
    world.drained = world.drained | pools if out else world.drained - pools
    world.record()


def maintenance(world: World, host: str, *, over: str = "") -> None:
    """A person puts a host into maintenance in its balancer, which ends a drain, ours as well. It is ``over`` with
    ``ready`` or ``drain``.
    """
    pools = {(pool, host) for pool in POOLS}
    world.drained = world.drained | pools if over == "drain" else world.drained - pools
    world.maintenance = world.maintenance - pools if over else world.maintenance | pools
    world.record()


def reboot_whole(world: World, host: str) -> None:
    """Off and on again, and its server has loaded everything by then."""
    world.hosts[host].reboot()
    world.clock.skip(2 * LOAD_S)
    world.record()
