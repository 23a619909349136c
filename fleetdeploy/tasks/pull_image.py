"""``pull_image``: have the service's image on the host before anything is drained. Changes no traffic."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.tasks.step import Step


class Arguments(BaseModel):
    """``pull_image: {timeout: 10m}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout: Duration = Field(default=600.0, description="how long one pull may take")


class PullImage:
    """Pulls only what the host does not have under that reference."""

    name = "pull_image"
    arguments = Arguments
    touches_traffic = False
    prepares = True
    per_host = False
    delegable = False
    optional = False
    commands = ()
    looks_only = False
    no_undo = "an image that nothing runs changes nothing"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        return plan.desired.wish.image if plan.pull_image else ""

    def act(self, step: Step, arguments: Arguments) -> None:
        if step.plan.pull_image:
            step.containers.pull(step.plan.desired.wish.image, deadline_s=arguments.timeout)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """Nothing runs from it."""

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:  # noqa: ARG002
        return arguments.timeout


TASK = PullImage()
