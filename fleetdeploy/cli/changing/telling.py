"""People are told how a command ended, after what they did not hear of earlier ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from fleetdeploy.cli.changing.attempt import Attempt
    from fleetdeploy.cli.changing.missed import Kept, Missed, Unheard
    from fleetdeploy.domain.settings import Recipient

NOT_TOLD = "people may not have been told"
STILL_NOT_TOLD = "people may still not have been told of an earlier run"


@dataclass(frozen=True)
class _Letter:
    """What one recipient is to hear, and what came of it: ``kept`` is where it waits, if it is of an earlier run."""

    number: int
    recipient: Recipient
    name: str
    body: Mapping[str, object]
    kept: Kept | None = None
    why_not: str = ""


def tell(attempt: Attempt, missed: Missed) -> dict[str, str]:
    """By whom nobody may have been told, and why. What they do not hear waits for the next run."""
    if not attempt.settings.notify:
        return {}
    from fleetdeploy.cli.binding.opening import environment_for_commands
    from fleetdeploy.cli.changing.missed import Unheard
    from fleetdeploy.remote.outside import Outside
    from fleetdeploy.report import notify

    unheard = Unheard(attempt.arguments, attempt.settings.notify)
    letters = _letters(attempt, missed, unheard)
    if not letters:
        return {}
    outside = Outside(environment_for_commands(attempt.arguments))
    messages = [notify.Message(item.recipient, item.body, late=item.kept is not None) for item in letters]
    reasons = notify.tell(messages, outside=outside, clock=attempt.clock)
    ended = [replace(letter, why_not=why) for letter, why in zip(letters, reasons, strict=True)]
    _into_the_journal(attempt, ended)
    return _left(ended, unheard, attempt.ending.ended_s)


def _letters(attempt: Attempt, missed: Missed, unheard: Unheard) -> list[_Letter]:
    from fleetdeploy.report import notify
    from fleetdeploy.rollout.locks.local import this_owner

    ending = attempt.ending
    whole = attempt.arguments.redactor.value(notify.body_of(ending, controller=this_owner()))
    body = cast("Mapping[str, object]", whole)
    letters: list[_Letter] = []
    recipients = attempt.settings.notify
    for number, (recipient, waiting) in enumerate(zip(recipients, unheard.waiting(ending.ended_s), strict=True)):
        meant = ending.news in recipient.about
        if not meant and not waiting:
            continue
        name = notify.name_of(recipient)
        letters += [_Letter(number, recipient, name, kept.body, kept) for kept in waiting]
        # What was told the time before is told again only to whom it did not reach, and for whom nothing was kept.
        if meant and (not attempt.repeats or (name in missed.before and not waiting)):
            letters.append(_Letter(number, recipient, name, body))
    return letters


def _into_the_journal(attempt: Attempt, letters: Sequence[_Letter]) -> None:
    from fleetdeploy.domain.events import Kind

    own = [item for item in letters if item.kept is None]
    told, failed = [item.name for item in own if not item.why_not], [item.why_not for item in own if item.why_not]
    late = [f"told {item.name} of run {item.body['run']}" for item in letters if item.kept and not item.why_not]
    texts = [*late, *(f"told {name}" for name in told), *(f"{NOT_TOLD}: {why}" for why in failed)]
    if attempt.emit is not None and texts:
        attempt.emit(Kind.NOTIFIED, "; ".join(texts), told=told, failed=failed)


def _left(letters: Sequence[_Letter], unheard: Unheard, ended_s: float) -> dict[str, str]:
    """What is to be said of those that nobody heard, by recipient; this run's are kept, what was heard no longer."""
    own: dict[str, list[str]] = {}
    late: dict[str, list[str]] = {}
    for item in letters:
        if item.kept is not None and not item.why_not:
            item.kept.heard()
        elif item.kept is not None:
            late.setdefault(item.name, []).append(item.why_not)
        elif item.why_not:
            own.setdefault(item.name, []).append(item.why_not + _kept(item, unheard, ended_s))
    texts = {name: f"{STILL_NOT_TOLD}: {'; '.join(dict.fromkeys(why))}" for name, why in late.items()}
    return {**texts, **{name: f"{NOT_TOLD}: {'; '.join(why)}" for name, why in own.items()}}


def _kept(letter: _Letter, unheard: Unheard, ended_s: float) -> str:
    """Nothing, or why it does not wait for the next run."""
    try:
        unheard.keep(letter.number, letter.body, ended_s)
    except OSError as error:
        return f" (nor can it wait for the next run: {error.strerror})"
    return ""
