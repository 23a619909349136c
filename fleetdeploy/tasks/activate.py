"""``activate``: make the service serve what it shall, in the cheapest safe way the planner chose.

Reload, in two halves, so that the old version is never given up for an unproven one:

1. a configuration under which old and new versions are both loaded is written to disk and loaded; the new ones must
   become AVAILABLE and answer a golden request;
2. the final configuration, with labels, is written and loaded; the old versions leave memory.

Replacement: the present container is stopped and kept under another name, and the new one is started beside it. A
revert needs no network and no registry: everything it starts is still on the host.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.errors import NotHealthy
from fleetdeploy.gates.agreement import differences
from fleetdeploy.planning.before import texts_before
from fleetdeploy.tasks.activating.proof import answers_s, prove
from fleetdeploy.tasks.activating.reload import Loading, loading_s, reload, reload_s
from fleetdeploy.tasks.activating.replacement import replace, replacement_s
from fleetdeploy.tasks.activating.way_back import go_back, go_back_unrecorded
from fleetdeploy.tasks.step import Step


class Arguments(BaseModel):
    """``activate: {timeout: 5m, stop_grace: 10s}``."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    timeout: Duration = Field(default=300.0, description="how long new versions may take to become AVAILABLE")
    stop_grace: Duration = Field(default=10.0, description="how long a replaced container gets to end by itself")


class Activate:
    """Reload or container replacement; on disk and in memory always the same configuration."""

    name = "activate"
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
        return "" if plan.activation is Activation.NOTHING else f"{plan.activation.value}: {plan.reason}"

    def act(self, step: Step, arguments: Arguments) -> None:
        if step.plan.activation is Activation.VERIFY:
            with step.log_on_failure():
                _finish(step, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)
            return
        if step.plan.stage:
            item = step.plan.stage[0]
            raise NotHealthy(
                f"version {item.version.number} of {item.model} is not on the host",
                hint="the playbook has to `stage` before it activates",
            )
        with step.log_on_failure():
            if step.plan.activation is Activation.RELOAD:
                reload(step, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)
            else:
                replace(step, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)

    def undo(self, step: Step, arguments: Arguments) -> None:
        """Back to the recorded release; where there never was one, back to no container.

        What an earlier run activated and could not prove goes back as well, but not under traffic.
        """
        release = step.plan.observed.release
        if step.plan.activation is Activation.VERIFY and not _left_behind(step):
            return
        if isinstance(release, Present):
            go_back(step, release.value, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)
        else:
            go_back_unrecorded(step, timeout_s=arguments.timeout, grace_s=arguments.stop_grace)

    def longest_s(self, plan: ServicePlan, arguments: Arguments) -> float:
        timeout_s, grace_s = arguments.timeout, arguments.stop_grace
        if plan.activation is Activation.NOTHING:
            return 0.0
        if plan.activation is Activation.VERIFY:
            return loading_s(plan, timeout_s=timeout_s) + grace_s + answers_s(plan)
        longest = reload_s if plan.activation is Activation.RELOAD else replacement_s
        return longest(plan, timeout_s=timeout_s, grace_s=grace_s)


def _left_behind(step: Step) -> bool:
    """Whether an interrupted run activated what serves now, and nobody gets answers from it yet."""
    idle = step.balancer is None or isinstance(step.plan.observed.drained_by, Present)
    return idle and isinstance(step.plan.observed.release, Present)


def _finish(step: Step, *, timeout_s: float, grace_s: float) -> None:
    """Load the configuration on disk where a run that was killed wrote it and did not load it.

    The versions are the same then, and only the server can tell of labels and of models that were to go.
    """
    text = step.plan.desired.config_text
    found = tuple(differences(step.serving, text, before=texts_before(step.plan.desired, step.plan.observed)))
    if not found:
        return
    step.say(f"its configuration on disk was not loaded: {'; '.join(found)}")
    wanted = {model.name: model.wanted for model in step.plan.desired.models}
    loading = Loading(step, timeout_s=timeout_s, grace_s=grace_s)
    prove(step, wanted, alive=loading.alive)
    loading.to(text, wanted, final=True)


TASK = Activate()
