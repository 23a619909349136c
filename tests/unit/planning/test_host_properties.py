"""What holds for every host plan, whatever was wanted and seen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import desired, sim_host, version
from simulation.seen import empty_host, on_disk, settled_host

from fleetdeploy.domain.observed import Absent, Present, Unknown
from fleetdeploy.domain.plan import Activation
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.planning.activation import content_hash
from fleetdeploy.planning.container import container_spec
from fleetdeploy.planning.host import out_of_service, plan_host

NUMBERS = st.lists(st.integers(1, 99), unique=True, min_size=1, max_size=3).map(lambda found: tuple(sorted(found)))
SERVICES = st.builds(
    lambda models, image: desired(models=models, image=image),
    st.dictionaries(st.sampled_from(["ranker", "embedder", "tagger"]), NUMBERS, min_size=1),
    st.sampled_from(["serving:1", "serving:2"]),
)


@settings(max_examples=25, deadline=None)
@given(service=SERVICES)
def test_the_same_state_plans_to_nothing(service: DesiredService) -> None:
    """A host that has what is wanted needs nothing at all."""
    plan = plan_host(sim_host("gpu1"), [service], settled_host(service), stamp="T1")
    assert plan.refusals == ()
    assert not plan.changed
    assert plan.services[0].changes == ()


@settings(max_examples=25, deadline=None)
@given(before=SERVICES, service=SERVICES)
def test_a_plan_stages_exactly_what_is_missing(before: DesiredService, service: DesiredService) -> None:
    """What is on the host is never copied again, what is wanted and missing always is."""
    observed = settled_host(before)
    plan = plan_host(sim_host("gpu1"), [service], observed, stamp="T1", allow_remove=True)
    assert plan.refusals == ()
    here = {(model.name, number) for model in before.models for number in model.wanted}
    wanted = {(model.name, number) for model in service.models for number in model.wanted}
    assert {(item.model, item.version.number) for item in plan.services[0].stage} == wanted - here
    same = before.config_text == service.config_text and before.wish.image == service.wish.image
    assert (plan.services[0].activation is Activation.NOTHING) is same


@settings(max_examples=40, deadline=None)
@given(
    before=SERVICES,
    service=SERVICES,
    name=st.sampled_from(["container", "previous", "config_text", "release", "versions", "drained_by"]),
)
def test_what_could_not_be_read_is_never_taken_for_absent(
    before: DesiredService, service: DesiredService, name: str
) -> None:
    """An Unknown in any reading of a service refuses the host, whatever the rest looks like, and plans no change."""
    observed = settled_host(before)
    seen = replace(observed.services["ranking"], **{name: Unknown("no answer")})
    plan = plan_host(sim_host("gpu1"), [service], replace(observed, services={"ranking": seen}), stamp="T1")
    assert plan.services == ()
    assert not plan.changed
    assert [refusal.exit_code for refusal in plan.refusals] == [5]
    assert "no answer" in plan.refusals[0].message


def test_an_unknown_docker_refuses_whatever_else_is_known() -> None:
    """A host whose engine does not answer is uncontrollable, not empty."""
    observed = replace(settled_host(desired(1)), docker=Unknown("timeout"))
    plan = plan_host(sim_host("gpu1"), [desired(1)], observed, stamp="T1")
    assert [refusal.exit_code for refusal in plan.refusals] == [5]


def test_a_host_without_services_needs_nothing() -> None:
    """Nothing wanted is nothing planned, even where Docker is down."""
    plan = plan_host(sim_host("gpu1"), [], replace(settled_host(desired(1)), docker=Unknown("x")), stamp="T1")
    assert plan.refusals == ()
    assert not plan.changed


def test_links_come_from_the_version_that_shares_most() -> None:
    """Only what no version on the host has travels, and the newest of equals is linked from."""
    observed = settled_host(desired(1))
    there = {number: on_disk(version("ranker", number)) for number in (1, 4)}
    seen = replace(observed.services["ranking"], versions=Present({"ranker": there}))
    plan = plan_host(sim_host("gpu1"), [desired(9)], replace(observed, services={"ranking": seen}), stamp="T1")
    (item,) = plan.services[0].stage
    assert (item.link_from, item.copy_bytes) == (4, 100)


def test_a_first_copy_links_from_nothing() -> None:
    """Without an older version all bytes are counted."""
    plan = plan_host(sim_host("gpu1"), [desired(1)], empty_host(desired(1)), stamp="T1")
    (item,) = plan.services[0].stage
    assert (item.link_from, item.copy_bytes) == (None, 200)


def test_the_content_hash_knows_configuration_container_and_bytes() -> None:
    """Two releases have the same content hash only when configuration, container and every byte are the same."""
    one = desired(1)
    spec = container_spec(one, address="10.0.0.1", image_id="sha256:1")
    other_bytes = replace(one, models=(replace(one.models[0], versions=(replace(version("other", 1)),)),))
    hashes = {
        content_hash(one, spec),
        content_hash(desired(2), spec),
        content_hash(one, replace(spec, user="0")),
        content_hash(other_bytes, spec),
    }
    assert len(hashes) == 4
    assert content_hash(desired(1), spec) == content_hash(one, spec)


@pytest.mark.parametrize(
    ("changes", "out"),
    [
        ({}, False),
        ({"container": Absent()}, True),
        ({"drained_by": Present("run-1")}, True),
        ({"container": Absent(), "release": Absent()}, False),
    ],
)
def test_who_is_out_of_service(changes: dict[str, object], out: bool) -> None:
    """A host that was released to and has no running container, or is drained, is out; one that is new is not, nor is a
    drain told by its marker where the balancer tells.
    """
    observed = settled_host(desired(1))
    seen = replace(observed.services["ranking"], **changes)  # type: ignore[arg-type]
    host = replace(observed, services={"ranking": seen}, listening=Present(()))
    plan = plan_host(sim_host("gpu1"), [desired(1)], host, stamp="T1")
    services = [service.observed for service in plan.services]
    assert out_of_service(plan.host, services, balancer_tells=False) is out
    assert out_of_service(plan.host, services, balancer_tells=True) is (out and "drained_by" not in changes)
