"""A new container in place of the present one. The way back needs no network and no registry."""

from __future__ import annotations

from fleetdeploy.domain.observed import ContainerFacts, Present, Release
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.domain.service import LABEL_DIRECTORY, LABEL_RELEASE, LABEL_SERVICE, LABEL_SPEC, spec_hash
from fleetdeploy.gates.readiness import await_available, keeps_running
from fleetdeploy.planning.container import METRICS_FLAG, container_name, previous_name
from fleetdeploy.tasks.activating.proof import answers_s, prove
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import monitoring_config


def replace(step: Step, *, timeout_s: float, grace_s: float) -> None:
    """A new container in place of the present one, which is kept under the previous name, stopped."""
    plan, containers = step.plan, step.containers
    name, previous = container_name(plan.desired.name), previous_name(plan.desired.name)
    _keep(step, grace_s=grace_s)
    containers.stop(previous, grace_s=grace_s)
    containers.remove(name)
    step.files.write_config(plan.desired.config_text)
    if METRICS_FLAG in plan.container.command:
        step.files.write_monitoring(monitoring_config.TEXT)
    labels = {
        LABEL_SERVICE: plan.desired.name,
        LABEL_RELEASE: plan.release_id,
        LABEL_SPEC: plan.container.spec_hash,
        LABEL_DIRECTORY: str(plan.desired.directory),
    }
    containers.create_and_start(plan.container, labels)
    wanted = {model.name: model.wanted for model in plan.desired.models}
    alive = keeps_running(containers, name)
    await_available(step.serving, wanted, step.clock, timeout_s=timeout_s, alive=alive)
    prove(step, wanted, alive=alive)


def replacement_s(plan: ServicePlan, *, timeout_s: float, grace_s: float) -> float:
    """How long :func:`replace` may take: the present container is stopped, and one that was kept may run as well."""
    return 2 * grace_s + timeout_s + answers_s(plan)


def _keep(step: Step, *, grace_s: float) -> None:
    """Rename the container that runs the recorded release to the previous name, unless it has it already.

    After an interruption the container under the service's name may be one that nobody has proven; the one worth
    keeping is then already under the previous name. Where no release is recorded, one that runs is worth keeping.
    """
    plan, containers = step.plan, step.containers
    name, previous = container_name(plan.desired.name), previous_name(plan.desired.name)
    present = containers.inspect(name)
    release = plan.observed.release
    worth = present is not None and (runs(present, release.value) if isinstance(release, Present) else present.running)
    if not worth:
        return
    containers.stop(name, grace_s=grace_s)
    containers.remove(previous)
    containers.rename(name, previous)


def runs(container: ContainerFacts, release: Release) -> bool:
    """Whether the container is one of the release."""
    return container.labels.get(LABEL_SPEC) == spec_hash(release.container)
