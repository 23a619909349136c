"""How a play's refusal names the hosts that stand in its way."""

from __future__ import annotations

from dataclasses import replace

from simulation.controller import plays, sim_host
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import POOLS

from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Plan, Refusal
from fleetdeploy.rollout.capacity.admission import barriers, before_the_run
from fleetdeploy.rollout.emitter import Emitter
from fleetdeploy.rollout.foresight.forecast import forecast
from fleetdeploy.rollout.foresight.parts import afterwards, part_of
from fleetdeploy.rollout.preparation import unproven
from fleetdeploy.rollout.targets import Target, Targets

from .fleets import V2, settled

TWELVE = tuple(f"gpu{number}" for number in range(1, 13))


def seen(names: tuple[str, ...], out: tuple[str, ...] = ()) -> tuple[Plan, SimFleet]:
    """Hosts that need version 2, less those that the balancer has out and a person has drained."""
    world = settled(*names)
    world.drained |= {(pool, name) for pool in POOLS for name in out}
    fleet = SimFleet(world, Wire(world))
    targets = Targets({name: Target(sim_host(name), (V2,)) for name in names}, "T1")
    return targets.observe(fleet, Emitter("r", world.clock), forks=1), fleet


def test_many_hosts_are_named_in_the_inventory_s_order_and_shortened() -> None:
    """gpu2 comes before gpu10, the rest is a number, and nothing is lost: ``hosts`` has all."""
    plan, fleet = seen(TWELVE, TWELVE[1:])
    (bound,) = (bound for bound in plays(TWELVE) if bound.touches_traffic)
    (found,) = barriers(plan, bound, before_the_run(plan, fleet, [bound]))
    assert found.error.message.startswith("gpu2, gpu3, gpu4, gpu5, gpu6 and 6 more drained or in maintenance")
    assert found.hosts == TWELVE[1:]
    (told,) = forecast(plan, [bound], fleet, forks=8).refusals
    assert told.hosts == TWELVE[1:]


def test_a_refused_host_is_not_said_to_have_served() -> None:
    """It counts as out, as nobody knows better, and the sentence tells it from hosts that are out of service."""
    names = ("gpu1", "gpu2", "gpu3")
    plan, fleet = seen(names, ("gpu2",))
    refused = replace(plan.hosts["gpu2"], services=(), refusals=(Refusal("gpu2", "no space"),))
    plan = replace(plan, hosts={**plan.hosts, "gpu2": refused})
    found = forecast(plan, plays(names), fleet, forks=8)
    assert [item.message for item in found.refusals] == [
        "gpu2 refused and not known to serve, and max_unavailable is 1: gpu1 cannot be taken out as well"
    ]
    (play,) = (play for play in found.plays if play.refusals)
    assert play.bound
    assert {wave.service for wave in play.waves} == {None}
    assert play.expected is None


def test_of_a_host_that_no_balancer_names_its_marker_tells() -> None:
    """One that stands in none of its pools is out where a run has marked it; told otherwise it serves."""
    names = ("gpu1", "gpu2")
    plan, fleet = seen(names)
    fleet.world.unlisted.add("gpu2")
    assert before_the_run(plan, fleet, plays(names)).out == set()
    (service,) = plan.hosts["gpu2"].services
    marked = replace(service, observed=replace(service.observed, drained_by=Present("run-1")))
    plan = replace(plan, hosts={**plan.hosts, "gpu2": replace(plan.hosts["gpu2"], services=(marked,))})
    now = before_the_run(plan, fleet, plays(names))
    assert (now.out, now.told, now.withheld) == ({"gpu2"}, set(), set())


def test_plays_that_share_the_work_are_not_refused() -> None:
    """What one play drains and activates the next may prove and put back: the rule of proof looks across plays."""
    (plan, _), (bound,) = seen(("gpu1",)), (bound for bound in plays(("gpu1",)) if bound.touches_traffic)
    by_name = {call.task.name: call for call in bound.calls}
    first = replace(bound, calls=(by_name["drain"], by_name["activate"]), always=())
    proof = replace(bound, calls=(by_name["verify"],), always=())
    last = replace(bound, calls=(by_name["undrain"],), always=())
    host = replace(plan.hosts["gpu1"], services=(replace(plan.hosts["gpu1"].services[0], stage=()),))
    assert unproven((first, proof, last), host) == ()
    assert [item.message for item in unproven((proof,), host)] == [
        "what service 'ranking' shall serve is not active yet, so nothing can prove it"
    ]
    assert [item.message for item in unproven((first, last), host)] != []
    done = host
    for play in (first, proof):
        done = afterwards(done, part_of(done, play, changed=True, claimed=frozenset()))
    assert [work.name for work in part_of(done, last, changed=True, claimed=frozenset()).works] == ["undrain"]
