"""Every case file: what is wanted and what was seen give the expected plan."""

from __future__ import annotations

import pytest

from fleetdeploy.domain.plan import HostPlan, Plan, ServicePlan
from fleetdeploy.report.plan.container_changes import container_changes

from .cases import Case, load

CASES = load()


def test_the_case_files_are_found() -> None:
    """An empty folder would prove nothing."""
    assert len(CASES) > 40


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case) -> None:
    """The plan is the one the case file expects, and a refused host is not planned at all."""
    plan = case.plan()
    expect = dict(case.body["expect"])
    if "refusals" in expect:
        _check_refusals(plan, expect)
        return
    assert plan.refusals == ()
    (service,) = plan.services
    shown = _shown(service)
    assert expect.pop("reason", "") in service.reason
    assert {key: shown[key] for key in expect} == expect
    quiet = service.activation.value == "nothing" and not service.stage and not service.undrain
    assert plan.changed is not quiet


def _check_refusals(plan: HostPlan, expect: dict[str, object]) -> None:
    messages = [refusal.message for refusal in plan.refusals]
    parts = expect["refusals"]
    assert isinstance(parts, list)
    assert len(messages) == len(parts), messages
    assert all(part in message for part, message in zip(parts, messages, strict=True)), messages
    assert plan.services == ()
    assert not plan.changed
    assert Plan({"gpu1": plan}).refusal_exit_code == expect["exit_code"]
    assert all(refusal.hint for refusal in plan.refusals)


def _shown(service: ServicePlan) -> dict[str, object]:
    return {
        "activation": service.activation.value,
        "stage": [f"{item.model}/{item.version.number}" for item in service.stage],
        "link_from": [item.link_from for item in service.stage],
        "pull_image": service.pull_image,
        "undrain": service.undrain,
        "changes": [
            *(f"container.{change.name}" for change in container_changes(service)),
            *(change.what for change in service.changes),
        ],
    }
