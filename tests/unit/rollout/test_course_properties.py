"""What holds for every play's course: who has a part in it, in which waves, and whether it may begin at all."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import desired, sim_host
from simulation.seen import empty_host, settled_host
from simulation.world import SERVICE

from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.outcome import FAILURES, HostState
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.domain.playbook import Play, Quantity
from fleetdeploy.planning.host import plan_host
from fleetdeploy.planning.waves import FailureBudget
from fleetdeploy.rollout.bound_play import BoundPlay
from fleetdeploy.rollout.capacity.admission import barriers
from fleetdeploy.rollout.capacity.in_service import Standing
from fleetdeploy.rollout.course import Progress, turn
from fleetdeploy.rollout.outcomes import Failures
from fleetdeploy.rollout.work import Call
from fleetdeploy.tasks import registry

from .capacity_scenes import End, Scene, played

PROPERTY = settings.get_profile("property")
V1, V2 = desired(1), desired(2)
STATES = ("behind", "done", "new", "stopped", "drained", "drained and done", "unreachable")
OUT = frozenset({"stopped", "drained", "drained and done", "unreachable"})
BUSY = frozenset({"behind", "new", "stopped", "drained", "drained and done"})
PERCENTAGES = st.sampled_from([0, 10, 20, 25, 50, 100]) | st.integers(0, 100)
SHARES = st.builds(Quantity, st.sampled_from([1, 34, 50, 67, 100]), st.just(True))


@cache
def host_plan(state: str) -> HostPlan:
    """The plan of a host in ``state`` that shall serve version 2."""
    observed = {"new": empty_host(V2), "done": settled_host(V2), "drained and done": settled_host(V2)}.get(
        state, settled_host(V1)
    )
    seen = observed.services[SERVICE]
    if state.startswith("drained"):
        seen = replace(seen, drained_by=Present("run-0"))
    if state == "stopped":
        assert isinstance(seen.container, Present)
        seen = replace(seen, container=Present(replace(seen.container.value, status="exited")))
        observed = replace(observed, listening=Present((22,)))
    plan = plan_host(sim_host("gpu1"), [V2], replace(observed, services={SERVICE: seen}), stamp="T1")
    assert plan.refusals == ()
    return plan


@dataclass(frozen=True)
class Fleet:
    """Hosts by name with their states, and the play that is to bring them to version 2."""

    states: Mapping[str, str]
    bound: BoundPlay

    @property
    def plan(self) -> Plan:
        plans = {name: replace(host_plan(state), host=sim_host(name)) for name, state in self.states.items()}
        there = {name: plan for name, plan in plans.items() if self.states[name] != "unreachable"}
        return Plan(there, {name: "timeout" for name in plans if name not in there})

    @property
    def out(self) -> frozenset[str]:
        return self.named(OUT)

    def named(self, states: frozenset[str]) -> frozenset[str]:
        return frozenset(name for name, state in self.states.items() if state in states)


@st.composite
def fleets(draw: st.DrawFn, done: int = 0) -> Fleet:
    """Up to seven hosts, all of the play's, at least so many of them ``done``."""
    mostly_behind = st.sampled_from(("behind", "behind", "behind", *STATES))
    drawn = draw(st.lists(mostly_behind, max_size=7 - done).map(lambda found: [*["done"] * done, *found]))
    states = {f"h{at}": state for at, state in enumerate(drawn)}
    play = Play(
        "p",
        "all",
        (),
        serial=tuple(draw(st.lists(st.builds(Quantity, st.integers(0, 4)) | SHARES, max_size=3))),
        max_unavailable=draw(st.builds(Quantity, st.integers(0, 7)) | SHARES),
        min_available=draw(st.just(Quantity(0)) | st.builds(Quantity, st.integers(0, 4)) | SHARES),
    )
    names = tuple(draw(st.permutations(list(states))))
    domains = {name: draw(st.sampled_from("xy")) for name in names} if draw(st.booleans()) else {}
    tasks = [registry()[name] for name in ("stage", "drain", "activate", "verify", "undrain")]
    calls = tuple(Call(task, task.arguments()) for task in tasks)
    return Fleet(states, BoundPlay(play, names, {name: sim_host(name) for name in names}, calls, (), domains))


@PROPERTY
@given(fleet=fleets(), lost=st.sets(st.sampled_from([f"h{at}" for at in range(7)]), max_size=2), data=st.data())
def test_waves_have_every_busy_host_once_and_the_repaired_ones_first(
    fleet: Fleet, lost: set[str], data: st.DataObject
) -> None:
    """Who has work and was not lost is in one wave, no wave is too large, and whoever is out comes first."""
    found = turn(fleet.plan, fleet.bound, Progress(fleet.out, lost=lost))
    named = [name for wave in found.waves for name in wave]
    assert sorted(named) == sorted(found.busy) == sorted(fleet.named(BUSY) - lost)
    play, new = fleet.bound.play, fleet.named(frozenset({"new"}))
    assert found.new == new
    sizes = [max(1, entry.of(len(named))) for entry in play.serial] or [len(named)]
    assert all(len(wave) <= sizes[min(at, len(sizes) - 1)] for at, wave in enumerate(found.waves))
    first = fleet.out | new if play.min_available.amount else fleet.out
    ranks = [name not in first for name in named]
    assert ranks == sorted(ranks)
    for rank in (False, True):
        assert [n for n in named if (n not in first) is rank] == [n for n in found.busy if (n not in first) is rank]
    mixed = dict(data.draw(st.permutations(list(fleet.plan.hosts.items()))))
    assert turn(replace(fleet.plan, hosts=mixed), fleet.bound, Progress(fleet.out, lost=lost)) == found


@settings(PROPERTY, max_examples=3 * PROPERTY.max_examples)
@given(fleet=fleets(), forks=st.integers(1, 4), chance=st.randoms(use_true_random=False))
def test_a_play_that_may_begin_gets_through(fleet: Fleet, forks: int, chance: random.Random) -> None:
    """Where nothing stands in a play's way and nothing fails, each of its hosts gets its turn; where something does,
    some host could not be taken out.
    """
    part, rules = turn(fleet.plan, fleet.bound, Progress(fleet.out)), fleet.bound
    scene = Scene(
        domains={name: rules.domains.get(name, "") for name in fleet.states},
        down=fleet.out,
        new=part.new,
        waves=part.waves,
        ends=dict.fromkeys(fleet.states, End.SERVES),
        most=rules.max_unavailable,
        least=rules.play.min_available,
        forks=forks,
    )
    truth, _ = played(scene, chance.choice)
    assert truth.gave_up is bool(list(barriers(fleet.plan, fleet.bound, Standing(fleet.out))))


@PROPERTY
@given(fleet=fleets(done=1), data=st.data())
def test_more_hosts_down_never_let_a_play_begin(fleet: Fleet, data: st.DataObject) -> None:
    """A play that must not begin must not either when one more host, on which it has no work, is out."""
    more = fleet.out | {data.draw(st.sampled_from(sorted(fleet.named(frozenset({"done"})))))}
    before = list(barriers(fleet.plan, fleet.bound, Standing(fleet.out)))
    after = list(barriers(fleet.plan, fleet.bound, Standing(more)))
    assert len(before) <= len(after)
    assert all({*barrier.hosts} <= {*later.hosts} for barrier, later in zip(before, after, strict=False))


@PROPERTY
@given(fleet=fleets(), held=st.frozensets(st.sampled_from([f"h{at}" for at in range(7)]), min_size=1))
def test_what_a_person_holds_back_is_never_put_back(fleet: Fleet, held: frozenset[str]) -> None:
    """A play with work on hosts that somebody else keeps out of the balancer does not begin, and all are named."""
    found = [*barriers(fleet.plan, fleet.bound, Standing(fleet.out | held, held))]
    theirs = held & fleet.named(BUSY)
    assert ({*found[0].hosts} == theirs) if theirs else all("drained or in" not in str(item.error) for item in found)


def stopped_at(states: Sequence[HostState], percentage: int) -> int | None:
    """The place of the host after which a run of one play stops, having had these ends."""
    failures, first = Failures(FailureBudget(len(states), percentage), ()), None
    for at, state in enumerate(states):
        spent = state in FAILURES and failures.add(f"h{at}")[1]
        assert first is None or state not in FAILURES or spent, "a budget that was spent is not any more"
        first = at if spent and first is None else first
    return first


@PROPERTY
@given(states=st.lists(st.sampled_from(HostState), max_size=12), percentage=PERCENTAGES, data=st.data())
def test_every_kind_of_failure_counts_alike(states: list[HostState], percentage: int, data: st.DataObject) -> None:
    """Failed, unreachable and reverted hosts stop a run at the same place, and once stopped it stays so."""
    failures = st.sampled_from([HostState.FAILED, HostState.UNREACHABLE, HostState.REVERTED])
    others = [data.draw(failures) if state in FAILURES else state for state in states]
    found = stopped_at(states, percentage)
    assert stopped_at(others, percentage) == found
    bad = [at for at, state in enumerate(states) if state.value in {"failed", "unreachable", "reverted"}]
    reached = [at for count, at in enumerate(bad, 1) if count * 100 >= percentage * len(states)]
    assert found == (reached[0] if reached else None)
