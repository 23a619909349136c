"""``pause``: wait some time, or for a person to agree, before the host goes on."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.errors import Held
from fleetdeploy.tasks.step import Step


class Arguments(BaseModel):
    """``pause: {seconds: 30s}`` or ``pause: {prompt: "Is the dashboard green?"}``."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        json_schema_extra={"oneOf": [{"required": ["seconds"]}, {"required": ["prompt"]}]},
    )

    seconds: Duration = Field(default=0.0, description="how long to wait")
    prompt: str = Field(default="", min_length=1, max_length=200, description="what a person is asked, once a wave")


class Pause:
    """Only on hosts that this run changes. An interruption ends it; what is not a yes ends the rollout, held."""

    name = "pause"
    arguments = Arguments
    touches_traffic = False
    prepares = False
    per_host = True
    delegable = False
    optional = True
    commands = ()
    looks_only = True
    no_undo = "it only waits"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        if arguments.prompt:
            return f"ask: {arguments.prompt}"
        return f"wait {arguments.seconds:g} s" if arguments.seconds else ""

    def act(self, step: Step, arguments: Arguments) -> None:
        if arguments.prompt and not step.ask(arguments.prompt):
            raise Held(f"not agreed to: {arguments.prompt}", where=step.session.host.name)
        step.wait(arguments.seconds)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """Nothing was done."""

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:  # noqa: ARG002
        return arguments.seconds


TASK = Pause()
