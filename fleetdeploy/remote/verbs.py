"""Runs the verbs of ``files.sh`` on a host and turns their statuses into our errors."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import PurePosixPath

from fleetdeploy.errors import HostError, NoSpace, RemoteCommandFailed, TransferFailed
from fleetdeploy.remote.channels import CommandResult
from fleetdeploy.remote.ssh import SshConnection

NOT_OURS, OTHER_CONTENT, NO_ROOM, WRONG_CONTENT, NO_TOOL = 41, 42, 43, 44, 45
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class ContentDiffers(TransferFailed):
    """What was copied is not what the manifest says; ``detail`` holds sha256sum's words."""


class ServiceDirectory:
    """The directory of one service on one host, changed by verbs that each end whole or leave nothing half-done."""

    def __init__(self, connection: SshConnection, directory: PurePosixPath) -> None:
        self.connection = connection
        self.directory = directory
        self._script = resources.files("fleetdeploy.remote").joinpath("files.sh").read_text(encoding="utf-8")

    def act(self, verb: str, *args: str, stdin: bytes = b"", deadline_s: float = 60.0) -> str:
        """Run a verb and return its output.

        Raises NoSpace, ContentDiffers, TransferFailed, RemoteCommandFailed, DeadlineExceeded or Unreachable.
        """
        done = self.connection.script(
            self._script, verb, str(self.directory), *args, stdin=stdin, deadline_s=deadline_s
        )
        if done.status:
            raise self._error(verb, done)
        return done.text

    def _error(self, verb: str, done: CommandResult) -> HostError:
        host, said = self.connection.host.name, done.error_text
        last = said.splitlines()[-1] if said else ""
        if done.status == NO_ROOM or "No space left on device" in said or "Disk quota exceeded" in said:
            return NoSpace(
                last or "the file system is full",
                where=host,
                hint="free space on the host, or let the task `prune` keep less; nothing is deleted to make room",
                detail=done.last_lines(),
            )
        if done.status == NOT_OURS:
            hint = "set another `directory` for the service, or move what is there away"
            return RemoteCommandFailed(last, where=host, hint=hint)
        if done.status == OTHER_CONTENT:
            hint = "a version number is never used twice: publish it under a new number"
            return TransferFailed(" ".join(said.split()), where=host, hint=hint)
        if done.status == WRONG_CONTENT:
            return ContentDiffers(
                "what arrived on the host is not what the manifest says", where=host, detail=done.last_lines()
            )
        if done.status == NO_TOOL:
            return RemoteCommandFailed(last, where=host, hint="install the package that brings it on the host")
        return RemoteCommandFailed(
            f"{verb} in {self.directory} failed with status {done.status}: {last}", where=host, detail=done.last_lines()
        )


def safe_name(name: str) -> str:
    """``name`` when it can stand as one part of a path. Raises RemoteCommandFailed otherwise."""
    if not _NAME.fullmatch(name):
        raise RemoteCommandFailed(f"{name!r} cannot be part of a path on a host")
    return name
