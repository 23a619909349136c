"""Commands inside a container: what Docker's answers come to."""

from __future__ import annotations

import io
import struct
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from fleetdeploy.domain.protocols import Ended
from fleetdeploy.errors import DeadlineExceeded, HostError
from fleetdeploy.remote.docker.executing import CAP_BYTES, execute

NOT_THERE = 'OCI runtime exec failed: exec: "nvidia-smi": executable file not found in $PATH: unknown'
NOT_ALLOWED = 'OCI runtime exec failed: exec: "/x": permission denied: unknown'


class Engine:
    """An engine whose exec prints ``output`` and ends with ``status``; None never ends."""

    base_url, api_version = "http+docker://ssh", "1.41"

    def __init__(self, output: bytes, status: int | None = 0, *, http: int = 101) -> None:
        self.output, self.status, self.http = output, status, http
        self.asked = list[object]()

    def exec_create(self, container: str, command: list[str], *, tty: bool) -> dict[str, str]:
        self.asked += [container, command, tty]
        return {"Id": "e1"}

    def post(self, url: str, **_: object) -> Any:
        self.asked.append(url)
        raw = SimpleNamespace(_fp=SimpleNamespace(fp=io.BytesIO(self.output)))
        text = self.output.decode(errors="replace")
        return SimpleNamespace(status_code=self.http, raw=raw, text=text, close=lambda: None)

    def exec_inspect(self, made: str) -> dict[str, object]:
        assert made == "e1"
        return {"Running": self.status is None, "ExitCode": self.status}


def run(engine: Engine, *, deadline_s: float = 10.0) -> Ended:
    return execute(engine, "c1", ["nvidia-smi", "-L"], deadline_s=deadline_s)


def test_a_command_ends_with_its_status_and_its_words() -> None:
    """Both streams come as one, in lines, without the carriage returns of its terminal or control characters."""
    engine = Engine(b"GPU 0: x\r\n\x1b[31mred\r\n", 6)
    assert run(engine) == Ended(6, "GPU 0: x\n[31mred")
    assert engine.asked == ["c1", ["nvidia-smi", "-L"], True, "http+docker://ssh/v1.41/exec/e1/start"]


@pytest.mark.parametrize(("text", "status"), [(NOT_THERE, 127), (NOT_ALLOWED, 126)])
@pytest.mark.parametrize("http", [101, 400])
def test_a_program_that_cannot_be_started_ends_as_in_a_shell(text: str, status: int, http: int) -> None:
    """Old engines say it in the stream and new ones in place of it."""
    ended = run(Engine(text.encode(), 126, http=http))
    assert (ended.status, ended.text) == (status, text)


def test_a_container_that_does_not_run_is_dockers_error() -> None:
    """It is no word about the program."""
    with pytest.raises(docker.errors.APIError, match="is not running"):
        run(Engine(b'{"message": "Container c1 is not running"}', http=409))


def test_a_command_that_goes_on_in_silence_is_a_deadline() -> None:
    """Its output has ended and it has not."""
    with pytest.raises(DeadlineExceeded):
        run(Engine(b"", None), deadline_s=0.0)


def test_an_endless_output_is_cut() -> None:
    """A program that prints without end fills nobody's memory."""
    assert len(run(Engine(b"yes\n" * CAP_BYTES)).text) <= CAP_BYTES


class _Slow(io.BytesIO):
    """A channel's file that has nothing for a while each time before it has something."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.channel = SimpleNamespace(settimeout=lambda _: None)
        self.late = True

    def read(self, size: int | None = -1, /) -> bytes:
        self.late = not self.late
        if not self.late:
            raise TimeoutError
        return super().read(size)


class Heard(Engine):
    """An engine whose exec has no terminal, so that its answer is frames."""

    def post(self, url: str, **asked: Any) -> Any:
        assert asked["json"] == {"Detach": False, "Tty": False}
        answer = super().post(url)
        answer.raw._fp.fp = _Slow(self.output)
        return answer


def _frames(*pieces: tuple[int, bytes]) -> bytes:
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in pieces)


def test_what_is_heard_is_the_very_bytes_of_each_stream() -> None:
    """Without a terminal between, binary output stays what it is; there is always a sign that it goes on."""
    heard = list[tuple[int, bytes]]()
    engine = Heard(_frames((1, b"\xff\n"), (2, b"E\r\n")), 3)
    ended = execute(engine, "c1", ["cat"], deadline_s=10, hear=lambda *said: heard.append(said))
    assert ended == Ended(3, "")
    assert [said for said in heard if said[1]] == [(1, b"\xff\n"), (2, b"E\r\n")]
    assert (1, b"") in heard
    assert engine.asked[2] is False


def test_who_hears_ends_it() -> None:
    """What it raises comes through."""

    def hear(_stream: int, _data: bytes) -> None:
        raise HostError("enough")

    with pytest.raises(HostError, match="enough"):
        execute(Heard(_frames((1, b"x"))), "c1", ["cat"], deadline_s=10, hear=hear)


def test_a_program_that_is_not_there_is_told_from_what_is_heard() -> None:
    """Old engines say it in the stream."""
    ended = execute(Heard(_frames((1, NOT_THERE.encode()))), "c1", ["x"], deadline_s=10, hear=lambda *_: None)
    assert ended.status == 127
