"""Hosts that do as a test says, for what reaches into them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.observed import ContainerFacts
from fleetdeploy.domain.reaching import Hear, LogLine
from fleetdeploy.errors import HostError, Unreachable

PATIENCE_S = 20.0
"""For what comes at once unless something is wrong."""


def host(name: str) -> Host:
    return Host(name, Connection(name))


def stamp(second: int) -> str:
    return f"2026-01-31T00:00:{second:02}.000000000Z"


@dataclass
class Log:
    """A container's log. ``grows`` are further pieces of it, each given to the next who follows it from the end on."""

    id: str
    lines: list[LogLine] = field(default_factory=list)
    grows: list[list[LogLine]] = field(default_factory=list)

    def write(self, second: int, text: str) -> None:
        self.lines.append(LogLine(stamp(second), text))


@dataclass
class FakeHost:
    """``reach`` raises what ``trouble`` has first, unless that is None. Its log is of the container that it has now."""

    name: str
    log_: Log | None = None
    trouble: list[HostError | None] = field(default_factory=list)
    asked: list[tuple[str, bool, int | None, str]] = field(default_factory=list)
    act: Callable[[Sequence[str], Hear], int] = lambda _argv, _hear: 0
    idle: Callable[[], None] = lambda: None

    def run(self, argv: Sequence[str], *, deadline_s: float, hear: Hear) -> int:  # noqa: ARG002
        return self.act(argv, hear)

    def execute(self, container: str, argv: Sequence[str], *, deadline_s: float, hear: Hear) -> int:  # noqa: ARG002
        return self.act([container, *argv], hear)

    def container(self, name: str) -> ContainerFacts | None:
        found = ContainerFacts(name, self.log_.id, "i", "running") if self.log_ else None
        if found is None:
            self.idle()
        return found

    def log(self, container_id: str, *, follow: bool, tail: int | None, since: str) -> Iterator[LogLine]:
        """As Docker: what is there from a time on, that time included, and then what it grows by."""
        self.asked.append((container_id, follow, tail, since))
        log = self.log_
        assert log is not None
        there = [line for line in log.lines if line.time >= since]
        yield from there[len(there) - min(tail, len(there)) :] if tail is not None else there
        while follow and log.grows:
            piece = log.grows.pop(0)
            log.lines += piece
            yield from piece
        if follow:
            self.idle()


class FakeReach:
    """See :class:`fleetdeploy.domain.reaching.Reach`."""

    def __init__(self, *hosts: FakeHost) -> None:
        self.hosts = {item.name: item for item in hosts}
        self.lock = threading.Lock()
        self.opened = list[Host]()

    def open(self, found: Host) -> FakeHost:
        with self.lock:
            self.opened.append(found)
            there = self.hosts[found.name]
            trouble = there.trouble.pop(0) if there.trouble else None
        if trouble is not None:
            raise trouble
        return there


def lost(name: str) -> Unreachable:
    return Unreachable("no answer", where=name, hint="is it on?")
