"""What goes over a host's connection, told to whoever wants to see it: ``-vv`` and ``-vvv``."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Protocol

_OURS = "fleetdeploy"
"""The name that our own scripts go by, their ``$0``."""


class Trace(Protocol):
    """Is told of a host ``what`` was done there, and how long that took; ``wire`` for what its connection did. It is
    called from many threads, and as often as hosts are given commands.
    """

    def __call__(self, host: str, what: str, *, seconds: float, wire: bool) -> None: ...


class Tracing:
    """Tells of one host, or of nothing without a ``trace``. A terminal that went away is no host's failure."""

    def __init__(self, host: str, trace: Trace | None) -> None:
        self.trace = trace
        self._host = host

    @contextmanager
    def command(self, argv: Sequence[str]) -> Iterator[Callable[[int], None]]:
        """A command, as its words: what it is given on standard input is not shown, nor are our scripts' texts. What it
        yields is to be told the exit status, where there is one.
        """
        if self.trace is None:
            yield lambda _: None
            return
        ours = list(argv[:2]) == ["sh", "-c"] and list(argv[3:4]) == [_OURS]
        with self._told(shlex.join(argv[3:] if ours else argv), wire=False) as ended:
            yield lambda status: ended.append(f"status {status}") if status else None

    @contextmanager
    def wire(self, what: str) -> Iterator[None]:
        """What the connection does."""
        if self.trace is None:
            yield
            return
        with self._told(what, wire=True):
            yield

    @contextmanager
    def _told(self, what: str, *, wire: bool) -> Iterator[list[str]]:
        started_s, ended = time.monotonic(), list[str]()
        try:
            yield ended
        except BaseException as error:
            ended.append(type(error).__name__)
            raise
        finally:
            told = f"{what}: {', '.join(ended)}" if ended else what
            if self.trace is not None:
                with suppress(OSError):
                    self.trace(self._host, told, seconds=time.monotonic() - started_s, wire=wire)
