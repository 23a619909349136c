"""``preflight``: refuse a host that cannot take what is planned, before anything is changed on it."""

from __future__ import annotations

from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.errors import PreflightRefused
from fleetdeploy.tasks.step import NoArguments, Step


class Preflight:
    """The checks themselves are the planner's refusals; this asks the balancer, which the planner cannot see."""

    name = "preflight"
    arguments = NoArguments
    touches_traffic = False
    prepares = False
    per_host = False
    delegable = False
    optional = False
    commands = ()
    looks_only = True
    no_undo = "it only looks"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: NoArguments) -> str:  # noqa: ARG002
        return "look before touching" if plan.changed else ""

    def act(self, step: Step, arguments: NoArguments) -> None:  # noqa: ARG002
        if step.balancer is None or not step.pools:
            return
        seen = {member.pool for member in step.balancer.members(step.pools) if member.server == step.server}
        missing = [pool for pool in step.pools if pool not in seen]
        if missing:
            raise PreflightRefused(
                f"the balancer has no server {step.server!r} in pool {', '.join(missing)}",
                where=step.session.host.name,
                hint="add it to the balancer, or mend `balancer.pools` or `balancer.server`",
            )

    def undo(self, step: Step, arguments: NoArguments) -> None:
        """Nothing was done."""

    def longest_s(self, plan: ServicePlan, arguments: NoArguments) -> float:  # noqa: ARG002
        return 0.0


TASK = Preflight()
