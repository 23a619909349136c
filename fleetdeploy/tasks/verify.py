"""``verify``: prove that the service serves what it shall, then record the release as the current one."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.observed import Absent, Present, RecordedVersion, Release
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.gates.agreement import check_file, check_memory, gone_models
from fleetdeploy.gates.gpus import ANSWER_S, asked_for, check_gpus
from fleetdeploy.gates.readiness import answer_golden, await_available, keeps_running
from fleetdeploy.gates.steadiness import stays_available
from fleetdeploy.planning.before import texts_before
from fleetdeploy.planning.container import container_name
from fleetdeploy.tasks.activating.proof import answers_s
from fleetdeploy.tasks.step import Step


class Arguments(BaseModel):
    """``verify: {timeout: 5m, golden: true, times: 3, min_healthy_time: 30s}``.

    The default of ``min_healthy_time`` is for a server that dies of its first requests: Docker starts one again
    within a second. It costs each host that long; what dies later needs minutes in a production playbook.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout: Duration = Field(default=300.0, description="how long the versions may take to be the only ones AVAILABLE")
    golden: bool = Field(default=True, description="whether golden requests must be answered as recorded")
    times: int = Field(default=3, ge=1, le=100, description="how many times in a row")
    request_timeout: Duration = Field(default=10.0, description="how long one golden request may take")
    min_healthy_time: Duration = Field(
        default=2.0, description="how long it must stay AVAILABLE, without a restart, and then answer once more"
    )
    gpus: bool = Field(default=True, description="whether nvidia-smi in the container must list the GPUs it was given")


def release_of(plan: ServicePlan, run: str) -> Release:
    """The record of ``plan`` once it is proven."""
    return Release(
        id=plan.release_id,
        service=plan.desired.name,
        run=run,
        models={model.name: model.wanted for model in plan.desired.models},
        labels={model.name: dict(model.labels) for model in plan.desired.models},
        config_text=plan.desired.config_text,
        container=plan.container.fields(),
        took_back=plan.desired.took_back,
        bind=plan.desired.wish.bind,
        config_shown=plan.desired.config_shown,
        contents={
            model.name: {
                item.number: RecordedVersion(item.manifest.digest, item.manifest.size_bytes) for item in model.versions
            }
            for model in plan.desired.models
        },
    )


class Verify:
    """AVAILABLE first, then file against memory, GPUs, and golden requests several times in a row; then the same for
    some time. Only then the release counts.
    """

    name = "verify"
    arguments = Arguments
    touches_traffic = True
    prepares = False
    per_host = False
    delegable = False
    optional = False
    commands = ()
    looks_only = False
    no_undo = "it changes nothing that serves; the record it writes is put right by the undo of `activate`"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        if plan.activation is Activation.NOTHING:
            return ""
        versions = "; ".join(f"{model.name} {', '.join(map(str, model.wanted))}" for model in plan.desired.models)
        return f"{versions} AVAILABLE" + (f", golden requests {arguments.times} times" if arguments.golden else "")

    def act(self, step: Step, arguments: Arguments) -> None:
        with step.log_on_failure():
            _prove(step, arguments)
        before, left = step.plan.observed, _not_struck(step.plan)
        if isinstance(before.release, Present) and (left or isinstance(before.history, Absent)):
            # What was proven before there were histories lacks a line, by which alone one can go back to it.
            step.files.write_release(before.release.value, left=left)
        step.files.write_release(release_of(step.plan, step.run))

    def undo(self, step: Step, arguments: Arguments) -> None:
        """See ``no_undo``."""

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:
        if plan.activation is Activation.NOTHING:
            return 0.0
        rounds = arguments.times + (1 if arguments.min_healthy_time else 0)
        golden = answers_s(plan, times=rounds, deadline_s=arguments.request_timeout) if arguments.golden else 0.0
        nvidia = ANSWER_S if arguments.gpus and asked_for(plan.container.environment) else 0.0
        return arguments.timeout + nvidia + golden + arguments.min_healthy_time


def _not_struck(plan: ServicePlan) -> str:
    """The release that the host's watchdog took back and left in the history, which it could not write; empty without
    one. Whatever is recorded next would make it the one to go back to.
    """
    watch, history, release = plan.observed.watch, plan.observed.history, plan.observed.release
    if not (isinstance(watch, Present) and isinstance(history, Present) and isinstance(release, Present)):
        return ""
    left = watch.value.release
    took = watch.value.state is WatchState.RESTORED and left != release.value.id
    return left if took and any(item.id == left for item in history.value) else ""


def _prove(step: Step, arguments: Arguments) -> None:
    """Everything that has to hold before the release is recorded. Raises HostError subclasses."""
    plan, desired = step.plan, step.plan.desired
    wanted, before = {model.name: model.wanted for model in desired.models}, texts_before(desired, plan.observed)
    name = container_name(desired.name)
    alive = keeps_running(step.containers, name)
    shall = {**gone_models(desired.config_text, before), **wanted}
    await_available(step.serving, shall, step.clock, timeout_s=arguments.timeout, alive=alive)
    check_file(step.files.read_config(), desired.config_text, secret=bool(desired.config_shown))
    check_memory(step.serving, desired.config_text, before=before)
    gpus = asked_for(plan.container.environment) if arguments.gpus else 0
    unknown = check_gpus(step.containers, name, wanted=gpus) if gpus else ""
    if unknown:
        step.say(unknown)
    answered = _answers(step, arguments, times=arguments.times, alive=alive)
    watched = arguments.min_healthy_time
    step.say(f"{answered} golden requests answered" + (f"; it is watched for {watched:g} s now" if watched else ""))
    if watched:
        stays_available(step.serving, wanted, step.clock, for_s=watched, alive=alive, over=lambda: step.ending)
        _answers(step, arguments, times=1, alive=alive)
        alive()


def _answers(step: Step, arguments: Arguments, *, times: int, alive: Callable[[], None]) -> int:
    models = step.plan.desired.models
    return answer_golden(
        step.serving,
        {model.name: model.golden for model in models if arguments.golden},
        {model.name: model.wanted for model in models},
        step.clock,
        times=times,
        deadline_s=arguments.request_timeout,
        alive=alive,
    )


TASK = Verify()
