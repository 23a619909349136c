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
    """``error`` is for a person, ``word`` what the last line of a run begins with that does the rest."""

    error: FleetdeployError
    word: str
    news: News


def by_freeze(freeze: Freeze, new: Sequence[str], *, back: Sequence[str]) -> HoldBack:
    """Which window, until when, and what to do."""
    reason = f" ({freeze.window.reason})" if freeze.window.reason else ""
    hint = "nothing was touched; wait, or say why it cannot wait: --during-freeze REASON; `rollback` is never held back"
    if back:
        hint += f"\nonly to be put back, which is not frozen: --limit {','.join(back)}"
    error = Frozen(f"frozen {until_in_words(freeze)}{reason}: {_would_change(new)}", hint=hint)
    return HoldBack(error, f"FROZEN {until_in_words(freeze)}", News.FROZEN)


def by_setback(setback: Setback, over_s: float, new: Sequence[str], *, again: str) -> HoldBack:
    """What failed, when it is tried again, and what to do; ``again`` is the command line of this attempt."""
    until = f"until {datetime.fromtimestamp(over_s, tz=timezone.utc):%Y-%m-%d %H:%M:%SZ}"
    error = TriedLately(
        f"waiting {until}, as this release failed on {named(list(setback.hosts))} in run {setback.run}:"
        f" {_would_change(new)}",
        hint=f"nothing was touched; why it failed: `fleetdeploy runs show {setback.run}`\n"
        f"not to wait: {again} --retry-after 0",
    )
    return HoldBack(error, f"WAITING {until}", News.WAITING)


def _would_change(new: Sequence[str]) -> str:
    return f"{counted(len(new), 'host')} would change: {named(list(new))}"
