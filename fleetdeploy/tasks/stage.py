"""``stage``: put version directories in place, complete and verified. Changes no traffic."""

from __future__ import annotations

from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.tasks.step import NoArguments, Step


class Stage:
    """Copies what the host lacks; see :meth:`fleetdeploy.domain.protocols.ServiceFiles.stage`."""

    name = "stage"
    arguments = NoArguments
    touches_traffic = False
    prepares = True
    per_host = False
    delegable = False
    optional = False
    commands = ()
    looks_only = False
    no_undo = "a staged version serves nothing until it is activated; `prune` removes it"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: NoArguments) -> str:  # noqa: ARG002
        return ", ".join(f"{item.model}/{item.version.number}" for item in plan.stage)

    def act(self, step: Step, arguments: NoArguments) -> None:  # noqa: ARG002
        files = step.files
        if step.plan.observed.staging:
            files.sweep_staging()
        for item in step.plan.stage:
            step.say(f"{item.model}/{item.version.number}: {item.copy_bytes} bytes to copy")
            files.stage(item, progress=step.progress)

    def undo(self, step: Step, arguments: NoArguments) -> None:
        """Nothing serves from it."""

    def longest_s(self, plan: ServicePlan, arguments: NoArguments) -> float:  # noqa: ARG002
        """Nothing is left to copy where something is activated: `activate` refuses a host on which a version lacks."""
        return 0.0


TASK = Stage()
