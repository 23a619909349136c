"""Whether what the settings name is on this machine: said before a run ends and finds that nobody is told."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator

from fleetdeploy.cli.binding.opening import store_of
from fleetdeploy.cli.binding.project import read_settings
from fleetdeploy.config.settings.load import FILE
from fleetdeploy.errors import Problem


def tell_what_is_missing(arguments: argparse.Namespace) -> None:
    """Notes on stderr, and no error: the settings may be right for the machine that a timer runs on. Raises InputError
    for settings that are wrong.
    """
    from fleetdeploy.report.terminal import aside

    for problem in _missing(arguments):
        hint = f"; {problem.hint}" if problem.hint else ""
        aside(f"note: not on this machine: {problem.where}: {problem.message}{hint}")


def _missing(arguments: argparse.Namespace) -> Iterator[Problem]:
    """Programs and secrets of those who are told, and where metrics go. No secret is opened and no program run."""
    settings, file = read_settings(arguments), str(arguments.project / FILE)
    for recipient in settings.notify:
        if recipient.command and not shutil.which(recipient.command[0]):
            yield Problem(f"notify: there is no program {recipient.command[0]}", file, "check its path and its mode")
    yield from store_of(arguments).lacking(file)
    if settings.textfile and not settings.textfile.parent.is_dir():
        yield Problem(f"textfile: there is no directory {settings.textfile.parent}", file, "make it")
