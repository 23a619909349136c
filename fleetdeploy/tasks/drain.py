"""``drain``: take the host out of its balancer and wait until it has no request in flight."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.errors import BalancerFailed, InMaintenance
from fleetdeploy.tasks.step import Step

UNDRAIN_S = 60.0


class Arguments(BaseModel):
    """``drain: {timeout: 1m}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout: Duration = Field(default=60.0, description="how long requests in flight may take to end")


def put_back(step: Step, *, deadline_s: float) -> None:
    """Undrain a host and clear its marker, whoever of our runs drained it; where it is in no balancer any longer, the
    marker alone. Raises BalancerFailed; of a host that somebody has in maintenance the marker stays, because what we
    drained may lie beneath that.
    """
    if step.balancer is not None and step.pools:
        step.balancer.undrain(step.pools, step.server, deadline_s=deadline_s, check=step.session.leases().check)
    step.files.clear_drained()


class Drain:
    """The host records the drain before it happens, so that any later run knows to put the host back."""

    name = "drain"
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
        # What an earlier run drained and could not prove stays out until it is proven, or is taken back.
        needed = plan.activation not in {Activation.NOTHING, Activation.VERIFY} or (
            plan.activation is Activation.VERIFY and plan.undrain
        )
        return "take the host out of its balancer" if balanced and needed else ""

    def act(self, step: Step, arguments: Arguments) -> None:
        if step.balancer is None:
            raise BalancerFailed("no balancer to drain from", where=step.session.host.name)
        step.files.mark_drained(step.run)
        check = step.session.leases().check
        try:
            step.balancer.drain(step.pools, step.server, deadline_s=arguments.timeout, check=check)
        except InMaintenance as error:
            ours = error.told or step.committed or isinstance(step.plan.observed.drained_by, Present)
            if not ours:
                step.files.clear_drained()  # nothing is out by us: what a person does there next is not ours to end
            raise

    def undo(self, step: Step, arguments: Arguments) -> None:  # noqa: ARG002
        """Back into the balancer, where something served before; elsewhere the next run does it, once it has proof.

        A host that was kept out because others have a newer release stays out until it has that release as well.
        """
        observed = step.plan.observed
        if observed.owes:
            return
        ran = isinstance(observed.container, Present) and observed.container.value.running
        if isinstance(observed.release, Present) or (ran and not isinstance(observed.drained_by, Present)):
            put_back(step, deadline_s=UNDRAIN_S)


TASK = Drain()
