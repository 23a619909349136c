"""The logs of many services on many hosts as one: what there is in order of time, then what comes as it comes.

One thread a log. Between them and the reader are queues with an end, so that a slow terminal holds up the threads, they
the connections, and those the hosts: nothing is read ahead without bound.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import merge
from queue import Empty, Full, Queue
from typing import Union

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.reaching import LogLine, OpenHost, Reach
from fleetdeploy.errors import HostError, HostKeyRefused

AHEAD = 200
"""How many lines of one log, and in the end of all together, are read before they are asked for."""
_LOOK_S = 0.2
_FIRST_S, _LONGEST_S = 1.0, 15.0
"""How long is waited before a container or a host is looked for again, first and at the most."""


@dataclass(frozen=True)
class Source:
    """One log: of the container of a service on a host."""

    host: Host
    service: str
    container: str


@dataclass(frozen=True)
class Said:
    """A line of a log."""

    source: Source
    line: LogLine
    container_id: str


@dataclass(frozen=True)
class Told:
    """What a reader has to know of a log; with an ``exit_code`` that is not 0 it could not be read."""

    source: Source
    text: str
    hint: str = ""
    exit_code: int = 0


Item = Union[Said, Told]


@dataclass(frozen=True)
class Wanted:
    """Of each log the last ``tail`` lines, all with None, none from before ``since``; ``wants`` says which of them."""

    tail: int | None = None
    since: str = ""
    follow: bool = False
    wants: Callable[[str], bool] = lambda _: True


class _Over(Exception):
    """Ends a thread: nobody reads any longer."""


class Logs:
    """``read`` them, and ``close`` when no more is wanted; the connections are another one's."""

    def __init__(self, reach: Reach, sources: Sequence[Source], wanted: Wanted) -> None:
        self._reach = reach
        self._wanted = wanted
        self._over = threading.Event()
        self._news: Queue[Item | None] = Queue(AHEAD)
        self._old: list[Queue[Item | None]] = [Queue(AHEAD) for _ in sources]
        self._threads = [
            threading.Thread(target=self._work, args=(source, old), name=f"log of {source.host.name}", daemon=True)
            for source, old in zip(sources, self._old, strict=True)
        ]

    def read(self) -> Iterator[Item]:
        """All there is, then with ``follow`` all that comes, until every log has ended for good or ``close``."""
        for thread in self._threads:
            thread.start()
        yield from merge(*map(self._drained, self._old), key=_time)
        if self._wanted.follow:
            for _ in self._threads:
                yield from self._drained(self._news)

    def close(self) -> None:
        """Threads that wait for a host are left behind."""
        self._over.set()

    def _drained(self, queue: Queue[Item | None]) -> Iterator[Item]:
        """What is put there, up to the first None."""
        while not self._over.is_set():
            try:
                # A thread that waits for ever would hear of no signal.
                item = queue.get(timeout=_LOOK_S)
            except Empty:
                continue
            if item is None:
                return
            yield item

    def _put(self, queue: Queue[Item | None], item: Item | None) -> None:
        while not self._over.is_set():
            try:
                queue.put(item, timeout=_LOOK_S)
                return
            except Full:
                continue
        raise _Over

    def _work(self, source: Source, old: Queue[Item | None]) -> None:
        try:
            follower = _Follower(self._reach, source, self._wanted, self._over)
            try:
                for item in follower.past():
                    self._put(old, item)
            finally:
                self._put(old, None)
            try:
                for item in follower.present() if self._wanted.follow else ():
                    self._put(self._news, item)
            finally:
                self._put(self._news, None)
        except _Over:
            return


class _Follower:
    """One log, and how far it was read: which container, the time of the last line, and how many lines had it."""

    def __init__(self, reach: Reach, source: Source, wanted: Wanted, over: threading.Event) -> None:
        self._reach, self._source, self._wanted, self._over = reach, source, wanted, over
        self._id, self._time, self._count = "", "", 0
        self._trouble = ""
        self._lost = self._unread = self._refused = False

    def past(self) -> Iterator[Item]:
        """What the log has now."""
        # Of a log that nobody wants to see the end is still needed: it is where following goes on.
        tail = 1 if self._wanted.tail == 0 else self._wanted.tail
        try:
            opened = self._reach.open(self._source.host)
            found = opened.container(self._source.container)
            if found is None:
                yield Told(self._source, self._missing())
                return
            self._id = found.id
            for said in self._lines(opened, follow=False, tail=tail):
                if self._wanted.tail != 0:
                    yield said
        except HostError as error:
            self._lost = self._unread = True
            self._refused = isinstance(error, HostKeyRefused)
            yield self._why(error)

    def present(self) -> Iterator[Item]:
        """What comes, from where the past ended: through lost connections, and from each container that takes the place
        of the one before. It ends where the host's key is refused.
        """
        pause_s = _FIRST_S
        while not self._over.is_set() and not self._refused:
            try:
                for item in self._further():
                    pause_s = _FIRST_S
                    yield item
            except HostError as error:
                self._refused = isinstance(error, HostKeyRefused)
                if self._refused or not self._lost:
                    yield self._why(error)
                self._lost, pause_s = True, min(2 * pause_s, _LONGEST_S)
            self._over.wait(pause_s)

    def _further(self) -> Iterator[Item]:
        opened = self._reach.open(self._source.host)
        found = opened.container(self._source.container)
        if self._lost:
            self._lost = False
            yield Told(self._source, "can be read again")
        if found is None:
            if self._trouble != self._missing():
                self._trouble = self._missing()
                yield Told(self._source, self._trouble)
            return
        if found.id != self._id:
            if self._id:
                yield Told(self._source, f"another container took its place: {found.id[:12]} for {self._id[:12]}")
            self._id, self._time, self._count = found.id, "", 0
        tail = self._wanted.tail if self._unread else None
        self._trouble, self._unread = "", False
        yield from self._lines(opened, follow=True, tail=tail)

    def _lines(self, opened: OpenHost, *, follow: bool, tail: int | None) -> Iterator[Said]:
        """Docker counts from a time on, the lines of that time included: those that were read are passed over."""
        again_s, again = self._time, self._count
        since = again_s or self._wanted.since
        for line in opened.log(self._id, follow=follow, tail=tail, since=since):
            if again and line.time == again_s:
                again -= 1
                continue
            self._count = self._count + 1 if line.time == self._time else 1
            self._time = line.time
            if self._wanted.wants(line.text):
                yield Said(self._source, line, self._id)

    def _missing(self) -> str:
        return f"there is no container {self._source.container}"

    def _why(self, error: HostError) -> Told:
        goes_on = self._wanted.follow and not isinstance(error, HostKeyRefused)
        text = f"{error.message}; it is tried again" if goes_on else error.message
        return Told(self._source, text, error.hint, error.exit_code)


def _time(item: Item) -> str:
    """By what the past is put in order; what there is to know of a log comes first."""
    return item.line.time if isinstance(item, Said) else ""
