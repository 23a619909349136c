"""Why something new is not rolled out now: a freeze window, or a release that failed a short while ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fleetdeploy.domain.settings import News
from fleetdeploy.errors import FleetdeployError, Frozen, TriedLately
from fleetdeploy.report.plan.freeze import until_in_words
from fleetdeploy.report.wording import counted
from fleetdeploy.rollout.naming import named

if TYPE_CHECKING:
    from fleetdeploy.domain.freeze import Freeze
    from fleetdeploy.rollout.foresight.setbacks import Setback


@dataclass(frozen=True)
class HoldBack:
    """``hosts`` have to wait. ``error`` is for a person; a run about the other ones has a last line that begins with
    ``word`` and says with ``rest`` what came of them.
    """

    hosts: tuple[str, ...]
    error: FleetdeployError
    word: str
    rest: str
    news: News


def by_freeze(freeze: Freeze, new: Sequence[str], *, again: str, back: Sequence[str], away: Sequence[str]) -> HoldBack:
    """Which window, until when, and what to do; ``again`` is the command line of this attempt, ``away`` are hosts that
    cannot be reached.
    """
    reason = f" ({freeze.window.reason})" if freeze.window.reason else ""
    hint = "nothing was touched; wait (`rollback` is never held back)"
    if back:
        hint += f"\nonly to be put back, which is not frozen: {again} --limit {','.join(back)}"
    hint += f"\nor say why it cannot wait: {again} --during-freeze REASON"
    error = Frozen(f"frozen {until_in_words(freeze)}{reason}: {_would_change(new, away)}", hint=hint)
    return HoldBack(tuple(new), error, f"FROZEN {until_in_words(freeze)}", "put back", News.FROZEN)


def by_setback(setback: Setback, over_s: float, held: Sequence[str], *, again: str, away: Sequence[str]) -> HoldBack:
    """What failed, when it is tried again, and what to do; ``again`` is the command line of this attempt, ``away`` are
    hosts that cannot be reached.
    """
    until = f"until {datetime.fromtimestamp(over_s, tz=timezone.utc):%Y-%m-%d %H:%M:%SZ}"
    error = TriedLately(
        f"waiting {until}, as this release failed on {named(list(setback.hosts))} in run {setback.run}:"
        f" {_would_change(held, away)}",
        hint=f"nothing was touched; why it failed: `fleetdeploy runs show {setback.run}`\n"
        f"not to wait: {again} --retry-after 0",
    )
    return HoldBack(tuple(held), error, f"WAITING {until}", "done", News.WAITING)


def _would_change(new: Sequence[str], away: Sequence[str]) -> str:
    skipped = f"; skipped as unreachable: {named(list(away))}" if away else ""
    return f"{counted(len(new), 'host')} would change: {named(list(new))}{skipped}"
