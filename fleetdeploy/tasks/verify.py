"""``verify``: prove that the service serves what it shall, then record the release as the current one."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.gates.readiness import answer_golden, await_available, keeps_running
from fleetdeploy.planning.container import container_name
from fleetdeploy.tasks.step import Step


class Arguments(BaseModel):
    """``verify: {timeout: 5m, golden: true, times: 3}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout: Duration = Field(default=300.0, description="how long the versions may take to be the only ones AVAILABLE")
    golden: bool = Field(default=True, description="whether golden requests must be answered as recorded")
    times: int = Field(default=3, ge=1, le=100, description="how many times in a row")
    request_timeout: Duration = Field(default=10.0, description="how long one golden request may take")


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
    )


class Verify:
    """AVAILABLE first, then golden requests several times in a row. Only then the release counts."""

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
        models = step.plan.desired.models
        wanted = {model.name: model.wanted for model in models}
        with step.log_on_failure():
            alive = keeps_running(step.containers, container_name(step.plan.desired.name))
            await_available(step.serving, wanted, step.clock, timeout_s=arguments.timeout, alive=alive)
            if arguments.golden:
                answered = answer_golden(
                    step.serving,
                    {model.name: model.golden for model in models},
                    wanted,
                    step.clock,
                    times=arguments.times,
                    deadline_s=arguments.request_timeout,
                )
                step.say(f"{answered} golden requests answered")
        step.files.write_release(release_of(step.plan, step.run))

    def undo(self, step: Step, arguments: Arguments) -> None:
        """See ``no_undo``."""


TASK = Verify()
