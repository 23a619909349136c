"""One command that may change the fleet: held back where it must wait, and told of when it has ended.

Whatever came of it, metrics are written and people are told, behind its own last line, and that never changes its exit
code. Of a run that had an outcome the journal tells who was told, and who could not be.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from fleetdeploy.errors import FleetdeployError, InputError

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project
    from fleetdeploy.cli.changing.holding_back import HoldBack
    from fleetdeploy.domain.freeze import Freeze
    from fleetdeploy.domain.outcome import RunOutcome
    from fleetdeploy.domain.plan import Plan
    from fleetdeploy.domain.protocols import Clock
    from fleetdeploy.domain.settings import Settings
    from fleetdeploy.report.ending import Ending
    from fleetdeploy.rollout.emitter import Emitter

PENDING = 10


@dataclass
class Attempt:
    """``freezes`` says whether freeze windows hold it back. ``unattended`` is what a timer starts: what is held back is
    pending, and the rest is done. ``retry_after_s`` is how long a release that failed is left alone, 0 for not at all.

    ``emit`` is filled in once the run has a journal, ``repeats`` once it is known that the run before ended in the same
    words: people were told of them then.
    """

    arguments: argparse.Namespace
    settings: Settings
    ending: Ending
    clock: Clock
    freezes: bool = True
    unattended: bool = False
    retry_after_s: float = 0.0
    emit: Emitter | None = None
    repeats: bool = False
    _held_back: HoldBack | None = field(default=None, init=False)
    _over: bool = field(default=False, init=False)

    def check(self, plan: Plan, changing: Sequence[str]) -> Sequence[str] | None:
        """Before anything is changed. Raises Frozen or TriedLately where something new would be rolled out, and may not
        be now.

        Hosts that are only put back into their balancer are no change to anybody, and are not held back. Where the run
        is to be about those alone that need not wait they are returned, None where it is about all.
        """
        from fleetdeploy.report.ending import only_comes_back

        self.ending.plan, self.ending.changing = plan, tuple(changing)
        new = [name for name in changing if not only_comes_back(plan.hosts[name])]
        self._held_back = held = self._held(plan, changing, new)
        if held is None:
            return None
        self.ending.held_back = held.news
        rest = [name for name in changing if name not in held.hosts]
        if rest and self.unattended:
            return rest
        if self.unattended:
            held.error.exit_code = PENDING
        raise held.error

    def _held(self, plan: Plan, changing: Sequence[str], new: Sequence[str]) -> HoldBack | None:
        from fleetdeploy.cli.changing import holding_back
        from fleetdeploy.cli.changing.called import command_line
        from fleetdeploy.rollout.foresight.setbacks import setback_of

        freeze, now_s, again = self._freeze(), self.clock.now_s(), command_line(self.arguments)
        if freeze and new and self.freezes and not self.arguments.during_freeze:
            back = [name for name in changing if name not in new]
            return holding_back.by_freeze(freeze, new, again=again, back=back, away=tuple(plan.unreachable))
        runs = self.arguments.state_dir / "runs"
        setback = setback_of(runs, [plan.hosts[name] for name in new], now_s=now_s) if self.retry_after_s else None
        if setback is None or now_s >= (over_s := setback.over_s(self.retry_after_s)):
            return None
        held = [name for name in new if setback.holds(plan.hosts[name])]
        if not held:
            return None
        return holding_back.by_setback(setback, over_s, held, again=again, away=tuple(plan.unreachable))

    def judged(self, outcome: RunOutcome) -> RunOutcome:
        """The outcome, with what was held back."""
        from fleetdeploy.rollout.naming import named
        from fleetdeploy.rollout.verdict import SOME_SKIPPED

        if self._held_back is None or outcome.exit_code not in {0, SOME_SKIPPED}:
            return outcome
        held = self._held_back
        more = f"{len(held.hosts)} more would change"
        if outcome.exit_code:
            return replace(outcome, last_line=f"{outcome.last_line}; {held.word}: {more}")
        text = f"{held.word}: {named(list(outcome.hosts))} {held.rest}, {more}"
        return replace(outcome, exit_code=PENDING, last_line=text)

    def over(self, exit_code: int, refusal: str = "", *, outcome: RunOutcome | None = None) -> None:
        """It has ended, and that is on the terminal. Only the first call counts."""
        if self._over:
            return
        self._over = True
        from fleetdeploy.cli.changing.missed import Missed
        from fleetdeploy.cli.changing.telling import tell
        from fleetdeploy.domain.settings import News

        ending = self.ending
        ending.exit_code, ending.outcome, ending.ended_s = exit_code, outcome, self.clock.now_s()
        ending.error, ending.frozen, ending.debts = refusal, self._freeze(), self._debts()
        missed = Missed(self.arguments, self.unattended)
        missed.say(
            {**self._write_metrics(), **tell(self, missed)},
            only_news=self.repeats or ending.news is News.UNCHANGED,
        )

    def _freeze(self) -> Freeze | None:
        from fleetdeploy.domain.freeze import freeze_at

        return freeze_at(self.settings.freeze, datetime.fromtimestamp(self.clock.now_s(), tz=timezone.utc))

    def _debts(self) -> int | None:
        from fleetdeploy.cli.binding.project import debts_of

        try:
            return sum(1 for _ in debts_of(self.arguments).everybodys())
        except (FleetdeployError, OSError):
            return None

    def _write_metrics(self) -> dict[str, str]:
        """What could not be written, and why."""
        path = getattr(self.arguments, "textfile", None) or self.settings.textfile
        if path is None:
            return {}
        from fleetdeploy.report import textfile

        try:
            textfile.write(path, self.ending)
        except OSError as error:
            return {str(path): f"the metrics cannot be written: {path}: {error.strerror}"}
        return {}


def begin(arguments: argparse.Namespace, command: str, *, freezes: bool = True, unattended: bool = False) -> Attempt:
    """Read the settings, and see to it that the end is told of. Raises InputError for settings that are wrong.

    What no freeze holds back is not held back by a mistake in the settings either: that is told, and nobody else is.
    """
    from fleetdeploy.cli.binding.project import read_settings, sources_of
    from fleetdeploy.cli.changing.missed import note
    from fleetdeploy.domain.settings import Settings
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.report.ending import Ending

    clock = SystemClock()
    try:
        settings = read_settings(arguments)
    except InputError as error:
        if freezes:
            raise
        note(f"the settings are passed over: {error}")
        settings = Settings()
    inventory = ",".join(map(str, sources_of(arguments)))
    ending = Ending(command, inventory, clock.now_s())
    attempt = Attempt(arguments, settings, ending, clock, freezes, unattended)
    arguments.afterwards.append(attempt.over)
    return attempt


def narrowed(project: Project, plan: Plan, names: Sequence[str]) -> tuple[Project, Plan]:
    """Both with these hosts alone, and those that could not be reached; capacity is still that of the whole plays."""
    kept = {*names, *plan.unreachable}
    plays = [replace(bound, hosts=tuple(name for name in bound.hosts if name in kept)) for bound in project.plays]
    by_name = project.targets.by_name
    others = {name: target.host for name, target in by_name.items() if name not in kept}
    targets = replace(
        project.targets,
        by_name={name: target for name, target in by_name.items() if name in kept},
        beyond={**project.targets.beyond, **others},
    )
    whole = replace(project, plays=tuple(bound for bound in plays if bound.hosts), targets=targets)
    seen = {name: plan.hosts[name].observed if name in plan.hosts else None for name in others}
    mine = {name: plan.hosts[name] for name in names}
    return whole, replace(plan, hosts=mine, beyond={**plan.beyond, **seen})
