"""``activate``: make the service serve what it shall, in the cheapest safe way the planner chose.

Reload, in two halves, so that the old version is never given up for an unproven one:

1. a configuration under which old and new versions are both loaded is written to disk and loaded; the new ones must
   become AVAILABLE and answer a golden request;
2. the final configuration, with labels, is written and loaded; the old versions leave memory.

Replacement: the present container is stopped and kept under another name, and the new one is started beside it. A
revert needs no network and no registry: everything it starts is still on the host.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.observed import ContainerFacts, Present, Release
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.domain.service import LABEL_DIRECTORY, LABEL_RELEASE, LABEL_SERVICE, LABEL_SPEC, spec_hash
from fleetdeploy.errors import DeadlineExceeded, HostError, NotHealthy, WrongAnswer
from fleetdeploy.gates.readiness import answer_golden, await_answer, await_available, keeps_running
from fleetdeploy.planning.before import config_in_force
from fleetdeploy.planning.container import container_name, previous_name
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import model_config

RELOAD_CALL_S = 30.0
"""Deadline of the reload call itself; it may return before anything is loaded, or hang on a model that never loads."""
REQUEST_S = 10.0


class Arguments(BaseModel):
    """``activate: {timeout: 5m, stop_grace: 10s}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout: Duration = Field(default=300.0, description="how long new versions may take to become AVAILABLE")
    stop_grace: Duration = Field(default=10.0, description="how long a replaced container gets to end by itself")


class Activate:
    """Reload or container replacement; on disk and in memory always the same configuration."""

    name = "activate"
    arguments = Arguments
    touches_traffic = True
    prepares = False
    per_host = False
    delegable = False
    optional = False
    commands = ()
    looks_only = False
    no_undo = ""

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        return "" if plan.activation is Activation.NOTHING else f"{plan.activation.value}: {plan.reason}"

    def act(self, step: Step, arguments: Arguments) -> None:
        if step.plan.activation is Activation.VERIFY:
            return
        if step.plan.stage:
            item = step.plan.stage[0]
            raise NotHealthy(
                f"version {item.version.number} of {item.model} is not on the host",
                hint="the playbook has to `stage` before it activates",
            )
        with step.log_on_failure():
            if step.plan.activation is Activation.RELOAD:
                reload(step, timeout_s=arguments.timeout)
            else:
                replace(step, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """Back to the recorded release; where there never was one, back to no container.

        What an earlier run activated and could not prove goes back as well, but not under traffic.
        """
        release = step.plan.observed.release
        if step.plan.activation is Activation.VERIFY and not _left_behind(step):
            return
        if isinstance(release, Present):
            go_back(step, release.value, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)
        else:
            go_back_unrecorded(step, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)


def _left_behind(step: Step) -> bool:
    """Whether an interrupted run activated what serves now, and nobody gets answers from it yet."""
    idle = step.balancer is None or isinstance(step.plan.observed.drained_by, Present)
    return idle and isinstance(step.plan.observed.release, Present)


def reload(step: Step, *, timeout_s: float) -> None:
    """The two halves of a hot reload. Raises HostError subclasses; the caller undoes."""
    desired, observed = step.plan.desired, step.plan.observed
    wanted = {model.name: model.wanted for model in desired.models}
    alive = keeps_running(step.containers, container_name(desired.name))
    # A server that was just started opens its port only once its models have settled.
    await_answer(step.serving, desired.models[0].name, step.clock, timeout_s=timeout_s, alive=alive)
    overlap = model_config.overlap(config_in_force(desired, observed), desired.config_text)
    _load(step, overlap)
    await_available(step.serving, wanted, step.clock, timeout_s=timeout_s, others_allowed=True, alive=alive)
    _prove(step, wanted)
    if overlap != desired.config_text:
        _load(step, desired.config_text)
        await_available(step.serving, wanted, step.clock, timeout_s=timeout_s, alive=alive)


def replace(step: Step, *, timeout_s: float, grace_s: float) -> None:
    """A new container in place of the present one, which is kept under the previous name, stopped."""
    plan, containers = step.plan, step.containers
    name, previous = container_name(plan.desired.name), previous_name(plan.desired.name)
    _keep(step, grace_s=grace_s)
    containers.stop(previous, grace_s=grace_s)
    containers.remove(name)
    step.files.write_config(plan.desired.config_text)
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
    _prove(step, wanted)


def go_back(step: Step, release: Release, *, timeout_s: float, grace_s: float) -> None:
    """Make the host serve ``release`` again, and prove that it does. Raises HostError when that fails."""
    service = step.plan.desired.name
    containers, name, previous = step.containers, container_name(service), previous_name(service)
    step.files.write_config(release.config_text)
    present, kept = containers.inspect(name), containers.inspect(previous)
    if kept and _runs(kept, release) and not (present and _runs(present, release)):
        containers.stop(name, grace_s=grace_s)
        containers.remove(name)
        containers.rename(previous, name)
        containers.start(name)
    elif present and present.running and _runs(present, release):
        if _holds_too_much(step, present, release):
            containers.stop(name, grace_s=grace_s)
            containers.start(name)
        else:
            _load_again(step, release.config_text, timeout_s=timeout_s, grace_s=grace_s)
    elif present and _runs(present, release):
        containers.start(name)
    else:
        raise NotHealthy(
            f"the container of release {release.id} is no longer on the host",
            hint=f"deploy the previous inventory again to make it: release {release.id}",
        )
    try:
        await_available(step.serving, release.models, step.clock, timeout_s=timeout_s)
    except HostError:
        containers.stop(name, grace_s=grace_s)
        containers.start(name)
        await_available(step.serving, release.models, step.clock, timeout_s=timeout_s)
    try:
        _prove(step, release.models)
    except WrongAnswer as error:
        # It answers, as it did before. What it is held to is today's golden file, which may be what is wrong.
        step.say(f"it serves {release.id} again, which today's golden file does not agree with: {error.message}")
    step.files.write_release(release)


def go_back_unrecorded(step: Step, *, timeout_s: float, grace_s: float) -> None:
    """Where no release was ever proven: the container that ran before, if there was one, else none."""
    plan, containers = step.plan, step.containers
    name, previous = container_name(plan.desired.name), previous_name(plan.desired.name)
    before = plan.observed.container.value if isinstance(plan.observed.container, Present) else None
    if before is None or not before.running:
        containers.remove(name)
        step.files.forget_release()
        return
    text = config_in_force(plan.desired, plan.observed)
    if not text:
        kept_as = f"; it is kept, stopped, as {previous}" if containers.inspect(previous) else ""
        raise NotHealthy("nothing tells what the container before served", hint=f"deploy what it shall serve{kept_as}")
    step.files.write_config(text)
    present, kept = containers.inspect(name), containers.inspect(previous)
    if kept and kept.id == before.id:
        containers.remove(name)
        containers.rename(previous, name)
        containers.start(name)
    elif present and present.id == before.id:
        _load_again(step, text, timeout_s=timeout_s, grace_s=grace_s)
        containers.start(name)
    else:
        raise NotHealthy("the container that served before is no longer on the host", hint="deploy again")
    wanted = {
        model: entry.versions for model, entry in model_config.wanted(model_config.parse(text, where=name)).items()
    }
    await_available(step.serving, wanted, step.clock, timeout_s=timeout_s)


def _load_again(step: Step, config_text: str, *, timeout_s: float, grace_s: float) -> None:
    """Reload what served before. Errors are for the caller to find in the states.

    A reload that hangs holds a lock that every later one waits for (server_core.cc): a server that nobody sends
    requests is started anew then, or no run after this one could change it.
    """
    try:
        step.serving.reload(config_text, deadline_s=RELOAD_CALL_S)
    except DeadlineExceeded:
        if step.balancer is not None:
            name = container_name(step.plan.desired.name)
            step.containers.stop(name, grace_s=grace_s)
            step.containers.start(name)
    except HostError:
        with suppress(HostError):
            _load_before_labels(step, config_text, timeout_s=timeout_s)


def _load_before_labels(step: Step, config_text: str, *, timeout_s: float) -> None:
    """A label that moves back to a version which has left memory is refused, and the version stays out of it with that:
    labels are checked before anything is loaded (server_core.cc, UpdateModelVersionLabelMap).
    """
    unlabelled = model_config.without_labels(config_text)
    if unlabelled == config_text:
        return
    step.serving.reload(unlabelled, deadline_s=RELOAD_CALL_S)
    entries = model_config.wanted(model_config.parse(config_text, where=step.plan.desired.name))
    wanted = {model: entry.versions for model, entry in entries.items()}
    await_available(step.serving, wanted, step.clock, timeout_s=timeout_s, others_allowed=True)
    step.serving.reload(config_text, deadline_s=RELOAD_CALL_S)


def _runs(container: ContainerFacts, release: Release) -> bool:
    return container.labels.get(LABEL_SPEC) == spec_hash(release.container)


def _holds_too_much(step: Step, present: ContainerFacts, release: Release) -> bool:
    """Whether versions may be loaded beside which those of the release do not fit: only a new process is without them.

    A container that ran the release when it was looked at, and whose versions were not to be reloaded, holds its own.
    """
    observed = step.plan.observed
    before = observed.container.value.id if isinstance(observed.container, Present) else ""
    config = observed.config_text.value if isinstance(observed.config_text, Present) else ""
    return step.plan.apart and not (present.id == before and config == release.config_text)


def _keep(step: Step, *, grace_s: float) -> None:
    """Rename the container that runs the recorded release to the previous name, unless it has it already.

    After an interruption the container under the service's name may be one that nobody has proven; the one worth
    keeping is then already under the previous name. Where no release is recorded, one that runs is worth keeping.
    """
    plan, containers = step.plan, step.containers
    name, previous = container_name(plan.desired.name), previous_name(plan.desired.name)
    present = containers.inspect(name)
    release = plan.observed.release
    worth = present is not None and (_runs(present, release.value) if isinstance(release, Present) else present.running)
    if not worth:
        return
    containers.stop(name, grace_s=grace_s)
    containers.remove(previous)
    containers.rename(name, previous)


def _load(step: Step, config_text: str) -> None:
    """File first, then memory: a server that restarts in between comes up with what was about to be loaded.

    The call waits for models that are new to the server, and its deadline does not cancel the work there. So a
    deadline is no failure: the caller reads the states back, as it has to after an OK.
    """
    step.files.write_config(config_text)
    with suppress(DeadlineExceeded):
        step.serving.reload(config_text, deadline_s=RELOAD_CALL_S)


def _prove(step: Step, wanted: Mapping[str, Sequence[int]]) -> None:
    """One golden request of each version: enough to give up the old one, not yet to send traffic."""
    requests = {model.name: model.golden for model in step.plan.desired.models}
    answer_golden(step.serving, requests, wanted, step.clock, times=1, deadline_s=REQUEST_S)


TASK = Activate()
