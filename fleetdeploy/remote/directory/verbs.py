"""Runs the verbs of ``files.sh`` on a host and turns their statuses into our errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import resources
from pathlib import PurePosixPath

from fleetdeploy.errors import HostError, LeaseLost, NoSpace, RemoteCommandFailed, TransferFailed
from fleetdeploy.remote.host_words import printable
from fleetdeploy.remote.ssh.channels import CommandResult
from fleetdeploy.remote.ssh.connection import SshConnection

NOT_OURS, OTHER_CONTENT, NO_ROOM, WRONG_CONTENT, NO_TOOL, NO_LEASE, AT_WORK = 41, 42, 43, 44, 45, 46, 47
TAKEN_TWICE = 49
UNLEASED = ("-", "0")
"""What stands for the run and its fencing number where nothing is leased."""

Token = Callable[[PurePosixPath], tuple[str, str]]
"""The run and the fencing number that verbs in a directory carry."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


def unleased(directory: PurePosixPath) -> tuple[str, str]:  # noqa: ARG001
    """The token of who holds no lease: it changes a directory only while nobody does."""
    return UNLEASED


class ContentDiffers(TransferFailed):
    """What was copied is not what the manifest says; ``detail`` holds sha256sum's words."""


class ServiceDirectory:
    """The directory of one service on one host, changed by verbs that each end whole or leave nothing half-done."""

    def __init__(
        self,
        connection: SshConnection,
        directory: PurePosixPath,
        *,
        token: Token = unleased,
    ) -> None:
        self.connection = connection
        self.directory = directory
        self._token = token
        self._script = script_of("files.sh")

    def act(self, verb: str, *args: str, stdin: bytes = b"", deadline_s: float = 60.0) -> str:
        """Run a verb and return its output. It carries the lease's fencing number, and is refused with an older one.

        Raises LeaseLost, NoSpace, ContentDiffers, TransferFailed, RemoteCommandFailed, DeadlineExceeded or Unreachable.
        """
        words = str(self.directory), *self._token(self.directory), *args
        done = self.connection.script(self._script, verb, *words, stdin=stdin, deadline_s=deadline_s)
        if done.status:
            raise self._error(verb, done)
        return done.text

    def _error(self, verb: str, done: CommandResult) -> HostError:
        return error_of(f"{verb} in {self.directory}", done, host=self.connection.host.name)


def script_of(name: str) -> str:
    """The text of a script, behind what it shares with the others."""
    return "\n".join(map(text_of, ("look.sh", "directory.sh", name)))


def text_of(name: str) -> str:
    """The text of one file of the scripts."""
    return resources.files("fleetdeploy.remote.directory").joinpath(name).read_text(encoding="utf-8")


def error_of(doing: str, done: CommandResult, *, host: str) -> HostError:
    """What a status other than 0 of these scripts means."""
    said = done.error_text
    last = said.splitlines()[-1] if said else ""
    if done.status == NO_LEASE:
        return lease_lost(last, host=host)
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
    if done.status == TAKEN_TWICE:
        hint = "name the machine once in the inventory: its two names would be drained and changed as two hosts"
        return RemoteCommandFailed(f"two hosts of the inventory are one machine: {last}", where=host, hint=hint)
    if done.status == NO_TOOL:
        return RemoteCommandFailed(last, where=host, hint="install the package that brings it on the host")
    return RemoteCommandFailed(
        f"{doing} failed with status {done.status}: {last}", where=host, detail=done.last_lines()
    )


def lease_lost(why: str, *, host: str) -> LeaseLost:
    """``why`` is the host's word, or ours, for who has the lease instead."""
    return LeaseLost(
        f"the lease is lost: {printable(why) or 'the host does not say why'}; this run changes nothing more there",
        where=host,
        hint="let the other run end, then run again; `fleetdeploy lock show` tells who holds what",
    )


def safe_name(name: str) -> str:
    """``name`` when it can stand as one part of a path. Raises RemoteCommandFailed otherwise."""
    if not _NAME.fullmatch(name):
        raise RemoteCommandFailed(f"{name!r} cannot be part of a path on a host")
    return name
