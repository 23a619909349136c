"""What a deploy was to bring about, kept beside its journal: a run is carried on only towards the same."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetdeploy.errors import InputError

if TYPE_CHECKING:
    from fleetdeploy.cli.project import Project

NAME = "wanted.json"


def keep(arguments: argparse.Namespace, project: Project, run: str) -> None:
    """Write it before anything is changed. Raises InputError where it cannot be written."""
    path = _directory(arguments, run) / NAME
    try:
        path.write_text(json.dumps(_wanted(arguments, project)), encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"what the run is to bring about cannot be written: {error.strerror}",
            where=str(path),
            hint="free space for the state directory, or name another one with --state-dir",
        ) from error


def check(arguments: argparse.Namespace, project: Project) -> None:
    """Of a run that is carried on: that inventory, models and playbook still want what it was begun for.

    Raises PlanOutdated with what differs. A run that was stopped before it changed anything has nothing to differ from.
    """
    resumed = getattr(arguments, "resumes", "")
    path = _directory(arguments, resumed) / NAME
    if not resumed or not path.exists():
        return
    from fleetdeploy.cli.rollout import command_line
    from fleetdeploy.report.plan_file import agreement

    try:
        then = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"what run {resumed} was to bring about cannot be read: {error}",
            where=str(path),
            hint=f"give its command again: {command_line(arguments)}",
        ) from error
    since, again = f"run {resumed} began", command_line(arguments)
    agreement.check_wanted(then, _wanted(arguments, project), since=since, again=again)


def _wanted(arguments: argparse.Namespace, project: Project) -> dict[str, Any]:
    from fleetdeploy.report.plan_file import agreement, document

    wanted = document.wanted(project.targets.by_name, project.plays, project.inventory.hosts)
    return agreement.as_stored(wanted, arguments.redactor)


def _directory(arguments: argparse.Namespace, run: str) -> Path:
    runs: Path = arguments.state_dir / "runs"
    return runs / run
