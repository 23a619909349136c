"""Commands inside a container: what Docker's answers come to."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest

from fleetdeploy.domain.protocols import Ended
from fleetdeploy.errors import DeadlineExceeded
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
        return SimpleNamespace(status_code=self.http, raw=raw, text=self.output.decode(), close=lambda: None)

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
