"""How a command was called, as its run's journal tells it."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetdeploy.cli import options
from fleetdeploy.domain.redaction import MASKED

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project


def command_line(arguments: argparse.Namespace) -> str:
    """The command as typed, for the journal and for doing it again; values of ``-e`` may be secret and stay out."""
    return shlex.join(["fleetdeploy", *words_of(arguments)])


def words_of(arguments: argparse.Namespace) -> list[str]:
    """The same without the program's name; each value of ``-e`` is :data:`MASKED`."""
    secret = [value for value in arguments.extra_vars if value and not value.startswith("@")]
    words = list(getattr(arguments, "argv", sys.argv[1:]))
    for value in sorted(secret, key=len, reverse=True):
        words = [word.replace(value, MASKED) for word in words]
    return words


def resume_line(arguments: argparse.Namespace, run: str) -> str:
    """The command that carries this run on; what stands for values of ``-e`` is to be given once more."""
    words = ["fleetdeploy", "resume"]
    if arguments.state_dir != options.state_home():
        words += ["--state-dir", str(arguments.state_dir)]
    given = [word for name in _masked(arguments) for word in ("-e", f"{name}=...")]
    return shlex.join([*words, run, *given])


def how_called(arguments: argparse.Namespace, project: Project) -> dict[str, Any]:
    """What a run tells of itself so that ``resume`` can carry it on; no secret is in it.

    ``extra_vars`` are the names of all variables given with ``-e``, ``masked`` those whose values ``argv`` does not
    have; ``resumes`` the runs that it carries on, newest first. ``whole`` says that a host which this run ends well on
    has nothing left to do, whatever an earlier run left there.
    """
    from fleetdeploy.rollout.locks.local import this_owner

    calls = {call.task.name for bound in project.plays for call in bound.calls}
    parts = ("tags", "skip_tags", "start_at_task", "service")
    found: dict[str, Any] = {
        "argv": words_of(arguments),
        "during_freeze": getattr(arguments, "during_freeze", ""),
        "directory": str(Path.cwd()),
        "by": this_owner(),
        "extra_vars": _names(arguments, arguments.extra_vars),
        "masked": _masked(arguments),
        "resumes": list(getattr(arguments, "resumed_runs", ())),
        "whole": "activate" in calls and not any(getattr(arguments, name, None) for name in parts),
    }
    return {name: value for name, value in found.items() if value}


def _masked(arguments: argparse.Namespace) -> list[str]:
    """The names of the variables whose values are kept nowhere."""
    return _names(arguments, [text for text in arguments.extra_vars if not text.startswith("@")])


def _names(arguments: argparse.Namespace, given: Sequence[str]) -> list[str]:
    from fleetdeploy.cli.binding import extra_vars
    from fleetdeploy.cli.binding.opening import store_of

    return sorted(extra_vars.by_name(given, secrets=store_of(arguments)))
