"""What a command prints, as lines: handed on as they come, the last of them kept. Nothing here grows without end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from fleetdeploy.domain.reaching import STDERR, STDOUT

LINE_BYTES = 16 * 1024
"""What is kept of one line."""
KEPT_BYTES = 256 * 1024
"""What is kept of a command's output: its last lines."""


class LinesOf:
    """The lines of one stream of bytes. Those that are not UTF-8 are replaced; a carriage return ends no line."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[str]:
        """The lines that ``data`` ends."""
        *whole, rest = data.split(b"\n")
        for part in whole:
            self._add(part)
            yield self._line()
        self._add(rest)

    def end(self) -> Iterator[str]:
        """What was not ended by a newline."""
        if self._rest:
            yield self._line()

    def _add(self, part: bytes) -> None:
        self._rest += part[: LINE_BYTES - len(self._rest)]

    def _line(self) -> str:
        text = self._rest.decode("utf-8", "replace").rstrip("\r")
        self._rest.clear()
        return text


class Output:
    """Hears one command. ``lines`` are its last ones, ``left_out`` how many were before them."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self.lines: deque[str] = deque()
        self.left_out = 0
        self._bytes = 0
        self._tell = tell
        self._streams = {STDOUT: LinesOf(), STDERR: LinesOf()}

    def hear(self, stream: int, data: bytes) -> None:
        """Some bytes, as they came."""
        for line in self._streams[stream].feed(data):
            self._take(line)

    def end(self) -> None:
        """Nothing more comes."""
        for stream in self._streams.values():
            for line in stream.end():
                self._take(line)

    def _take(self, line: str) -> None:
        self._tell(line)
        self.lines.append(line)
        self._bytes += len(line) + 1
        while self._bytes > KEPT_BYTES:
            self._bytes -= len(self.lines.popleft()) + 1
            self.left_out += 1
