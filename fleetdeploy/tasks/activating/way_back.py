"""Back to what served before: to the recorded release, or where there never was one, to what ran."""

from __future__ import annotations

from fleetdeploy.domain.observed import Absent, ContainerFacts, Present, Release
from fleetdeploy.domain.plan import Activation
from fleetdeploy.errors import DeadlineExceeded, DockerFailed, HostError, NotHealthy, WrongAnswer
from fleetdeploy.gates.gpus import asked_for, check_gpus
from fleetdeploy.gates.readiness import await_available, keeps_running
from fleetdeploy.planning.before import config_in_force
from fleetdeploy.planning.container import container_name, previous_name
from fleetdeploy.tasks.activating.proof import prove
from fleetdeploy.tasks.activating.reload_back import reload_back, settle
from fleetdeploy.tasks.activating.replacement import runs
from fleetdeploy.tasks.activating.restart import clear, restart
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import model_config
from fleetdeploy.tfserving.simulation import listed


def go_back(step: Step, release: Release, *, timeout_s: float, grace_s: float) -> None:
    """Make the host serve ``release`` again, and prove that it does. Raises HostError when that fails."""
    try:
        taken = _container_back(step, release, timeout_s=timeout_s, grace_s=grace_s)
    except (DockerFailed, DeadlineExceeded) as error:
        if step.plan.activation is not Activation.RELOAD:
            step.files.write_config(model_config.in_doubt(release.config_text))  # for whatever Docker starts
            raise
        # A reload leaves the container as it is, and the server is reached past Docker.
        step.say(f"only the server itself is told to go back, as Docker does not answer: {error.message}")
        taken = reload_back(step, release.config_text, recorded=True, timeout_s=timeout_s, grace_s=grace_s, alive=None)
    try:
        await_available(step.serving, release.models, step.clock, timeout_s=timeout_s)
    except HostError:
        restart(step, grace_s=grace_s)
        await_available(step.serving, release.models, step.clock, timeout_s=timeout_s)
        taken = True
    settle(step, release.config_text, taken=taken)
    _with_gpus(step, release, timeout_s=timeout_s, grace_s=grace_s)
    try:
        prove(step, release.models)
    except WrongAnswer as error:
        # It answers, as it did before. What it is held to is today's golden file, which may be what is wrong.
        step.say(f"it serves {release.id} again, which today's golden file does not agree with: {error.message}")
    # What `verify` had recorded of this run was proven too early: nobody may ever go back to it.
    step.files.write_release(release, left=step.plan.release_id if step.plan.release_id != release.id else "")


def _container_back(step: Step, release: Release, *, timeout_s: float, grace_s: float) -> bool:
    """The container of ``release`` under the service's name, its server told what to serve; whether it took that."""
    service = step.plan.desired.name
    containers, name, previous = step.containers, container_name(service), previous_name(service)
    present, kept = containers.inspect(name), containers.inspect(previous)
    here = present is not None and runs(present, release)
    if present and here and present.running and not _holds_too_much(step, present, release):
        alive = keeps_running(containers, name)
        return reload_back(step, release.config_text, recorded=True, timeout_s=timeout_s, grace_s=grace_s, alive=alive)
    step.files.write_config(model_config.in_doubt(release.config_text))
    if here:
        # One that Docker restarts again and again is waited for by Docker, longer each time: it starts now instead.
        restart(step, grace_s=grace_s)
    elif kept and runs(kept, release):
        containers.stop(name, grace_s=grace_s)
        containers.remove(name)
        containers.rename(previous, name)
        containers.start(name)
    else:
        raise NotHealthy(
            f"the container of release {release.id} is no longer on the host",
            hint=f"deploy the previous inventory again to make it: release {release.id}",
        )
    return True


def go_back_unrecorded(step: Step, *, timeout_s: float, grace_s: float) -> None:
    """Where no release was ever proven: the container that ran before, if there was one, else none."""
    plan, containers = step.plan, step.containers
    name, previous = container_name(plan.desired.name), previous_name(plan.desired.name)
    before = plan.observed.container.value if isinstance(plan.observed.container, Present) else None
    if before is None or not before.running:
        containers.remove(name)
        step.files.forget_release(left=plan.release_id)
        return
    text = config_in_force(plan.desired, plan.observed)
    if not text:
        kept_as = f"; it is kept, stopped, as {previous}" if containers.inspect(previous) else ""
        raise NotHealthy("nothing tells what the container before served", hint=f"deploy what it shall serve{kept_as}")
    present, kept = containers.inspect(name), containers.inspect(previous)
    if present and present.id == before.id:
        alive = keeps_running(containers, name)
        taken = reload_back(step, text, recorded=False, timeout_s=timeout_s, grace_s=grace_s, alive=alive)
        containers.start(name)
    else:
        taken = True
        step.files.write_config(model_config.in_doubt(text))
        if kept is None or kept.id != before.id:
            raise NotHealthy("the container that served before is no longer on the host", hint="deploy again")
        containers.remove(name)
        containers.rename(previous, name)
        containers.start(name)
    wanted = {model: entry.versions for model, entry in listed(text).items()}
    await_available(step.serving, wanted, step.clock, timeout_s=timeout_s)
    settle(step, text, taken=taken)
    if isinstance(plan.observed.release, Absent):
        step.files.forget_release(left=plan.release_id)


def _with_gpus(step: Step, release: Release, *, timeout_s: float, grace_s: float) -> None:
    """A container that lost its GPUs gets them back by a restart, if at all. Raises NotHealthy where it does not."""
    wanted, name = asked_for(release.container.get("environment")), container_name(step.plan.desired.name)
    if not wanted:
        return
    try:
        check_gpus(step.containers, name, wanted=wanted)
    except NotHealthy as error:
        if not clear(step, error.message, grace_s=grace_s):
            return
        await_available(step.serving, release.models, step.clock, timeout_s=timeout_s)
        check_gpus(step.containers, name, wanted=wanted)
    except HostError as error:
        step.say(f"nothing tells whether the container has its GPUs: {error.message}")


def _holds_too_much(step: Step, present: ContainerFacts, release: Release) -> bool:
    """Whether versions may be loaded beside which those of the release do not fit: only a new process is without them.

    A container that ran the release when it was looked at, and whose versions were not to be reloaded, holds its own.
    """
    observed = step.plan.observed
    before = observed.container.value.id if isinstance(observed.container, Present) else ""
    config = observed.config_text.value if isinstance(observed.config_text, Present) else ""
    return step.plan.apart and not (present.id == before and config == release.config_text)
