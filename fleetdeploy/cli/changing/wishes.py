"""What a run was to bring about, kept beside its journal: it is carried on only towards the same.

``wanted.json``, readable by its owner alone, is written before anything is changed. Of a deploy it holds what
inventory, models and playbook said, of a rollback its command line and the releases that it found out. Values of ``-e``
are not in it: a salted hash, slow to try, tells whether the same were given again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetdeploy.errors import InputError, PlanOutdated, PreflightRefused

if TYPE_CHECKING:
    from fleetdeploy.cli.binding.project import Project
    from fleetdeploy.cli.changing.aims import Aims

NAME = "wanted.json"
_GIVEN, _ARGV, _AIMS = "extra_vars", "argv", "aims"


def keep(arguments: argparse.Namespace, project: Project, run: str) -> None:
    """Of a deploy. Raises PreflightRefused where it cannot be written."""
    _write(_path(arguments, run), {**_wanted(arguments, project), _GIVEN: _hashed(arguments, secrets.token_hex(16))})


def keep_command(arguments: argparse.Namespace, command: str, run: str, aims: Aims | None = None) -> None:
    """Of a run that finds out on its hosts what it does: ``command`` names it, a rollback's ``aims`` say where each
    host goes. Raises like :func:`keep`.
    """
    _write(_path(arguments, run), {_ARGV: shlex.split(command)[1:], **({_AIMS: aims} if aims else {})})


def command_of(directory: Path) -> list[str]:
    """The words that :func:`keep_command` kept in a run's directory; none where it kept none, or they are damaged."""
    try:
        words = _read(directory / NAME, again="").get(_ARGV)
    except InputError:
        return []
    return [str(word) for word in words] if isinstance(words, list) else []


def aims_of(directory: Path) -> Aims:
    """The aims that :func:`keep_command` kept in a run's directory; none where it kept none, or they are damaged."""
    try:
        found = _read(directory / NAME, again="").get(_AIMS)
    except InputError:
        return {}
    # A file that was cut off was being written: nothing was touched then.
    rows = found.items() if isinstance(found, dict) else ()
    return {
        host: {service: str(content) for service, content in of_host.items()}
        for host, of_host in rows
        if isinstance(of_host, dict)
    }


def check(arguments: argparse.Namespace, project: Project) -> None:
    """Of a deploy that is carried on: that inventory, models and playbook still want what it was begun for.

    Raises PlanOutdated with what differs, InputError where that cannot be told. A run that was stopped before it
    changed anything has nothing to differ from.
    """
    from fleetdeploy.cli.changing.called import command_line

    runs = [run for run in getattr(arguments, "resumed_runs", ()) if _path(arguments, run).exists()]
    if not runs:
        return
    from fleetdeploy.report.plan_file import agreement

    again, since = command_line(arguments), f"run {runs[0]} began"
    then = _read(_path(arguments, runs[0]), again=again)
    given = then.pop(_GIVEN, {})
    if not isinstance(given, dict) or given != _hashed(arguments, str(given.get("salt"))):
        raise PlanOutdated(
            f"the values given with -e are others than when run {runs[0]} was started",
            hint=f"nothing was touched; give the same, or begin anew with these: {again}",
        )
    agreement.check_wanted(then, _wanted(arguments, project), since=since, again=again)


def _wanted(arguments: argparse.Namespace, project: Project) -> dict[str, Any]:
    from fleetdeploy.report.plan_file import agreement, document

    wanted = document.wanted(project.targets.by_name, project.plays, project.inventory.hosts)
    shown = agreement.as_stored(wanted, arguments.redactor)
    return agreement.as_stored(shown, of_values(arguments))


def of_values(arguments: argparse.Namespace) -> Any:
    """A redactor that knows the texts given with ``-e`` on the command line; shorter ones are no secrets."""
    from fleetdeploy.domain.redaction import SHORTEST, Redactor

    return Redactor(text for text in _texts(_given(arguments)) if len(text) >= SHORTEST)


def _texts(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


def _given(arguments: argparse.Namespace) -> dict[str, object]:
    from fleetdeploy.cli.binding import extra_vars
    from fleetdeploy.cli.binding.opening import store_of

    typed = [text for text in arguments.extra_vars if not text.startswith("@")]
    return extra_vars.by_name(typed, secrets=store_of(arguments))


def _hashed(arguments: argparse.Namespace, salt: str) -> dict[str, str]:
    text = json.dumps(_given(arguments), sort_keys=True, default=str)
    found = hashlib.scrypt(text.encode("utf-8", "surrogateescape"), salt=salt.encode(), n=2**14, r=8, p=1)
    return {"salt": salt, "hash": found.hex()}


def _write(path: Path, wanted: Mapping[str, object]) -> None:
    from fleetdeploy.rollout.journal.writing import sync_directory

    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(wanted, file)
            file.flush()
            os.fsync(file.fileno())
        sync_directory(path.parent)
    except OSError as error:
        raise PreflightRefused(
            f"what the run is to bring about cannot be written: {error.strerror}",
            where=str(path),
            hint="nothing was touched; free some space, or name another --state-dir",
        ) from error


def _read(path: Path, *, again: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it is no JSON object")  # noqa: TRY004  as for any other damage
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(
            f"what the run was to bring about cannot be read: {getattr(error, 'strerror', None) or error}",
            where=str(path),
            hint=f"give its command again: {again}",
        ) from error
    return found


def _path(arguments: argparse.Namespace, run: str) -> Path:
    runs: Path = arguments.state_dir / "runs"
    return runs / run / NAME
