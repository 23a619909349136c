"""One command that may change the fleet: held back where it must wait, and told of when it has ended.

Whatever came of it, metrics are written and people are told, behind its own last line, and that never changes its exit
code. Of a run that had an outcome the journal tells who was told, and who could not be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
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

    ``emit`` is filled in once the run has a journal.
    """

    arguments: argparse.Namespace
    settings: Settings
    ending: Ending
    clock: Clock
    freezes: bool = True
    unattended: bool = False
    retry_after_s: float = 0.0
    emit: Emitter | None = None
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

        freeze, now_s = self._freeze(), self.clock.now_s()
        if freeze and new and self.freezes and not self.arguments.during_freeze:
            return holding_back.by_freeze(freeze, new, back=[name for name in changing if name not in new])
        runs = self.arguments.state_dir / "runs"
        setback = setback_of(runs, [plan.hosts[name] for name in new], now_s=now_s) if self.retry_after_s else None
        if setback is None or now_s >= (over_s := setback.over_s(self.retry_after_s)):
            return None
        held = [name for name in new if setback.holds(plan.hosts[name])]
        return holding_back.by_setback(setback, over_s, held, again=command_line(self.arguments)) if held else None

    def judged(self, outcome: RunOutcome) -> RunOutcome:
        """The outcome, with what was held back."""
        from fleetdeploy.rollout.naming import named

        if self._held_back is None or outcome.exit_code != 0:
            return outcome
        held, done = self._held_back, named(list(outcome.hosts))
        text = f"{held.word}: {done} {held.rest}, {len(held.hosts)} more would change"
        return replace(outcome, exit_code=PENDING, last_line=text)

    def over(self, exit_code: int, refusal: str = "", *, outcome: RunOutcome | None = None) -> None:
        """It has ended, and that is on the terminal. Only the first call counts."""
        if self._over:
            return
        self._over = True
        ending = self.ending
        ending.exit_code, ending.outcome, ending.ended_s = exit_code, outcome, self.clock.now_s()
        ending.error, ending.frozen, ending.debts = refusal, self._freeze(), self._debts()
        self._write_metrics()
        self._tell()

    def _freeze(self) -> Freeze | None:
        from fleetdeploy.domain.freeze import freeze_at

        return freeze_at(self.settings.freeze, datetime.fromtimestamp(self.clock.now_s(), tz=timezone.utc))

    def _debts(self) -> int | None:
        from fleetdeploy.cli.binding.project import debts_of

        try:
            return sum(1 for _ in debts_of(self.arguments).everybodys())
        except (FleetdeployError, OSError):
            return None

    def _write_metrics(self) -> None:
        path = getattr(self.arguments, "textfile", None) or self.settings.textfile
        if path is None:
            return
        from fleetdeploy.report import textfile

        try:
            textfile.write(path, self.ending)
        except OSError as error:
            _note(f"the metrics cannot be written: {path}: {error.strerror}")

    def _tell(self) -> None:
        if not any(self.ending.news in item.about for item in self.settings.notify):
            return
        from fleetdeploy.cli.binding.opening import environment_for_commands
        from fleetdeploy.domain.events import Kind
        from fleetdeploy.remote.outside import Outside
        from fleetdeploy.report import notify
        from fleetdeploy.rollout.locks.local import this_owner

        redactor = self.arguments.redactor
        body = redactor.value(notify.body_of(self.ending, controller=this_owner()))
        outside = Outside(environment_for_commands(self.arguments))
        told, failed = notify.tell(self.settings.notify, self.ending, body, outside=outside, clock=self.clock)
        for text in failed:
            _note(f"nobody was told by {text}")
        if self.emit is not None:
            message = "; ".join([*(f"told {name}" for name in told), *(f"nobody was told by {why}" for why in failed)])
            self.emit(Kind.NOTIFIED, message, told=told, failed=failed)


def begin(arguments: argparse.Namespace, command: str, *, freezes: bool = True, unattended: bool = False) -> Attempt:
    """Read the settings, and see to it that the end is told of. Raises InputError for settings that are wrong.

    What no freeze holds back is not held back by a mistake in the settings either: that is told, and nobody else is.
    """
    from fleetdeploy.cli.binding.project import read_settings, sources_of
    from fleetdeploy.domain.settings import Settings
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.report.ending import Ending

    clock = SystemClock()
    try:
        settings = read_settings(arguments)
    except InputError as error:
        if freezes:
            raise
        _note(f"the settings are passed over: {error}")
        settings = Settings()
    inventory = ",".join(map(str, sources_of(arguments)))
    ending = Ending(command, inventory, clock.now_s())
    attempt = Attempt(arguments, settings, ending, clock, freezes, unattended)
    arguments.afterwards.append(attempt.over)
    return attempt


def narrowed(project: Project, plan: Plan, names: Sequence[str]) -> tuple[Project, Plan]:
    """Both with these hosts alone; capacity is still that of the whole plays."""
    plays = [replace(bound, hosts=tuple(name for name in bound.hosts if name in names)) for bound in project.plays]
    by_name = project.targets.by_name
    others = {name: target.host for name, target in by_name.items() if name not in names}
    targets = replace(
        project.targets,
        by_name={name: by_name[name] for name in names},
        beyond={**project.targets.beyond, **others},
    )
    whole = replace(project, plays=tuple(bound for bound in plays if bound.hosts), targets=targets)
    seen = {name: plan.hosts[name].observed if name in plan.hosts else None for name in others}
    mine = {name: plan.hosts[name] for name in names}
    return whole, replace(plan, hosts=mine, unreachable={}, beyond={**plan.beyond, **seen})


def _note(text: str) -> None:
    """On stderr, with --quiet as well: what was asked for in the settings did not happen."""
    with suppress(OSError):  # nobody reads
        print(f"note: {text}", file=sys.stderr)
