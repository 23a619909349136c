"""``drain``: take the host out of its balancer and wait until it has no request in flight."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.observed import OUT_BY_ORDER, ObservedService, Present
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
    """The host records the drain before it happens, so that any later run knows to put the host back.

    Where an earlier run has it out already, in every pool, that run's marker stays: it tells the way back that this run
    has taken nothing out.
    """

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
        if not _is_out(step):
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

        A host that was kept out because others have a newer release stays out until it has that release as well. One
        that this run found drained is put back only behind an activation that was taken back: its record says nothing
        of what an earlier run has left there, see :func:`found_drained`.
        """
        observed = step.plan.observed
        if observed.owes:
            return
        ran = isinstance(observed.container, Present) and observed.container.value.running
        if isinstance(observed.release, Present) or (ran and not isinstance(observed.drained_by, Present)):
            put_back(step, deadline_s=UNDRAIN_S)

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:  # noqa: ARG002
        return arguments.timeout


def found_drained(before: ObservedService, now: ObservedService | None) -> bool:
    """Whether a run that has begun to drain a host has only found it drained by an earlier one, whose marker was there
    ``before``: it still is ``now``. A marker that cannot be read, as of None, is not taken for this run's.
    """
    if before.owes or not isinstance(before.drained_by, Present):
        return False
    return now is None or not isinstance(now.drained_by, Present) or now.drained_by == before.drained_by


def _is_out(step: Step) -> bool:
    """Whether an earlier run's drain holds, by the balancer's word: a marker alone may have outlived its drain."""
    observed = step.plan.observed
    if step.balancer is None or observed.owes or not isinstance(observed.drained_by, Present):
        return False
    members = [item for item in step.balancer.members(step.pools) if item.server == step.server]
    return bool(members) and all(item.traffic in OUT_BY_ORDER for item in members)


TASK = Drain()
