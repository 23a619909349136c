"""``prune``: remove old version directories, never one that serves, is wanted, or was the last good one."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import status


class Arguments(BaseModel):
    """``prune: {keep: 3}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    keep: int = Field(default=3, ge=1, description="how many of the newest versions of each model stay")


def prunable(plan: ServicePlan, keep: int) -> Mapping[str, tuple[int, ...]]:
    """Versions on the host that nothing needs, by model.

    Kept are the ``keep`` largest numbers, everything wanted, everything the recorded release holds, and everything
    that the server has in memory.
    """
    observed = plan.observed
    if not isinstance(observed.versions, Present):
        return {}
    release = observed.release.value.models if isinstance(observed.release, Present) else {}
    wanted = {model.name: set(model.wanted) for model in plan.desired.models}
    found = {}
    for model, versions in observed.versions.value.items():
        served = observed.served.get(model)
        needed = wanted.get(model, set()) | set(release.get(model, ())) | set(sorted(versions)[-keep:])
        if isinstance(served, Present):
            needed |= set(status.available(served.value))
        elif model in wanted:
            continue
        spare = tuple(sorted(set(versions) - needed))
        if spare:
            found[model] = spare
    return found


class Prune:
    """Only directories with a manifest of ours are looked at, so nothing else is ever removed."""

    name = "prune"
    arguments = Arguments
    touches_traffic = False
    prepares = False
    per_host = False
    delegable = False
    optional = True
    commands = ()
    looks_only = False
    no_undo = "what it removes can be staged again from the source"

    def summary(self, plan: ServicePlan, balanced: bool, arguments: Arguments) -> str:  # noqa: ARG002
        spare = prunable(plan, arguments.keep)
        return ", ".join(f"{model}/{number}" for model, numbers in spare.items() for number in numbers)

    def act(self, step: Step, arguments: Arguments) -> None:
        for model, numbers in prunable(step.plan, arguments.keep).items():
            step.files.remove_versions(model, numbers)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """Removed versions were needed by nothing."""


TASK = Prune()
