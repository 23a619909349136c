"""Docker's stream of frames, and logs in that form."""

from __future__ import annotations

import io
import struct
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from fleetdeploy.domain.reaching import STDERR, STDOUT, LogLine
from fleetdeploy.remote.docker.frames import FRAME_BYTES, LINE_BYTES, docker_time, frames, log_lines, read_log

T1, T2 = "2026-01-31T23:59:00.000000001Z", "2026-01-31T23:59:00.000000002Z"


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


def logged(*pieces: tuple[int, str, bytes]) -> list[LogLine]:
    raw = b"".join(frame(stream, time.encode() + b" " + text) for stream, time, text in pieces)
    return list(log_lines(io.BytesIO(raw).read))


def test_a_line_has_its_time_its_stream_and_its_text() -> None:
    """Nothing of it is changed but what ends it."""
    assert logged((1, T1, b"up and  running\r\n"), (2, T2, b"\x1b[31mE0 x\n")) == [
        LogLine(T1, "up and  running", STDOUT),
        LogLine(T2, "\x1b[31mE0 x", STDERR),
    ]


def test_a_line_in_pieces_is_one_line_with_the_time_of_its_beginning() -> None:
    """Docker stamps each piece of a long line, and a piece of the other stream may stand between them."""
    assert logged((1, T1, b"long "), (2, T1, b"other\n"), (1, T2, b"line\n")) == [
        LogLine(T1, "other", STDERR),
        LogLine(T1, "long line", STDOUT),
    ]


def test_of_a_line_without_an_end_only_so_much_is_kept() -> None:
    """What a server writes without a newline does not fill the controller's memory."""
    (line,) = logged(*[(1, T1, b"x" * 1000)] * 100, (1, T1, b"y\n"))
    assert line.text == "x" * LINE_BYTES


def test_a_stream_that_is_cut_off_ends_with_what_was_whole() -> None:
    """A lost connection makes no line of half a head or of nothing."""
    raw = frame(1, f"{T1} one\n".encode()) + frame(1, f"{T2} two\n".encode())[:5]
    assert [line.text for line in log_lines(io.BytesIO(raw).read)] == ["one"]


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    """Binary output is no error."""
    assert logged((1, T1, b"\xff\x00\n"))[0].text == "\ufffd\x00"


def test_of_a_frame_without_measure_only_the_beginning_is_kept() -> None:
    """Its length is another's word."""
    raw = frame(1, b"a" * (3 * FRAME_BYTES) + b"\n") + frame(2, b"after")
    (_, data), after = frames(io.BytesIO(raw).read)
    assert (len(data), data[-1:], after) == (FRAME_BYTES, b"\n", (2, b"after"))


def test_a_word_of_the_daemon_is_no_line() -> None:
    """What dockerd puts into the stream by itself is its error."""
    with pytest.raises(docker.errors.APIError, match="rotated away"):
        logged((3, T1, b"rotated away"))


def test_a_time_is_asked_for_with_all_its_digits() -> None:
    """A float would lose the last of them, and with them lines."""
    assert docker_time(T1) == "1769903940.000000001"
    assert docker_time("1970-01-01T00:00:01Z") == "1.0"


class Engine:
    """Answers the question for a log."""

    base_url, api_version = "http+docker://ssh", "1.41"

    def __init__(self, raw: Any, status: int = 200) -> None:
        self.raw, self.status = raw, status
        self.asked: dict[str, Any] = {}
        self.closed = 0

    def get(self, url: str, *, params: dict[str, Any], **_: object) -> Any:
        self.asked = {"url": url, **params}
        return SimpleNamespace(status_code=self.status, raw=self.raw, text="no", close=self._close)

    def _close(self) -> None:
        self.closed += 1


def ask(engine: Engine, **wanted: Any) -> list[LogLine]:
    return list(read_log(engine, "c1", **{"follow": False, "tail": None, "since": "", **wanted}))


def test_a_log_is_asked_for_with_times_from_where_it_is_wanted() -> None:
    """And the answer is closed."""
    engine = Engine(io.BytesIO(frame(1, f"{T1} one\n".encode())))
    assert [line.text for line in ask(engine, tail=5, since=T1, follow=True)] == ["one"]
    assert engine.asked == {
        "url": "http+docker://ssh/v1.41/containers/c1/logs",
        "stdout": 1, "stderr": 1, "timestamps": 1, "follow": 1, "tail": 5, "since": "1769903940.000000001",
    }  # fmt: skip
    assert engine.closed == 1


def test_a_container_that_is_gone_has_no_lines_and_any_other_refusal_is_dockers() -> None:
    """It may have been removed since it was looked at."""
    assert ask(Engine(io.BytesIO(), 404)) == []
    with pytest.raises(docker.errors.APIError):
        ask(Engine(io.BytesIO(), 500))


def test_who_follows_a_silent_log_for_long_asks_again() -> None:
    """The end of the time for one question is no failure, unless the log was to end."""

    class Silent:
        def read(self, _: int) -> bytes:
            raise TimeoutError

    assert ask(Engine(Silent()), follow=True) == []
    with pytest.raises(TimeoutError):
        ask(Engine(Silent()))
