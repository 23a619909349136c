"""Back to what served before: to the recorded release, or where there never was one, to what ran."""

from __future__ import annotations

from contextlib import suppress

from fleetdeploy.domain.observed import Absent, ContainerFacts, Present, Release
from fleetdeploy.domain.plan import Activation
from fleetdeploy.errors import DeadlineExceeded, DockerFailed, HostError, NotHealthy, ReloadRefused, WrongAnswer
from fleetdeploy.gates.gpus import asked_for, check_gpus
from fleetdeploy.gates.readiness import CALL_S, await_available
from fleetdeploy.planning.before import config_in_force
from fleetdeploy.planning.container import container_name, previous_name
from fleetdeploy.tasks.activating.proof import prove
from fleetdeploy.tasks.activating.reload import call_s
from fleetdeploy.tasks.activating.replacement import runs
from fleetdeploy.tasks.activating.restart import HUNG, any_moves, clear, is_hung, restart
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import model_config
from fleetdeploy.tfserving.simulation import listed


def go_back(step: Step, release: Release, *, timeout_s: float, grace_s: float) -> None:
    """Make the host serve ``release`` again, and prove that it does. Raises HostError when that fails."""
    step.files.write_config(release.config_text)
    try:
        _container_back(step, release, timeout_s=timeout_s, grace_s=grace_s)
    except (DockerFailed, DeadlineExceeded) as error:
        if step.plan.activation is not Activation.RELOAD:
            raise
        # A reload leaves the container as it is, and the server is reached past Docker.
        step.say(f"only the server itself is told to go back, as Docker does not answer: {error.message}")
        with suppress(HostError):  # for the states to tell
            _load_labels_last(step, release.config_text, timeout_s=timeout_s)
    try:
        await_available(step.serving, release.models, step.clock, timeout_s=timeout_s)
    except HostError:
        restart(step, grace_s=grace_s)
        await_available(step.serving, release.models, step.clock, timeout_s=timeout_s)
    _with_gpus(step, release, timeout_s=timeout_s, grace_s=grace_s)
    try:
        prove(step, release.models)
    except WrongAnswer as error:
        # It answers, as it did before. What it is held to is today's golden file, which may be what is wrong.
        step.say(f"it serves {release.id} again, which today's golden file does not agree with: {error.message}")
    # What `verify` had recorded of this run was proven too early: nobody may ever go back to it.
    step.files.write_release(release, left=step.plan.release_id if step.plan.release_id != release.id else "")


def _container_back(step: Step, release: Release, *, timeout_s: float, grace_s: float) -> None:
    """The container of ``release`` under the service's name, its server told what to serve."""
    service = step.plan.desired.name
    containers, name, previous = step.containers, container_name(service), previous_name(service)
    present, kept = containers.inspect(name), containers.inspect(previous)
    if kept and runs(kept, release) and not (present and runs(present, release)):
        containers.stop(name, grace_s=grace_s)
        containers.remove(name)
        containers.rename(previous, name)
        containers.start(name)
    elif present and present.running and runs(present, release):
        if _holds_too_much(step, present, release):
            restart(step, grace_s=grace_s)
        else:
            _load_again(step, release.config_text, timeout_s=timeout_s, grace_s=grace_s)
    elif present and runs(present, release):
        # One that Docker restarts again and again is waited for by Docker, longer each time: it starts now instead.
        restart(step, grace_s=grace_s)
    else:
        raise NotHealthy(
            f"the container of release {release.id} is no longer on the host",
            hint=f"deploy the previous inventory again to make it: release {release.id}",
        )


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
    if isinstance(plan.observed.release, Absent):
        step.files.forget_release(left=plan.release_id)


def _load_again(step: Step, config_text: str, *, timeout_s: float, grace_s: float) -> None:
    """Reload what served before. Other errors are for the caller to find in the states.

    A server that does not take even this is started anew where nobody sends it requests, or no run after this one
    could change it.
    """
    try:
        _load_labels_last(step, config_text, timeout_s=timeout_s)
    except DeadlineExceeded:
        if is_hung(step.serving, config_text, final=True) or _held_up(step, config_text):
            clear(step, HUNG, grace_s=grace_s)
    except ReloadRefused as error:
        clear(step, f"the server refuses even what served before ({error.message})", grace_s=grace_s)
    except HostError:
        return


def _held_up(step: Step, config_text: str) -> bool:
    """Whether a model that is to go is still being loaded: the reload that brought it waits for it, and holds the lock.
    Where a version of ``config_text`` moves, this reload has begun.
    """
    back, new = listed(config_text), listed(step.plan.desired.config_text)
    try:
        moving = {model for model in {*back, *new} if any_moves(step.serving.status(model, deadline_s=CALL_S))}
    except NotHealthy:
        return False
    return bool(moving) and not moving & set(back)


def _load_labels_last(step: Step, config_text: str, *, timeout_s: float) -> None:
    """A label that moves back to a version which has left memory is refused, and the version stays out of it with that:
    labels are checked before anything is loaded (server_core.cc, UpdateModelVersionLabelMap). Versions come first then.
    """
    try:
        step.serving.reload(config_text, deadline_s=call_s(step))
        return
    except (DeadlineExceeded, NotHealthy):
        raise
    except HostError as error:  # refused, or its answer was lost: it may be sent again as often as one likes
        step.say(f"sent again, labels last, as it was not taken at once: {error.message}")
    step.serving.reload(model_config.without_labels(config_text), deadline_s=call_s(step))
    entries = model_config.wanted(model_config.parse(config_text, where=step.plan.desired.name))
    wanted = {model: entry.versions for model, entry in entries.items()}
    with suppress(DeadlineExceeded, NotHealthy):  # for the caller to find in the states
        await_available(step.serving, wanted, step.clock, timeout_s=timeout_s, others_allowed=True)
        step.serving.reload(config_text, deadline_s=call_s(step))


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
