"""What a run would do: its hosts are looked at, nothing is changed anywhere, and what is foreseen is shown."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from fleetdeploy.errors import PreflightRefused

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project
    from fleetdeploy.domain.forecast import Forecast
    from fleetdeploy.domain.plan import Plan
    from fleetdeploy.domain.protocols import Fleet
    from fleetdeploy.rollout.foresight.durations import Durations

Settle = Callable[["Project", "Fleet"], "Project"]
"""Makes of a project the one that is meant, by what it reads on the hosts."""


def foreseen(project: Project, arguments: argparse.Namespace, *, settle: Settle | None = None) -> Forecast:
    """Look at the hosts, and tell what the project's plays would do to them."""
    from fleetdeploy.cli.binding.project import new_run
    from fleetdeploy.remote.clock import SystemClock
    from fleetdeploy.remote.fleet import SshFleet
    from fleetdeploy.rollout.emitter import Emitter

    fleet = SshFleet(hosts=project.inventory.hosts, connect_timeout_s=arguments.timeout)
    try:
        meant = settle(project, fleet) if settle else project
        emit = Emitter(new_run(meant.targets.stamp), SystemClock(), redactor=arguments.redactor)
        plan = meant.targets.observe(fleet, emit, forks=arguments.forks)
        return expected(plan, meant, arguments, fleet)
    finally:
        fleet.close()


def expected(plan: Plan, project: Project, arguments: argparse.Namespace, fleet: Fleet) -> Forecast:
    """How the plays would go over hosts that were looked at already."""
    from fleetdeploy.rollout.foresight.forecast import forecast

    return forecast(plan, project.plays, fleet, forks=arguments.forks, durations=past(arguments))


def past(arguments: argparse.Namespace) -> Durations:
    """How long earlier runs took for what."""
    from fleetdeploy.rollout.foresight.past_runs import durations_of

    return durations_of(arguments.state_dir / "runs")


def show(found: Forecast, arguments: argparse.Namespace, *, diff: bool) -> None:
    """Print it, as JSON where that is asked for; for people ``diff`` adds the differences."""
    from rich.text import Text

    from fleetdeploy.cli.binding.project import print_json
    from fleetdeploy.report import terminal
    from fleetdeploy.report.plan import as_json, text

    if arguments.json:
        print_json(as_json.plan(found))
        return
    out = terminal.console(stderr=False, no_color=arguments.no_color)
    for line in text.lines(found, diff=diff, every_name=bool(arguments.verbose)):
        terminal.put(out, line, hanging=True)
    terminal.put(out, Text(text.last_line(found), style="bold"))


def refusal_exit_code(found: Forecast, *, allow_unreachable: bool = False) -> int:
    """That of a run that would be refused, be it for hosts that are down; 0 where it would go on."""
    down = found.plan.unreachable and not allow_unreachable
    return found.refusal_exit_code or (PreflightRefused.exit_code if down else 0)
