"""One command that may change the fleet: held back in a freeze window, and told of when it has ended.

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

from fleetdeploy.errors import FleetdeployError, Frozen, InputError

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project
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
    """``freezes`` says whether freeze windows hold it back; with ``puts_back`` the rest is done that is not held back.

    ``emit`` is filled in once the run has a journal.
    """

    arguments: argparse.Namespace
    settings: Settings
    ending: Ending
    clock: Clock
    freezes: bool = True
    puts_back: bool = False
    emit: Emitter | None = None
    _over: bool = field(default=False, init=False)

    def check(self, plan: Plan, changing: Sequence[str]) -> Sequence[str] | None:
        """Before anything is changed. Raises Frozen where something new would be rolled out in a freeze window.

        Hosts that are only put back into their balancer are no change to anybody, and are not held back. Where the run
        is to be about them alone they are returned, None where it is about all.
        """
        from fleetdeploy.report.ending import only_comes_back

        self.ending.plan, self.ending.changing = plan, tuple(changing)
        freeze = self._freeze()
        new = [name for name in changing if not only_comes_back(plan.hosts[name])]
        if freeze is None or not new or not self.freezes or self.arguments.during_freeze:
            return None
        back = [name for name in changing if name not in new]
        self.ending.kept_out = True
        if back and self.puts_back:
            return back
        raise frozen(freeze, new, back=back)

    def judged(self, outcome: RunOutcome) -> RunOutcome:
        """The outcome, with what still waits for the end of the freeze."""
        from fleetdeploy.rollout.naming import named

        freeze = self._freeze()
        if not self.ending.kept_out or outcome.exit_code != 0 or freeze is None:
            return outcome
        waiting = [name for name in self.ending.changing if name not in outcome.hosts]
        text = f"FROZEN {until(freeze)}: {named(list(outcome.hosts))} put back, {len(waiting)} more would change"
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


def begin(arguments: argparse.Namespace, command: str, *, freezes: bool = True, puts_back: bool = False) -> Attempt:
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
    attempt = Attempt(arguments, settings, ending, clock, freezes, puts_back)
    arguments.afterwards.append(attempt.over)
    return attempt


def narrowed(project: Project, plan: Plan, names: Sequence[str]) -> tuple[Project, Plan]:
    """Both with these hosts alone; capacity is still that of the whole plays."""
    plays = [replace(bound, hosts=tuple(name for name in bound.hosts if name in names)) for bound in project.plays]
    targets = replace(project.targets, by_name={name: project.targets.by_name[name] for name in names})
    whole = replace(project, plays=tuple(bound for bound in plays if bound.hosts), targets=targets)
    return whole, replace(plan, hosts={name: plan.hosts[name] for name in names}, unreachable={})


def frozen(freeze: Freeze, new: Sequence[str], *, back: Sequence[str] = ()) -> Frozen:
    """The refusal, for a person: which window, until when, and what to do."""
    from fleetdeploy.report.wording import counted
    from fleetdeploy.rollout.naming import named

    reason = f" ({freeze.window.reason})" if freeze.window.reason else ""
    hint = "nothing was touched; wait, or say why it cannot wait: --during-freeze REASON; `rollback` is never held back"
    if back:
        hint += f"\nonly to be put back, which is not frozen: --limit {','.join(back)}"
    return Frozen(
        f"frozen {until(freeze)}{reason}: {counted(len(new), 'host')} would change: {named(list(new))}", hint=hint
    )


def until(freeze: Freeze) -> str:
    """``until Mon 2026-02-02 08:00 CET``, on the clock of the window's zone."""
    from zoneinfo import ZoneInfo

    if freeze.until is None:
        return f"with no end in sight, by the window {freeze.window.when!r}"
    return f"until {freeze.until.astimezone(ZoneInfo(freeze.window.zone)):%a %Y-%m-%d %H:%M %Z}"


def _note(text: str) -> None:
    """On stderr, with --quiet as well: what was asked for in the settings did not happen."""
    with suppress(OSError):  # nobody reads
        print(f"note: {text}", file=sys.stderr)
