"""A fleet through which everything goes wrong in any order, while its operator runs the same commands again.

After each rule all invariants are checked; at the end everything is mended, and one more run has to converge.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule
from simulation.controller import HERE, deploy
from simulation.model_server import Quality
from simulation.wire import Trouble
from simulation.world import POOLS, SERVICE, converged

from fleetdeploy.domain.playbook import OnFailure

from .fleet_faults import (
    ANY_HOST,
    BAD,
    EVERYTHING,
    FIRST,
    GOOD,
    HOSTS,
    HOWS,
    LOAD_S,
    MOMENTS,
    POINTS,
    RECORDS,
    SOME_HOSTS,
    THERE,
    WANTED,
    How,
    Point,
    by_hand,
    full_from,
    is_armed,
    maintenance,
    ours_to_put_back,
    reboot_whole,
    rot,
    strange_container,
    strange_files,
)
from .fleet_life import FleetLife
from .test_leases import snapshot

pytestmark = pytest.mark.simulation
NIGHTLY = settings.get_profile("unit").max_examples > 25
Key = tuple[int, str]
KINDS = st.sampled_from(("refuse", "drop", "lose", "signal", "bug"))


def _at(point: Point, kind: str, meanwhile: Callable[[str], object] = lambda _: None) -> Trouble:
    count, number = point
    return Trouble(kind, number, meanwhile=meanwhile, count=count)


class FleetMachine(FleetLife):
    """The rules."""

    @initialize()
    def a_first_deploy(self) -> None:
        for host in self.world.hosts.values():
            host.quality["ranker", BAD] = Quality.NO_VARIABLES
            host.load_s = LOAD_S  # what a reload was answered with is no proof yet
        run = self.run(self.wanted)
        assert run is not None
        assert run.code == 0

    # What an operator, or cron, does

    @rule(wanted=WANTED, how=HOWS)
    def deploys(self, wanted: Key, how: How) -> None:
        self.wanted = EVERYTHING[wanted]
        self.run(self.wanted, how)

    @rule()
    def runs_it_again(self) -> None:
        self.run(self.wanted)

    @rule(how=HOWS)
    def goes_back(self, how: How) -> None:
        self.run(self.wanted, how, back=True)

    @rule(wanted=WANTED, how=HOWS, kind=KINDS, point=POINTS, back=st.booleans())
    def runs_in_trouble(self, wanted: Key, how: How, kind: str, point: Point, back: bool) -> None:
        self.wanted = self.wanted if back else EVERYTHING[wanted]
        self.run(self.wanted, how, _at(point, kind), back=back)

    @rule(wanted=WANTED, how=HOWS, point=POINTS | st.tuples(st.just("records"), RECORDS), back=st.booleans())
    def is_killed(self, wanted: Key, how: How, point: Point, back: bool) -> None:
        self.wanted = self.wanted if back else EVERYTHING[wanted]
        self.run(self.wanted, how, _at(point, "kill"), back=back)

    @rule(wanted=WANTED, how=HOWS, record=RECORDS)
    def has_no_room_for_its_journal(self, wanted: Key, how: How, record: int) -> None:
        self.wanted = EVERYTHING[wanted]
        self.run(self.wanted, how, sinks=[full_from(record)])

    @rule()
    def only_looks(self) -> None:
        before = [snapshot(self.world, name) for name in HOSTS]
        run = deploy(self.world, self.wanted, check=True, allow_unreachable=True, debts=self.debts[HERE])
        self.wrong.add("I13", run.acts)
        if [snapshot(self.world, name) for name in HOSTS] != before:
            self.wrong.add("I13", ["a plan changed a host"])

    # What happens in the middle of a run

    @rule(wanted=WANTED, how=HOWS, point=POINTS)
    def a_host_reboots_meanwhile(self, wanted: Key, how: How, point: Point) -> None:
        def reboot(name: str) -> None:
            if name in HOSTS and self.world.hosts[name].reachable:
                reboot_whole(self.world, name)

        self.wanted = EVERYTHING[wanted]
        self.run(self.wanted, how, _at(point, "meanwhile", reboot))

    @rule(wanted=WANTED, how=HOWS, point=POINTS, hosts=SOME_HOSTS)
    def several_are_cut_off_meanwhile(self, wanted: Key, how: How, point: Point, hosts: set[str]) -> None:
        self.wanted = EVERYTHING[wanted]
        self.run(self.wanted, how, _at(point, "meanwhile", lambda _: self.loses_hosts_now(hosts)))

    @rule(wanted=WANTED, how=HOWS, point=POINTS, seconds=st.sampled_from((30.0, 90.0, 86_400.0)))
    def time_jumps_meanwhile(self, wanted: Key, how: How, point: Point, seconds: float) -> None:
        self.wanted = EVERYTHING[wanted]
        self.run(self.wanted, how, _at(point, "meanwhile", lambda _: self.world.clock.skip(seconds)))

    @rule(wanted=WANTED, other=WANTED, how=HOWS, point=POINTS, seconds=st.sampled_from((0.0, 30.0, 90.0)))
    def another_controller_comes_in(self, wanted: Key, other: Key, how: How, point: Point, seconds: float) -> None:
        """It deploys something else; by then the first one has slept for ``seconds``."""
        self.wanted = EVERYTHING[wanted]

        def come_in(_: str) -> None:
            self.world.clock.skip(seconds)
            self.second(EVERYTHING[other], How(owner=THERE, most=how.most))

        self.run(self.wanted, how, _at(point, "meanwhile", come_in), alone=False)

    @rule(wanted=WANTED, how=HOWS, point=MOMENTS | POINTS, back=st.booleans())
    def a_person_sets_maintenance_meanwhile(self, wanted: Key, how: How, point: Point, back: bool) -> None:
        self.wanted = self.wanted if back else EVERYTHING[wanted]
        self.run(self.wanted, how, _at(point, "meanwhile", self.a_person_has_it_in_maintenance), back=back)

    def a_person_has_it_in_maintenance(self, name: str) -> None:
        if name in HOSTS and name not in self.withheld:
            maintenance(self.world, name)
            self.maintained.add(name)

    # What happens between two runs

    @rule(hosts=SOME_HOSTS)
    def loses_hosts(self, hosts: set[str]) -> None:
        self.loses_hosts_now(hosts)

    def loses_hosts_now(self, hosts: set[str]) -> None:
        for name in hosts:
            self.world.hosts[name].reachable = False

    @rule()
    def finds_hosts_again(self) -> None:
        self.finds_them_again()

    @rule(host=ANY_HOST)
    def reboots(self, host: str) -> None:
        reachable = self.world.hosts[host].reachable
        reboot_whole(self.world, host)
        self.world.hosts[host].reachable = reachable

    @rule(host=ANY_HOST, full=st.booleans())
    def fills_a_disk(self, host: str, full: bool) -> None:
        self.world.hosts[host].full = full

    @rule(lie=st.sampled_from(("", "drain", "undrain")))
    def the_balancer_lies(self, lie: str) -> None:
        self.world.lies = {lie} - {""}

    @rule(down=st.booleans())
    def the_balancer_is_out_of_reach(self, down: bool) -> None:
        self.world.balancer_down = down

    @rule()
    def the_balancer_begins_anew(self) -> None:
        """It knows of no drain, maintenance or note any longer, whoever they were of. A watchdog that goes off then
        restarts what gets requests: it is none of the balancer's.
        """
        if any(is_armed(self.world, name) for name in HOSTS):
            return
        self.world.drained, self.world.maintenance, self.world.notes = set(), set(), {}
        self.withheld, self.maintained = set(), set()
        self.world.record()

    @rule(host=ANY_HOST, number=st.sampled_from(GOOD))
    def a_version_rots(self, host: str, number: int) -> None:
        whole = rot(self.world, host, number)
        if whole:
            self.rotten[host, number] = whole

    @rule(host=ANY_HOST)
    def somebody_leaves_files(self, host: str) -> None:
        strange_files(self.world, host)
        self.strange.add(host)

    @rule(host=ANY_HOST)
    def somebody_takes_the_name_of_a_kept_container(self, host: str) -> None:
        made = strange_container(self.world, host)
        if made:
            self.foreign[host, f"fleetdeploy-{SERVICE}.previous"] = made

    @precondition(lambda self: self.foreign)
    @rule()
    def they_take_it_away(self) -> None:
        self.foreign_things_go()

    @rule(host=ANY_HOST)
    def a_person_drains(self, host: str) -> None:
        ours = any((pool, host) in self.world.drained for pool in POOLS) or ours_to_put_back(self.world, host)
        if not ours and host not in self.debtors | self.maintained:
            by_hand(self.world, host, out=True)
            self.withheld.add(host)

    @rule(host=ANY_HOST)
    def a_person_sets_maintenance(self, host: str) -> None:
        self.a_person_has_it_in_maintenance(host)

    @precondition(lambda self: self.by_hand)
    @rule()
    def a_person_puts_back(self) -> None:
        self.withheld_hosts_come_back()

    @rule(seconds=st.sampled_from((1.0, 90.0, 86_400.0)))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.skip(seconds)
        self.world.record()

    @rule()
    def somebody_mends_everything(self) -> None:
        self.everything_is_mended()

    def teardown(self) -> None:
        """I5: with everything healed the same command converges; once more, and nothing is done."""
        self.everything_is_mended()
        self.wanted = FIRST if self.wanted is EVERYTHING[BAD, "serving:1"] else self.wanted
        if self.debts[THERE].kept:  # only the controller that remembers it knows that it drained the host
            self.run(self.wanted, How(owner=THERE))
        again = self.run(self.wanted)
        assert again is not None
        assert again.code == 0, again.last_line
        assert converged(self.world, self.wanted) == []
        third = self.run(self.wanted)
        assert third is not None
        assert (third.code, third.acts) == (0, [])
        assert self.wrong.found == {name: [] for name in self.wrong.found}


TestFleet = FleetMachine.TestCase
TestFleet.settings = settings(
    max_examples=500 if NIGHTLY else 25,
    stateful_step_count=60 if NIGHTLY else 20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


# Sequences that were found, each with what it was about

Event = Callable[[FleetMachine], object]
ALL_BACK = OnFailure.REVERT_ALL


def cut_short_twice(act: int, record: int, *, without: Collection[str] = ()) -> tuple[Event, ...]:
    """A run, ``without`` hosts that are not there, is killed at an act; when they are back the next one, for the same,
    has no room for this record of its journal.
    """
    wanted, how = (4, "serving:1"), How(allow_unreachable=True, most=2) if without else How()
    events: list[Event] = [
        lambda fleet: fleet.is_killed(wanted, how, ("acts", act), back=False),
        lambda fleet: fleet.time_passes(90.0),
        lambda fleet: fleet.has_no_room_for_its_journal(wanted, How(), record),
    ]
    if without:
        events.insert(0, lambda fleet: fleet.loses_hosts(set(without)))
        events.insert(2, lambda fleet: fleet.finds_hosts_again())
    return tuple(events)


FOUND: dict[str, tuple[Event, ...]] = {
    "a rollout that fails puts back by the way whom the run before it, overtaken, had drained": (
        lambda fleet: fleet.another_controller_comes_in(
            (3, "serving:1"),
            (BAD, "serving:1"),
            How(on_failure=ALL_BACK, allow_unreachable=True, most=2),
            ("calls", 62),
            90.0,
        ),
    ),
    "what an overtaken run left unproven is none that anybody goes back to": (
        lambda fleet: fleet.deploys((2, "serving:2"), How()),
        lambda fleet: fleet.another_controller_comes_in(
            (3, "serving:2"), (BAD, "serving:1"), How(allow_unreachable=True), ("calls", 114), 90.0
        ),
    ),
    "a host that owes stays out of its balancer when a rollout is taken back, and says so": (
        lambda fleet: fleet.deploys((3, "serving:1"), How()),
        lambda fleet: fleet.several_are_cut_off_meanwhile((1, "serving:1"), How(watched=True), ("calls", 82), {"gpu1"}),
        lambda fleet: fleet.finds_them_again(),
        lambda fleet: fleet.time_jumps_meanwhile(
            (BAD, "serving:1"),
            How(watched=True, on_failure=ALL_BACK, allow_unreachable=True, most=2),
            ("calls", 100),
            30.0,
        ),
    ),
    "somebody leaves files in a directory that is pruned, and takes the name of a kept container": (
        lambda fleet: fleet.somebody_leaves_files("gpu1"),
        lambda fleet: fleet.somebody_takes_the_name_of_a_kept_container("gpu2"),
        *(lambda fleet, number=number: fleet.deploys((number, "serving:1"), How()) for number in (2, 3, 4, 1)),
        lambda fleet: fleet.deploys((4, "serving:2"), How()),
    ),
    "a host that needed nothing does not make a fleet mixed": cut_short_twice(13, 43),
    "a host that only had to be put back does not make a fleet mixed": cut_short_twice(10, 54, without={"gpu1"}),
    "nor does it when the run ends while it is tidied up": cut_short_twice(10, 57, without={"gpu1"}),
    "a host that an earlier run left unproven goes back to its record when the run is stopped": cut_short_twice(
        7, 30, without={"gpu1"}
    ),
    "a marker alone does not make a host one that is out already": (
        lambda fleet: fleet.deploys((2, "serving:2"), How()),
        lambda fleet: fleet.is_killed((2, "serving:1"), How(), ("acts", 26), back=True),
        lambda fleet: fleet.a_person_drains("gpu1"),
        lambda fleet: fleet.time_passes(90.0),
        lambda fleet: fleet.goes_back(How()),
    ),
    "a host that owes is kept out once more by a run that has switched nobody over": (
        lambda fleet: fleet.several_are_cut_off_meanwhile((3, "serving:1"), How(), ("acts", 15), {"gpu2"}),
        lambda fleet: fleet.finds_hosts_again(),
        lambda fleet: fleet.several_are_cut_off_meanwhile((1, "serving:1"), How(), ("acts", 4), {"gpu2", "gpu3"}),
        lambda fleet: fleet.finds_hosts_again(),
        lambda fleet: fleet.the_balancer_begins_anew(),
        lambda fleet: fleet.several_are_cut_off_meanwhile((1, "serving:1"), How(), ("acts", 1), {"gpu2"}),
    ),
    "a host that is proven at last makes a fleet mixed whose others did not follow": cut_short_twice(10, 40),
}


@pytest.mark.parametrize("what", FOUND)
def test_what_was_found_once_stays_found(what: str) -> None:
    """Every sequence that a search found, or that is too rare for one, is played again, with all that has to hold."""
    fleet = FleetMachine()
    fleet.a_first_deploy()
    for event in FOUND[what]:
        event(fleet)
        fleet.check_all()
    fleet.teardown()
