"""GPU memory added up: what fits, what is swapped while drained, and what is refused, with the sums."""

from __future__ import annotations

from dataclasses import replace

import pytest
from simulation.controller import sim_host

from fleetdeploy.domain.gpu_fit import Card, GpuFit, ModelNeed
from fleetdeploy.domain.observed import Absent, ObservedHost, Present, State, Unknown, VersionState
from fleetdeploy.domain.plan import Activation, HostPlan
from fleetdeploy.domain.server_changes import PhaseKind
from fleetdeploy.domain.service import DesiredService, GpuRequest
from fleetdeploy.planning.gpu_sums import in_memory

from .gpu_hosts import GIB, activations, host_with, needing, plan_for

R12 = {"ranker": 12.0}
OLD, NEW = needing(R12, ranker=(1,)), needing(R12, ranker=(2,))


def said(plan: HostPlan) -> str:
    """All that a refused host is refused for."""
    assert plan.services == ()
    assert all(refusal.exit_code == 5 and refusal.hint for refusal in plan.refusals)
    return "\n".join(refusal.message for refusal in plan.refusals)


def test_old_and_new_that_fit_together_are_reloaded() -> None:
    """A hot reload needs both versions, and here there is room for both to the last byte."""
    plan = plan_for(host_with(OLD, gib=24), NEW)
    assert activations(plan) == {"ranking": "reload"}
    assert not plan.services[0].apart
    (fit,) = plan.gpu_fits
    assert (fit.steady_bytes, fit.peak_bytes, fit.capacity_bytes) == (12 * GIB, 24 * GIB, 24 * GIB)
    assert fit.reloads == ("ranking",)


def test_old_and_new_that_do_not_fit_together_are_swapped_while_drained() -> None:
    """The plan says why it is no reload, with the sums, and what the server will do is told of a new process."""
    plan = plan_for(host_with(OLD, gib=23.9), NEW)
    (service,) = plan.services
    assert service.activation is Activation.REPLACE
    assert service.reason == (
        "old and new versions do not fit together: 24.0 of 23.9 GiB on GPU 0; swapped while drained"
    )
    assert service.apart
    assert [phase.kind for phase in service.server.phases] == [PhaseKind.STOP, PhaseKind.START]
    (fit,) = plan.gpu_fits
    assert (fit.peak_bytes, fit.reloads) == (fit.steady_bytes, ())


@pytest.mark.parametrize("pools", [None, {"other": ("rest",)}, {"ranking": ()}])
def test_a_swap_that_nobody_drains_says_so(pools: dict[str, tuple[str, ...]] | None) -> None:
    """Without a balancer for the service its callers are not answered meanwhile."""
    host = sim_host("gpu1", balanced=pools is not None)
    if pools is not None:
        assert host.balancer is not None
        host = replace(host, balancer=replace(host.balancer, pools=pools))
    plan = plan_for(host_with(OLD, gib=16), NEW, host=host)
    assert plan.services[0].reason.endswith("on GPU 0; swapped, and ranking does not answer in between")


def test_what_does_not_fit_at_all_is_refused_with_the_sums() -> None:
    """Models that fit alone and not together, on one GPU or on several, with every version counted."""
    wanted = needing({"ranker": 12, "tagger": 4}, devices=(0, 1), ranker=(1, 2), tagger=(5,))
    assert plan_for(host_with(gib=16), wanted).refusals == ()
    plan = plan_for(host_with(gib=13.9), wanted)
    assert said(plan) == (
        "models require 28.0 of 27.8 GiB on GPU 0, 1: ranker/1, ranker/2 12.0 GiB each, tagger/5 4.0 GiB"
    )
    assert [fit.steady_bytes for fit in plan.gpu_fits] == [28 * GIB]


def test_sums_that_look_alike_are_told_with_more_digits() -> None:
    """A few MiB too much are still to be seen."""
    assert "require 24.000 of 23.999 GiB" in said(plan_for(host_with(gib=23.9988), needing(R12, ranker=(1, 2))))


def test_a_model_too_large_for_a_card_is_refused_once() -> None:
    """The sums say nothing more then."""
    assert said(plan_for(host_with(gib=10), OLD)).count("\n") == 0


def test_services_that_share_gpus_are_added_up() -> None:
    """Also by way of a third one; services on other GPUs do not count."""
    pair = needing({"m": 30}, name="pair", devices=(0, 1), m=(1,))
    left = needing({"m": 30}, name="left", devices=(0,), m=(1,))
    right = needing({"m": 30}, name="right", devices=(1,), m=(1,))
    beyond = needing({"m": 40}, name="beyond", devices=(2,), m=(1,))
    assert plan_for(host_with(gib=60, count=3), pair, left, right, beyond).refusals == ()
    text = said(plan_for(host_with(gib=40, count=3), pair, left, right, beyond))
    assert (
        text == "models require 90.0 of 80.0 GiB on GPU 0, 1: pair/m/1 30.0 GiB, left/m/1 30.0 GiB, right/m/1 30.0 GiB"
    )


def test_a_part_of_shared_gpus_may_be_too_small() -> None:
    """Together there is enough, but two services have nothing but the one GPU."""
    pair = needing({"m": 1}, name="pair", devices=(0, 1), m=(1,))
    twins = [needing({"m": 30}, name=name, devices=(0,), m=(1,)) for name in ("one", "two")]
    text = said(plan_for(host_with(gib=40), pair, *twins))
    assert text == "models require 60.0 of 40.0 GiB on GPU 0: one/m/1 30.0 GiB, two/m/1 30.0 GiB"


def test_services_that_overlap_are_added_up_over_all_their_gpus() -> None:
    """Each has enough by itself, and the GPU between them is not there twice."""
    left = needing({"m": 35}, name="left", devices=(0, 1), m=(1, 2))
    right = needing({"m": 35}, name="right", devices=(1, 2), m=(1, 2))
    assert plan_for(host_with(gib=40, count=3), left).refusals == ()
    assert said(plan_for(host_with(gib=40, count=3), left, right)) == (
        "models require 140.0 of 120.0 GiB on GPU 0, 1, 2: left/m/1, left/m/2 35.0 GiB each, "
        "right/m/1, right/m/2 35.0 GiB each"
    )


def test_what_overfills_a_part_is_told_once() -> None:
    """The whole does not fit either then, which is nothing else to mend."""
    full = needing({"m": 30}, name="full", devices=(0,), m=(1, 2))
    pair = needing({"m": 30}, name="pair", devices=(0, 1), m=(1,))
    assert said(plan_for(host_with(gib=40), full, pair)).startswith("models require 60.0 of 40.0 GiB on GPU 0: m/1")
    assert said(plan_for(host_with(gib=40), full, pair)).count("\n") == 0


def test_a_dropped_model_counts_as_unknown() -> None:
    """What it needs the inventory no longer says: the plan names it and makes nothing up."""
    before = needing({"ranker": 12, "tagger": 4}, ranker=(1,), tagger=(5,))
    plan = plan_for(host_with(before, gib=24), NEW, allow_remove=True)
    assert activations(plan) == {"ranking": "reload"}
    (fit,) = plan.gpu_fits
    assert (fit.peak_bytes, fit.dropped) == (24 * GIB, ("ranking/tagger",))


def test_no_requirement_is_no_sum() -> None:
    """Where no model says what it needs there is nothing to show, and nothing is swapped for it."""
    plan = plan_for(host_with(needing({}, ranker=(1,)), gib=1), needing({}, ranker=(2,)))
    assert (plan.gpu_fits, activations(plan)) == ((), {"ranking": "reload"})


def served(host: ObservedHost, *states: VersionState) -> ObservedHost:
    seen = host.services["ranking"]
    return replace(host, services={"ranking": replace(seen, served={"ranker": Present(states)})})


@pytest.mark.parametrize(
    ("states", "numbers"),
    [
        ((VersionState(1, State.AVAILABLE),), (1,)),
        ((VersionState(3, State.UNLOADING), VersionState(1, State.AVAILABLE)), (1, 3)),
        ((VersionState(3, State.LOADING), VersionState(1, State.END)), (1, 3)),
        ((VersionState(3, State.END), VersionState(1, State.AVAILABLE)), (1,)),
        ((VersionState(1, State.END, "NOT_FOUND: no"),), ()),
        ((), (1,)),
    ],
)
def test_what_is_in_memory(states: tuple[VersionState, ...], numbers: tuple[int, ...]) -> None:
    """What has not ended, and what the configuration lists, as a reload loads it again unless it failed."""
    assert in_memory(served(host_with(OLD), *states).services["ranking"]) == {"ranker": numbers}


def test_memory_of_a_server_that_does_not_answer() -> None:
    """The configuration on the host stands for it, without one the release record; a stopped server holds nothing."""
    seen = replace(host_with(OLD).services["ranking"], served={"ranker": Unknown("timeout")})
    assert in_memory(seen) == {"ranker": (1,)}
    assert in_memory(replace(seen, config_text=Absent())) == {"ranker": (1,)}
    assert isinstance(seen.container, Present)
    stopped = replace(seen, container=Present(replace(seen.container.value, status="exited")))
    assert in_memory(stopped) == {}


def test_a_version_that_is_still_leaving_counts() -> None:
    """A reload begins beside it."""
    leaving = served(host_with(OLD, gib=30), VersionState(9, State.UNLOADING), VersionState(1, State.AVAILABLE))
    assert activations(plan_for(leaving, NEW)) == {"ranking": "replace"}
    assert activations(plan_for(host_with(OLD, gib=30), NEW)) == {"ranking": "reload"}


def test_a_first_start_needs_no_room_for_two() -> None:
    """Nothing is loaded before it."""
    assert activations(plan_for(host_with(gib=12), NEW)) == {"ranking": "start"}


def other(number: int, gib: float, **wishes: object) -> DesiredService:
    return needing({"m": gib}, name="other", m=tuple(range(1, number + 1)), **wishes)  # type: ignore[arg-type]


def test_a_reload_counts_the_larger_side_of_its_neighbour() -> None:
    """The neighbour may change before it or after it; a revert turns the order around."""
    before = host_with(OLD, other(2, 10), gib=40)
    assert activations(plan_for(before, NEW, other(1, 10))) == {"ranking": "replace", "other": "reload"}
    assert activations(plan_for(host_with(OLD, other(1, 10), gib=40), NEW, other(1, 10)))["ranking"] == "reload"


def test_memory_that_a_neighbour_still_holds_is_not_there_yet() -> None:
    """In the end it fits; on the way it does not, so it is to be done in two steps."""
    before = host_with(needing(R12, ranker=(1,)), other(2, 10), gib=34)
    plan = plan_for(before, needing(R12, ranker=(1, 2)), other(1, 10))
    assert said(plan) == (
        "service 'ranking' needs memory that another service still holds: 44.0 of 34.0 GiB on GPU 0 until both are "
        "switched over, 34.0 of 34.0 GiB on GPU 0 then"
    )
    assert plan_for(before, OLD, other(1, 10)).refusals == ()
    after = host_with(OLD, other(1, 10), gib=34)
    assert plan_for(after, needing(R12, ranker=(1, 2)), other(1, 10)).refusals == ()


def test_a_service_that_moves_holds_its_old_gpu_until_then() -> None:
    """Two services cannot trade places in one run, one can move to a GPU that is free."""
    left = needing({"m": 30}, name="left", devices=(0,), m=(1,))
    right = needing({"m": 30}, name="right", devices=(1,), m=(1,))
    before = host_with(left, right, gib=40)
    moved = [
        replace(one, wish=replace(one.wish, gpus=GpuRequest(devices=(at,)))) for one, at in ((left, 1), (right, 0))
    ]
    assert said(plan_for(before, *moved)).count("needs memory that another service still holds: 60.0 of 40.0 GiB") == 2
    beside = host_with(left, gib=40)
    assert activations(plan_for(beside, moved[0])) == {"left": "replace"}


def test_what_was_proven_may_not_fit_beside_what_is_wanted() -> None:
    """A run that was killed left another version in memory: proving that one is no reload, but its undo would be."""
    host = host_with(NEW, gib=16)
    seen = host.services["ranking"]
    assert isinstance(seen.release, Present)
    earlier = replace(seen.release.value, id="T0-earlier", models={"ranker": (1,)}, config_text=OLD.config_text)
    host = replace(host, services={"ranking": replace(seen, release=Present(earlier))})
    (service,) = plan_for(host, NEW).services
    assert (service.activation, service.apart) == (Activation.VERIFY, True)


def test_what_other_programs_hold_counts_where_nothing_of_ours_runs() -> None:
    """nvidia-smi does not say whose memory it is, so it is only looked at where it cannot be our own."""
    assert plan_for(host_with(gib=24, used_gib=12), OLD).refusals == ()
    text = said(plan_for(host_with(gib=24, used_gib=13), OLD))
    assert text == (
        "models require 12.0 of 24.0 GiB on GPU 0, of which other programs hold 13.0 GiB: ranker/1 12.0 GiB"
    )
    assert plan_for(host_with(OLD, gib=24, used_gib=13), OLD).refusals == ()
    unlisted = replace(host_with(gib=24, used_gib=13), containers=Unknown("no answer"))
    assert plan_for(unlisted, OLD).refusals == ()


@pytest.mark.parametrize(("status", "refused"), [("exited", True), ("restarting", False), ("running", False)])
def test_a_container_of_ours_that_may_hold_memory(status: str, refused: bool) -> None:
    """One that Docker starts again and again has memory now and then."""
    host = host_with(OLD, gib=24, used_gib=13)
    seen = host.services["ranking"]
    assert isinstance(seen.container, Present)
    container = replace(seen.container.value, status=status)
    host = replace(host, services={"ranking": replace(seen, container=Present(container))}, listening=Present(()))
    assert bool(plan_for(host, OLD).refusals) is refused


def test_each_gpu_of_a_service_must_have_room_for_a_version() -> None:
    """Together there is enough, but a server may place the model on the GPU that is nearly full."""
    host = host_with(gib=24)
    assert isinstance(host.gpus, Present)
    first, second = host.gpus.value
    host = replace(host, gpus=Present((replace(first, memory_used_bytes=20 * GIB), second)))
    text = said(plan_for(host, needing(R12, devices=(0, 1), ranker=(1,))))
    assert text == "other programs hold 20.0 GiB of the 24.0 GiB of GPU 0, a version of ranker requires 12.0 GiB"
    assert plan_for(host, needing(R12, devices=(1,), ranker=(1,))).refusals == ()


def test_gpus_that_cannot_be_read_refuse() -> None:
    """Nothing is added up, and nothing is taken for granted."""
    host = replace(host_with(OLD), gpus=Unknown("driver mismatch"))
    plan = plan_for(host, NEW)
    assert "cannot be read: driver mismatch" in said(plan)
    assert plan.gpu_fits == ()


def test_the_whole_of_a_peak() -> None:
    """A peak is the worst moment, not the sum of all of them: services change one after the other."""
    needs = (ModelNeed("a", "m", 10, (2,), (1,)), ModelNeed("b", "m", 20, (2,), (1,)))
    fit = GpuFit((Card(0, "card", 100),), needs, reloads=("a", "b"))
    assert (fit.steady_bytes, fit.reload_bytes("a"), fit.reload_bytes("b"), fit.peak_bytes) == (30, 40, 50, 50)
