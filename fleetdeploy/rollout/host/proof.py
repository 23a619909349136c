"""What a selection of tasks may leave out, told for each host by what it needs: never a proof of what it serves.

A playbook is held to its order before it runs. Which host needs which of its tasks shows only when the host was looked
at: ``--tags verify`` finishes what an interrupted run activated, and proves nothing where the change is still to come.
"""

from __future__ import annotations

from collections.abc import Collection

from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.errors import NotHealthy
from fleetdeploy.planning.before import serves_record

_HINT = "let the tasks before it run as well: leave out --tags, --skip-tags and --start-at-task"


def check_proof(task: str, plan: ServicePlan, *, begun: Collection[str]) -> None:
    """Refuse a ``verify`` of what was not activated, and an ``undrain`` of what an earlier run left unproven.

    ``begun`` are the tasks that this run has begun on the host. Raises NotHealthy.
    """
    service = plan.desired.name
    if task == "verify" and plan.activation not in {Activation.NOTHING, Activation.VERIFY} and "activate" not in begun:
        # The server that runs may well answer, and its release would be recorded as one that never ran.
        raise NotHealthy(f"what service {service!r} shall serve is not active yet, so nothing can prove it", hint=_HINT)
    left = plan.undrain and plan.activation is not Activation.NOTHING and "verify" not in begun
    # A host that was only drained serves what was proven before, and comes back as it is.
    as_before = serves_record(plan.observed, {model.name for model in plan.desired.models})
    only_drained = "drain" in begun and plan.activation is not Activation.VERIFY and as_before
    if task == "undrain" and left and not only_drained:
        raise NotHealthy(
            f"an earlier run drained the host and did not prove service {service!r}, so it is not put back", hint=_HINT
        )
