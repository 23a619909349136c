"""Secrets in what is planned: seen when they change, and in no hash, diff or record."""

from __future__ import annotations

from dataclasses import replace

from simulation.controller import desired, sim_host
from simulation.seen import settled_host

from fleetdeploy.domain.observed import ObservedHost, Present
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.planning.activation import content_hash
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report.plan.container_changes import container_changes
from fleetdeploy.tfserving import model_config


def with_secret(value: str) -> DesiredService:
    service = desired(1)
    secret = Secret(lambda: value, note=lambda _: None, where="")
    return replace(service, wish=replace(service.wish, environment={"PIN": secret}))


def with_secret_label(value: str) -> DesiredService:
    """A configuration that a template put a secret into."""
    service = desired(1, labels={value: 1})
    return replace(service, config_shown=service.config_text.replace(value, "<secret>"))


def planned(service: DesiredService, seen: ObservedHost) -> ServicePlan:
    plan = plan_host(sim_host("gpu1"), [service], seen, stamp="T1")
    assert plan.refusals == ()
    return plan.services[0]


def test_hashes_and_records_hold_no_value() -> None:
    """Two values that differ have one release id, and without the salt a label says nothing about either."""
    seen = settled_host(desired(1))
    plans = [planned(with_secret(value), seen) for value in ("1234", "1235", "1234")]
    assert len({plan.release_id for plan in plans}) == 1
    assert len({plan.container.spec_hash for plan in plans}) == 3
    assert {plan.container.environment["PIN"] for plan in plans} == {"1234", "1235"}
    assert not any("123" in str(plan.container.fields()["environment"]).split(":")[0] for plan in plans)
    assert all("fingerprints" not in plan.container.fields() for plan in plans)


def test_a_changed_secret_is_a_changed_container_and_the_same_one_is_not() -> None:
    """The record's fingerprint is held against the value that is wanted now."""
    seen = settled_host(with_secret("1234"))
    assert planned(with_secret("1234"), seen).activation is Activation.NOTHING
    changed = planned(with_secret("1235"), seen)
    assert changed.activation is Activation.REPLACE
    assert "environment" in changed.reason
    assert [(change.before, change.after) for change in container_changes(changed)] == [
        ("NVIDIA_VISIBLE_DEVICES=0 PIN=<secret>", "NVIDIA_VISIBLE_DEVICES=0 PIN=<secret> (a secret changed)")
    ]


def test_a_configuration_with_a_secret_is_not_shown_before_or_after() -> None:
    """The earlier value on the host is as secret as the new one, though nobody here knows it."""
    old, new = with_secret_label("old-token"), with_secret_label("new-token")
    plan = planned(new, settled_host(old))
    assert plan.activation is Activation.RELOAD
    assert [(change.what, change.before, change.after) for change in plan.changes] == [
        ("config/model.config", "(not shown)", "(changed; holds a secret)")
    ]
    assert "new-token" in model_config.to_text(model_config.parse(plan.desired.config_text, where=""))


def test_a_configuration_whose_secret_changed_is_not_proven() -> None:
    """The release's id leaves the secret out, so the record's own text decides whether this was proven."""
    old, new = with_secret_label("old-token"), with_secret_label("new-token")
    seen = settled_host(old)
    service = seen.services["ranking"]
    on_disk = replace(seen, services={"ranking": replace(service, config_text=Present(new.config_text))})
    spec = planned(old, seen).container
    assert content_hash(old, spec) == content_hash(new, spec)
    assert planned(old, seen).activation is Activation.NOTHING
    assert planned(new, on_disk).activation is Activation.VERIFY
