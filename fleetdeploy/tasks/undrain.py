"""``undrain``: put the host back into its balancer and wait until the balancer holds it for healthy."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.tasks.drain import put_back
from fleetdeploy.tasks.step import Step


class Arguments(BaseModel):
    """``undrain: {timeout: 1m}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout: Duration = Field(default=60.0, description="how long the balancer's health check may take to pass")


class Undrain:
    """Does its work also for a host that an earlier run drained and never put back."""

    name = "undrain"
    arguments = Arguments
    touches_traffic = True
    prepares = False
    per_host = False
    delegable = False
    optional = False
    commands = ()
    looks_only = False
    no_undo = "its opposite is `drain`, which a revert never wants"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        needed = plan.undrain or plan.activation not in {Activation.NOTHING, Activation.VERIFY}
        if needed and not balanced and isinstance(plan.observed.drained_by, Present):
            return "remove the drain marker: the host is in no balancer any longer"
        return "put the host back into its balancer" if balanced and needed else ""

    def act(self, step: Step, arguments: Arguments) -> None:
        put_back(step, deadline_s=arguments.timeout)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """A revert ends with the host in its balancer as well."""

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:  # noqa: ARG002
        return arguments.timeout


TASK = Undrain()
