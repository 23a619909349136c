"""What holds where something could not be read, and where something on a host is not ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulation.controller import desired
from simulation.seen import settled_host
from simulation.world import SERVICE

from fleetdeploy.domain.observed import ContainerFacts, Disk, ObservedHost, Present, Unknown
from fleetdeploy.domain.plan import Activation, HostPlan
from fleetdeploy.domain.service import LABEL_SERVICE, DesiredService, GpuRequest, Ports

from .effects import plan_of, seen_of, with_service
from .struck_hosts import as_asked, cut_off, hosts, services

PROPERTY = settings.get_profile("property")
SLOW = settings(PROPERTY, max_examples=PROPERTY.max_examples // 2)
BLIND = Unknown("no answer")
NEEDED = ("container", "previous", "config_text", "release", "versions", "drained_by")
"""Readings of a service on which every plan depends."""
OTHERS = ("disk", "docker", "gpus", "addresses", "listening", "containers")
RANK = {Activation.NOTHING: 0, Activation.VERIFY: 1, Activation.RELOAD: 2, Activation.START: 3, Activation.REPLACE: 3}


def blinded(host: ObservedHost, what: str) -> ObservedHost:
    """The host with one reading that failed. What Docker runs is one answer for all services."""
    seen = seen_of(host)
    if what == "containers":
        host = replace(host, containers=BLIND)
        return replace(host, services={seen.name: replace(seen, container=BLIND, previous=BLIND)})
    if what in {*NEEDED, "disk"}:
        return replace(host, services={seen.name: replace(seen, **{what: BLIND})})  # type: ignore[arg-type]
    return replace(host, **{what: BLIND})  # type: ignore[arg-type]


def work(plan: HostPlan) -> tuple[set[tuple[str, int]], bool, bool, int]:
    """What is staged, pulled and put back, and how deep the activation goes."""
    staged = {(item.model, item.version.number) for service in plan.services for item in service.stage}
    return (
        staged,
        any(service.pull_image for service in plan.services),
        any(service.undrain for service in plan.services),
        max((RANK[service.activation] for service in plan.services), default=0),
    )


def troubled(host: ObservedHost, trouble: str) -> ObservedHost:
    """The host with something that it is refused for."""
    if trouble == "no space":
        return with_service(host, disk=Present(Disk(1, 10**6)))
    if trouble == "no address":
        return replace(host, addresses=Present(("127.0.0.1",)))
    if trouble == "no GPU":
        return replace(host, gpus=Present(()))
    if trouble == "port taken":
        stopped = with_service(host, container=Present(ContainerFacts("theirs", "id", "", "exited")))
        return replace(stopped, listening=Present((8500,)))
    if trouble == "stray":
        stray = ContainerFacts("fleetdeploy-old", "id", "", "running", {LABEL_SERVICE: "old"})
        return replace(host, containers=Present((stray,)))
    return host


@PROPERTY
@given(
    host=hosts(),
    wanted=services(),
    trouble=st.sampled_from(["", "no space", "no address", "no GPU", "port taken", "stray"]),
    what=st.sampled_from([*NEEDED, *OTHERS]),
    allow_remove=st.booleans(),
)
def test_what_could_not_be_read_never_makes_a_plan_do_more(
    host: ObservedHost, wanted: DesiredService, trouble: str, what: str, *, allow_remove: bool
) -> None:
    """A host that is refused stays refused where a reading fails; one that is not is refused then, or needs no more."""
    host = as_asked(troubled(host, trouble), wanted)
    before = plan_of(host, wanted, allow_remove=allow_remove)
    after = plan_of(blinded(host, what), wanted, allow_remove=allow_remove)
    if before.refusals or what in {*NEEDED, "docker", "addresses", "containers"}:
        assert after.refusals
    if after.refusals:
        assert (after.services, after.changed) == ((), False)
    else:
        assert work(after) == work(before)


@PROPERTY
@given(host=hosts(), wanted=services(), data=st.data(), allow_remove=st.booleans())
def test_a_server_that_does_not_answer_is_never_taken_for_done(
    host: ObservedHost, wanted: DesiredService, data: st.DataObject, *, allow_remove: bool
) -> None:
    """Silence of a model keeps every refusal and all that is staged, and something is done until the server answers."""
    host = as_asked(host, wanted)
    model = data.draw(st.sampled_from(sorted(seen_of(host).served)))
    mute = with_service(host, served={**seen_of(host).served, model: BLIND})
    before, after = (plan_of(seen, wanted, allow_remove=allow_remove) for seen in (host, mute))
    assert {item.message for item in before.refusals} <= {item.message for item in after.refusals}
    if after.refusals:
        return
    assert work(before)[:3] == work(after)[:3]
    (one,), (two,) = before.services, after.services
    assert RANK[two.activation] >= RANK[Activation.RELOAD]
    if two.activation is Activation.RELOAD:
        assert model in two.server.unread
    # Only what nothing on the host tells of is worth a new process.
    told = isinstance(seen_of(host).release, Present)
    assert not told or RANK[two.activation] <= max(RANK[one.activation], RANK[Activation.RELOAD])


@SLOW
@given(
    before=services(),
    wanted=services(),
    at=st.integers(0, 14),
    which=st.sampled_from(["container", "previous"]),
    labels=st.dictionaries(st.sampled_from([LABEL_SERVICE, "owner"]), st.sampled_from(["", "theirs", "Ranking"])),
    status=st.sampled_from(["running", "exited", "created"]),
    allow_remove=st.booleans(),
)
def test_a_container_that_is_not_ours_is_never_replaced(
    *, before: DesiredService, wanted: DesiredService, at: int, which: str, labels: Mapping[str, str], status: str,
    allow_remove: bool,
) -> None:  # fmt: skip
    """Under whichever of our two names it stands, and whatever it is doing, the host is refused and nothing is done."""
    theirs = Present(ContainerFacts(f"fleetdeploy-{SERVICE}", "theirs", "sha256:x", status, labels))
    host = as_asked(cut_off(settled_host(before), wanted, at), wanted)
    seen = replace(seen_of(host), **{which: theirs})  # type: ignore[arg-type]
    plan = plan_of(replace(host, services={SERVICE: seen}), wanted, allow_remove=allow_remove)
    assert (plan.services, plan.changed) == ((), False)
    assert "a container named fleetdeploy-ranking exists that fleetdeploy did not make" in {
        item.message for item in plan.refusals
    }


@SLOW
@given(host=hosts(), wanted=services(), data=st.data())
def test_a_version_directory_that_is_not_ours_is_never_written_over(
    host: ObservedHost, wanted: DesiredService, data: st.DataObject
) -> None:
    """A wanted number that lies there without our manifest, or with other content, refuses the host with code 7."""
    host = as_asked(host, wanted)
    model = data.draw(st.sampled_from(wanted.models))
    version = data.draw(st.sampled_from(model.versions))
    full = seen_of(cut_off(host, wanted, len(wanted.models) * 3)).versions
    assert isinstance(full, Present)
    there = full.value[model.name][version.number]
    strange = data.draw(
        st.sampled_from(
            [
                replace(there, manifest_digest="", manifest_text=""),
                replace(there, manifest_digest="0" * 64),
                replace(there, sizes_bytes={**there.sizes_bytes, "saved_model.pb": 1}),
                replace(there, sizes_bytes={}),
            ]
        )
    )
    versions = {**full.value, model.name: {**full.value[model.name], version.number: strange}}
    plan = plan_of(with_service(host, versions=Present(versions)), wanted)
    assert (plan.services, plan.changed) == ((), False)
    assert {item.exit_code for item in plan.refusals} == {7}


@SLOW
@given(first=services(), second=services(), host=hosts(), data=st.data())
def test_the_order_of_services_decides_nothing(
    first: DesiredService, second: DesiredService, host: ObservedHost, data: st.DataObject
) -> None:
    """Two services of a host are planned alike in either order, and each as if it were alone."""
    wish = replace(second.wish, name="tagging", ports=Ports(9500, 9501), gpus=GpuRequest(devices=(1,)))
    second = replace(second, wish=wish)
    host = as_asked(host, first)
    both, swapped = plan_of(host, first, second), plan_of(host, second, first)
    assert {item.message for item in both.refusals} == {item.message for item in swapped.refusals}
    assume(not both.refusals)
    assert both.services == swapped.services[::-1]
    assert both.services == (*plan_of(host, first).services, *plan_of(host, second).services)


@SLOW
@given(host=hosts(), second=services(), what=st.sampled_from(NEEDED))
def test_one_service_that_cannot_be_read_holds_back_the_whole_host(
    host: ObservedHost, second: DesiredService, what: str
) -> None:
    """Beside a service of which a reading failed no other is planned, whichever comes first."""
    second = replace(second, wish=replace(second.wish, name="tagging", ports=Ports(9500, 9501)))
    for wanted in ((desired(1), second), (second, desired(1))):
        plan = plan_of(blinded(host, what), *wanted)
        assert (plan.services, plan.changed) == ((), False)
        assert any("no answer" in item.message for item in plan.refusals)
