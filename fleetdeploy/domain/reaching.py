"""What a person reaches into hosts for: a command of their own, on a host or in a container, and logs as they grow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ContainerFacts

STDOUT, STDERR = 1, 2

Hear = Callable[[int, bytes], None]
"""Is given what a command prints as it comes, with the stream; no bytes at all at least every HEARD_S, to say that the
command goes on. What it raises ends the command, and so does a person who asked to stop.
"""
HEARD_S = 0.2


@dataclass(frozen=True)
class LogLine:
    """``time`` is RFC 3339 in UTC with nine digits of a second: as text it sorts by time. ``text`` is one line."""

    time: str
    text: str
    stream: int = STDOUT


class OpenHost(Protocol):
    """A host that is connected. All methods raise :class:`fleetdeploy.errors.HostError` subclasses."""

    def run(self, argv: Sequence[str], *, deadline_s: float, hear: Hear) -> int:
        """Run a command on the host to its end and return its status. Its input is empty. Raises DeadlineExceeded; it
        is ended then, as it is by what ``hear`` raises.
        """

    def execute(self, container: str, argv: Sequence[str], *, deadline_s: float, hear: Hear) -> int:
        """The same inside the running container of that name, where a program that it lacks ends with 126 or 127.
        Docker cannot end what it began there: after DeadlineExceeded it may still run.
        """

    def container(self, name: str) -> ContainerFacts | None:
        """Our container of that name; None without one, DockerFailed for one that is somebody else's."""

    def log(self, container_id: str, *, follow: bool, tail: int | None, since: str) -> Iterator[LogLine]:
        """A container's log: its last ``tail`` lines, all of them with None, from ``since`` on where that is not empty.
        With ``follow`` it goes on until the container ends or the connection does, and it may also end in between.
        """


class Reach(Protocol):
    """The way into hosts."""

    def open(self, host: Host) -> OpenHost:
        """The host, connected; again where its connection was lost. Raises Unreachable or HostKeyRefused."""
