"""A hot reload back to what served before, in the two halves of the one forward: nothing that answers leaves memory
before what it gives way to answers again. Where the first half does not come about, the second goes without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from fleetdeploy.domain.observed import Absent, Present
from fleetdeploy.errors import (
    DeadlineExceeded,
    HostError,
    InputError,
    LeaseLost,
    NotHealthy,
    ReloadRefused,
    WrongAnswer,
)
from fleetdeploy.gates.agreement import differences
from fleetdeploy.gates.readiness import CALL_S, await_answer, await_available
from fleetdeploy.planning.before import config_in_force, texts_before
from fleetdeploy.tasks.activating.proof import prove
from fleetdeploy.tasks.activating.reload import call_s
from fleetdeploy.tasks.activating.restart import HUNG, any_moves, clear, is_hung
from fleetdeploy.tasks.step import Step
from fleetdeploy.tfserving import model_config
from fleetdeploy.tfserving.simulation import listed
from fleetdeploy.tfserving.status import available

Versions = Mapping[str, Sequence[int]]


def reload_back(
    step: Step,
    config_text: str,
    *,
    recorded: bool,
    timeout_s: float,
    grace_s: float,
    alive: Callable[[], None] | None,
) -> bool:
    """Load ``config_text`` into a running server, file first; its states tell the caller what came of it.

    Whether the server said that it has it, or was started with it; the file stays marked for the caller to settle.

    What is ``recorded`` was proven once, and is again before anything leaves memory for it. Raises NotHealthy where it
    does not answer and the new versions do: then both stay as they are. Without ``alive`` Docker does not answer, and
    no server is restarted.
    """
    wanted = {model: entry.versions for model, entry in listed(config_text).items()}
    with suppress(
        HostError
    ):  # one that Docker has just started again; a server that stays silent is told by its states
        first = step.plan.desired.models[0].name
        await_answer(step.serving, first, step.clock, timeout_s=timeout_s, alive=alive or (lambda: None))
    # Versions that do not fit beside each other may only follow each other.
    if not step.plan.apart and _beside(step, config_text, wanted, timeout_s=timeout_s, alive=alive) and recorded:
        _prove_before(step, wanted, alive=alive)
    step.files.write_config(model_config.in_doubt(config_text))
    if alive is not None:
        return _load(step, config_text, timeout_s=timeout_s, grace_s=grace_s)
    with suppress(HostError):
        return _labels_last(step, config_text, timeout_s=timeout_s)
    return False


def settle(step: Step, config_text: str, *, taken: bool) -> None:
    """Take the mark off the file where the server has ``config_text``: it was ``taken``, or all that is asked agrees.

    A mark that stays costs the next run a reload; one that goes too early lets it take a wrong memory for a right one.
    """
    before = (*texts_before(step.plan.desired, step.plan.observed), step.plan.desired.config_text)
    try:
        agrees = taken or not any(differences(step.serving, config_text, before=before))
    except HostError:
        return
    if agrees:
        step.files.write_config(config_text)


def _beside(
    step: Step, config_text: str, wanted: Versions, *, timeout_s: float, alive: Callable[[], None] | None
) -> bool:
    """Have ``wanted`` AVAILABLE beside whatever is in memory, and listed. Whether that is so."""
    try:
        now = _in_force(step)
        # A version that is no longer listed may be AVAILABLE for a moment, and on its way out.
        if _lists(now, wanted) and _are_available(step, wanted):
            return True
        both = model_config.overlap(now, config_text)
        step.files.write_config(model_config.in_doubt(both))
        try:
            _send(step, both)
        except DeadlineExceeded:
            if is_hung(step.serving, both, final=False) or _held_up(step, config_text):
                raise
        await_available(
            step.serving, wanted, step.clock,
            timeout_s=timeout_s, others_allowed=True, alive=alive or (lambda: None),
        )  # fmt: skip
        return True
    except (HostError, InputError) as error:
        step.say(f"what served before is loaded in place of the new versions, and not beside them: {error.message}")
        return False


def _in_force(step: Step) -> str:
    """The configuration that the server must be taken to have by now."""
    text, observed = step.files.read_config(), step.plan.observed
    now = replace(observed, config_text=Absent() if text is None else Present(text))
    return config_in_force(step.plan.desired, now)


def _send(step: Step, text: str) -> None:
    """Once more where the answer was lost: it may be sent as often as one likes."""
    try:
        step.serving.reload(text, deadline_s=call_s(step.plan))
    except (DeadlineExceeded, LeaseLost, ReloadRefused):
        raise
    except HostError:
        step.serving.reload(text, deadline_s=call_s(step.plan))


def _prove_before(step: Step, wanted: Versions, *, alive: Callable[[], None] | None) -> None:
    """Have ``wanted`` answer. Raises NotHealthy where they do not, and what is to leave memory for them does."""
    try:
        prove(step, wanted, alive=alive)
    except WrongAnswer:
        return  # It is an answer, and held against today's golden file, which may be what is wrong.
    except NotHealthy:
        if _answer(step, _leaving(step, wanted)):
            step.say("what served before is loaded again and does not answer, so the new versions stay beside it")
            raise
    except HostError:
        return  # for the caller to find in the states


def _leaving(step: Step, wanted: Versions) -> Versions:
    new = {model.name: model.wanted for model in step.plan.desired.models}
    leaving = {model: tuple(sorted(set(numbers) - set(wanted.get(model, ())))) for model, numbers in new.items()}
    return {model: numbers for model, numbers in leaving.items() if numbers}


def _answer(step: Step, versions: Versions) -> bool:
    """Whether there are any, and each of them is AVAILABLE and answers as it shall."""
    try:
        prove(step, versions)
        return bool(versions) and _are_available(step, versions)
    except HostError:
        return False


def _lists(text: str, versions: Versions) -> bool:
    entries = listed(text)
    return all(model in entries and set(numbers) <= set(entries[model].versions) for model, numbers in versions.items())


def _are_available(step: Step, versions: Versions) -> bool:
    """Raises NotHealthy where the server does not answer."""
    return all(
        set(numbers) <= set(available(step.serving.status(model, deadline_s=CALL_S)))
        for model, numbers in versions.items()
    )


def _load(step: Step, config_text: str, *, timeout_s: float, grace_s: float) -> bool:
    """Reload what served before; whether the server has it. Other errors are for the caller to find in the states.

    A server that does not take even this is started anew where nobody sends it requests, or no run after this one
    could change it.
    """
    try:
        return _labels_last(step, config_text, timeout_s=timeout_s)
    except DeadlineExceeded:
        hung = is_hung(step.serving, config_text, final=True) or _held_up(step, config_text)
        return hung and clear(step, HUNG, grace_s=grace_s)
    except ReloadRefused as error:
        return clear(step, f"the server refuses even what served before ({error.message})", grace_s=grace_s)
    except HostError:
        return False


def _held_up(step: Step, config_text: str) -> bool:
    """Whether a model that is to go is still being loaded: the reload that brought it waits for it, and holds the lock.
    Where a version of ``config_text`` moves, this reload has begun.
    """
    back, new = listed(config_text), listed(step.plan.desired.config_text)
    try:
        moving = {model for model in {*back, *new} if any_moves(step.serving.status(model, deadline_s=CALL_S))}
    except NotHealthy:
        return False
    return bool(moving) and not moving & set(back)


def _labels_last(step: Step, config_text: str, *, timeout_s: float) -> bool:
    """A label that moves back to a version which has left memory is refused, and the version stays out of it with that:
    labels are checked before anything is loaded (server_core.cc, UpdateModelVersionLabelMap). Versions come first then.
    Whether the server took all of it.
    """
    try:
        step.serving.reload(config_text, deadline_s=call_s(step.plan))
        return True
    except (DeadlineExceeded, NotHealthy):
        raise
    except HostError as error:  # refused, or its answer was lost: it may be sent again as often as one likes
        step.say(f"sent again, labels last, as it was not taken at once: {error.message}")
    step.serving.reload(model_config.without_labels(config_text), deadline_s=call_s(step.plan))
    entries = model_config.wanted(model_config.parse(config_text, where=step.plan.desired.name))
    wanted = {model: entry.versions for model, entry in entries.items()}
    with suppress(DeadlineExceeded, NotHealthy):  # for the caller to find in the states
        await_available(step.serving, wanted, step.clock, timeout_s=timeout_s, others_allowed=True)
        step.serving.reload(config_text, deadline_s=call_s(step.plan))
        return True
    return False
