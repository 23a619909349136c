"""A hot reload, in two halves, so that the old version is never given up for an unproven one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fleetdeploy.domain.plan import ServicePlan
from fleetdeploy.errors import DeadlineExceeded, NotHealthy, ReloadRefused
from fleetdeploy.gates.agreement import check_memory, gone_models
from fleetdeploy.gates.readiness import WAY_OUT, await_answer, await_available, keeps_running
from fleetdeploy.planning.before import config_in_force, texts_before
from fleetdeploy.planning.container import container_name
from fleetdeploy.tasks.activating.proof import answers_s, prove
from fleetdeploy.tasks.activating.restart import HUNG, clear, is_hung
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import model_config

RELOAD_CALL_S = 30.0
"""Deadline of the reload call itself; it may return before anything is loaded, or hang on a model that never loads."""


def reload(step: Step, *, timeout_s: float, grace_s: float) -> None:
    """The two halves of a hot reload. Raises HostError subclasses; the caller undoes."""
    desired, observed = step.plan.desired, step.plan.observed
    wanted = {model.name: model.wanted for model in desired.models}
    loading = Loading(step, timeout_s=timeout_s, grace_s=grace_s)
    # A server that was just started opens its port only once its models have settled.
    await_answer(step.serving, desired.models[0].name, step.clock, timeout_s=timeout_s, alive=loading.alive)
    overlap = model_config.overlap(config_in_force(desired, observed), desired.config_text)
    loading.to(overlap, wanted, final=overlap == desired.config_text)
    prove(step, wanted, alive=loading.alive)
    if overlap != desired.config_text:
        loading.to(desired.config_text, wanted, final=True)


class Loading:
    """Loads configurations into a running server. One that hangs is restarted, once."""

    def __init__(self, step: Step, *, timeout_s: float, grace_s: float) -> None:
        self._step = step
        self._timeout_s = timeout_s
        self._grace_s = grace_s
        self._name = container_name(step.plan.desired.name)
        self._restarted = False
        self.alive = keeps_running(step.containers, self._name)

    def to(self, text: str, wanted: Mapping[str, Sequence[int]], *, final: bool) -> None:
        """File first, then memory: a server that restarts in between comes up with what was about to be loaded.

        The file is marked until the ``final`` text was read back, so that a run after a death in between does not take
        the one for the other: no server tells of its labels and models unless it is asked for them by name.

        The call waits for models that are new to the server, and its deadline does not cancel the work there. So a
        deadline is no failure, and an OK no success: the states are read back in any case. Where ``final`` is not set,
        versions beside those of ``wanted`` may stay in memory.
        """
        step = self._step
        step.files.write_config(model_config.in_doubt(text))
        try:
            step.serving.reload(text, deadline_s=call_s(step.plan))
        except DeadlineExceeded:
            if is_hung(step.serving, text, final=final):
                self._restart()
        except ReloadRefused as error:
            error.hint = error.hint or hint_of(error)
            raise
        before = texts_before(step.plan.desired, step.plan.observed)
        shall = {**gone_models(text, before), **wanted} if final else wanted
        await_available(
            step.serving, shall, step.clock, timeout_s=self._timeout_s, others_allowed=not final, alive=self.alive
        )
        if final:
            check_memory(step.serving, text, before=before)
            step.files.write_config(text)

    def _restart(self) -> None:
        if self._restarted or not clear(self._step, HUNG, grace_s=self._grace_s):
            raise NotHealthy(
                f"{HUNG}, and nothing of the new configuration was begun",
                hint=f"when nobody needs this server, `docker restart {self._name}` on the host; then deploy again",
            )
        self._restarted = True
        self.alive = keeps_running(self._step.containers, self._name)


def reload_s(plan: ServicePlan, *, timeout_s: float, grace_s: float) -> float:
    """How long :func:`reload` may take: it waits for an answer, and for what each half is to load."""
    return timeout_s + 2 * loading_s(plan, timeout_s=timeout_s) + grace_s + answers_s(plan)


def loading_s(plan: ServicePlan, *, timeout_s: float) -> float:
    """How long :meth:`Loading.to` may take, without the one restart."""
    return call_s(plan) + timeout_s


def call_s(plan: ServicePlan) -> float:
    """How long a reload may take: a server that looks for versions seldom begins late, which is no hang."""
    scan = plan.desired.wish.flags.get("file_system_poll_wait_seconds", "")
    return max(RELOAD_CALL_S, 2 * float(scan)) if scan.isdecimal() else RELOAD_CALL_S


def hint_of(error: ReloadRefused) -> str:
    """What to do about a list that the server refused."""
    if "did not become available" in error.message:
        return WAY_OUT
    return "the server may remember a list that it refused: going back sends it the last good one, or restarts it"
