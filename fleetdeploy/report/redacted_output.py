"""Standard output and error with the secrets taken out: the last place that every text passes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from fleetdeploy.domain.redaction import Redactor


class RedactedStream:
    """A text stream that passes whole lines on, redacted; what is not a whole line yet waits for its rest or a flush.

    With ``as_json`` only texts inside JSON strings are changed, so that the output stays JSON.
    """

    def __init__(self, stream: TextIO, redactor: Redactor, *, as_json: bool = False) -> None:
        self._stream = stream
        self._clean = redactor.json if as_json else redactor.text
        self._rest = ""

    def write(self, text: str) -> int:
        """As a text file's."""
        lines, newline, rest = (self._rest + text).rpartition("\n")
        self._rest = rest
        if newline:
            self._stream.write(self._clean(lines + newline))
        return len(text)

    def writelines(self, lines: Iterator[str]) -> None:
        """As a text file's."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Pass on what is there, such as a question that ends without a newline."""
        rest, self._rest = self._rest, ""
        if rest:
            self._stream.write(self._clean(rest))
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def redacted_output(redactor: Redactor, *, as_json: bool) -> Iterator[None]:
    """Take secrets out of everything printed inside; ``as_json`` says what stdout carries."""
    before = sys.stdout, sys.stderr
    out, err = RedactedStream(before[0], redactor, as_json=as_json), RedactedStream(before[1], redactor)
    sys.stdout, sys.stderr = out, err
    try:
        yield
    finally:
        try:
            err.flush()
            out.flush()
        finally:
            sys.stdout, sys.stderr = before
