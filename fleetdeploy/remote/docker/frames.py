"""Docker's stream of two outputs in one (its API's "Stream format"), and the log of a container in that form.

The SDK's own readers lose which output a piece is of, and take the deadline from under the wait.
"""

from __future__ import annotations

import struct
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import docker.errors
import urllib3.exceptions

from fleetdeploy.domain.reaching import LogLine

STREAM_S = 3600.0
"""How long one question for a log goes on at the most; who follows asks again."""
LINE_BYTES = 16 * 1024
"""What is kept of one line: Docker itself keeps longer ones in pieces of this size."""
FRAME_BYTES = 1024 * 1024
"""Docker's own frames are far shorter."""
_HEAD = struct.Struct(">BxxxL")
_OF_THE_DAEMON = 3

Read = Callable[[int], bytes]
"""Returns that many bytes, less at the end of the stream only."""


def frames(read: Read) -> Iterator[tuple[int, bytes]]:
    """Each frame with the number of its stream. Of one that is longer than FRAME_BYTES only the beginning is kept."""
    while len(head := read(_HEAD.size)) == _HEAD.size:
        stream, left = _HEAD.unpack(head)
        data = read(min(left, FRAME_BYTES)) if left else b""
        left -= len(data)
        while left and (more := read(min(left, FRAME_BYTES))):
            left -= len(more)
            data = data[:-1] + more[-1:]  # whether it ends a line
        yield stream, data


@dataclass
class _Begun:
    """A line whose end has not come yet."""

    time: str = ""
    text: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes) -> None:
        self.text += data[: LINE_BYTES - len(self.text)]

    def line(self, stream: int) -> LogLine:
        return LogLine(self.time, self.text.decode("utf-8", "replace").rstrip("\r"), stream)


def log_lines(read: Read) -> Iterator[LogLine]:
    """The lines of a log with timestamps. Docker stamps each piece of a line that is longer than LINE_BYTES."""
    begun: dict[int, _Begun] = {}
    for stream, data in frames(read):
        if stream == _OF_THE_DAEMON:
            raise docker.errors.APIError(data.decode("utf-8", "replace").strip())
        stamp, _, text = data.partition(b" ")
        line = begun.setdefault(stream, _Begun(stamp.decode("ascii", "replace")))
        whole = text.endswith(b"\n")
        line.add(text[:-1] if whole else text)
        if whole:
            yield begun.pop(stream).line(stream)
    for stream, line in begun.items():
        yield line.line(stream)


def read_log(api: Any, container: str, *, follow: bool, tail: int | None, since: str) -> Iterator[LogLine]:
    """See :meth:`fleetdeploy.domain.reaching.OpenHost.log`. Raises what the SDK raises."""
    asked = {"stdout": 1, "stderr": 1, "timestamps": 1, "follow": int(follow), "tail": "all" if tail is None else tail}
    if since:
        asked["since"] = docker_time(since)
    url = f"{api.base_url}/v{api.api_version}/containers/{container}/logs"
    answer = api.get(url, params=asked, stream=True, timeout=STREAM_S)
    try:
        if answer.status_code == 404:
            return
        if answer.status_code >= 400:
            raise docker.errors.APIError(answer.text)
        yield from log_lines(answer.raw.read)
    except (TimeoutError, urllib3.exceptions.ReadTimeoutError):
        if not follow:
            raise
    finally:
        answer.close()


def docker_time(time: str) -> str:
    """RFC 3339 in UTC as Docker takes it in a question: seconds since 1970 with as many digits behind the point."""
    whole, _, fraction = time.rstrip("Z").partition(".")
    seconds = timegm(datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").timetuple())  # noqa: DTZ007  it is UTC
    return f"{seconds}.{fraction or 0}"
