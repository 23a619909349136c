"""Standard output and error with the secrets taken out: the last place that every text passes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from fleetdeploy.domain.redaction import Redactor


class OutputLost(OSError):
    """Standard output cannot be written, as on a full disk; not that its reader went away. It was told already."""


class RedactedStream:
    """A text stream that passes whole lines on, redacted; what is not a whole line yet waits for its rest or a flush.

    With ``as_json`` only texts inside JSON strings are changed, so that the output stays JSON. What cannot be written
    for another reason than a reader that went away is told to ``lost``, which may raise; all behind it is let go.
    """

    def __init__(
        self,
        stream: TextIO,
        redactor: Redactor,
        *,
        as_json: bool = False,
        lost: Callable[[OSError], None] = lambda _: None,
    ) -> None:
        self._stream = stream
        self._clean = redactor.json if as_json else redactor.text
        self._rest = ""
        self._lost = lost
        self._is_lost = False

    def write(self, text: str) -> int:
        """As a text file's."""
        lines, newline, rest = (self._rest + text).rpartition("\n")
        self._rest = rest
        if newline:
            self._pass_on(self._clean(lines + newline))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        """As a text file's."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what is there, such as a question that ends without a newline."""
        rest, self._rest = self._rest, ""
        self._pass_on(self._clean(rest) if rest else "", flush=True)

    def close_off(self) -> None:
        """The last flush, by when nothing that goes wrong changes what the command came to."""
        try:
            self.flush()
        except OSError:
            self._let_go()

    def _let_go(self) -> None:
        """Write nowhere from now on; Python would complain once more while it flushes at exit."""
        self._is_lost = True
        with suppress(OSError, ValueError):  # it may have no file
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)

    def _pass_on(self, text: str, *, flush: bool = False) -> None:
        if self._is_lost:
            return
        try:
            if text:
                self._stream.write(text)
            if flush:
                self._stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            self._let_go()
            self._lost(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def redacted_output(redactor: Redactor, *, as_json: bool) -> Iterator[None]:
    """Take secrets out of everything printed inside; ``as_json`` says what stdout carries.

    A standard output that cannot be written is told of at once, so that what is said last stays the last line, and
    raises OutputLost there; of a standard error nobody could be told.
    """
    before = sys.stdout, sys.stderr
    out = RedactedStream(before[0], redactor, as_json=as_json, lost=_tell_and_raise)
    err = RedactedStream(before[1], redactor)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        try:
            out.close_off()
            err.close_off()
        finally:
            sys.stdout, sys.stderr = before


def _tell_and_raise(error: OSError) -> None:
    why = error.strerror or error
    sys.stderr.write(f"error: standard output cannot be written: {why}; make room there, or send it elsewhere\n")
    raise OutputLost(error.errno, error.strerror) from error
