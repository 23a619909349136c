"""Processes to measure: started on chosen cores, ended by their number, and what they cost."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import text_format

from fleetdeploy.tfserving import stubs

ROOT: Final = Path(__file__).resolve().parents[2]
DEADLINE_S: Final = 120.0
_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")


def two_cores() -> tuple[set[int], set[int]]:
    """A core for the server and the others for who asks it; the same one twice where there is only one."""
    first, *others = sorted(os.sched_getaffinity(0))
    return {first}, set(others) or {first}


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(condition: Callable[[], bool], what: str, *, every_s: float = 0.005) -> None:
    """Poll until the condition holds. Raises TimeoutError after `DEADLINE_S` seconds."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {DEADLINE_S} s for: {what}")
        time.sleep(every_s)


@contextmanager
def on_cores(cores: set[int] | None) -> Iterator[None]:
    """What is started inside inherits these cores; None leaves them as they are."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Measured:
    """A server process that listens on `port`; stderr goes to a file. A context manager that kills it."""

    def __init__(
        self, argv: Sequence[str], *, port: int, log: Path, cores: set[int] | None, env: Mapping[str, str] | None = None
    ) -> None:
        self.port = port
        self._log = log
        self._began = time.monotonic()
        with log.open("wb") as sink, on_cores(cores):
            self.process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=sink,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            )

    def __enter__(self) -> "Measured":  # noqa: PYI034 - typing has Self from Python 3.11 on
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def opened_s(self) -> float:
        """Wait until the port accepts connections; seconds since the process was started."""

        def accepts() -> bool:
            if self.process.poll() is not None:
                raise RuntimeError(f"the server ended: {self._log.read_text(errors='replace')[-2000:]}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            return False

        wait_for(accepts, f"port {self.port} open")
        return time.monotonic() - self._began

    def cpu_s(self) -> float:
        """Processor time it has used, its own and the kernel's for it."""
        after_name = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / _TICKS_A_SECOND

    def memory_mb(self) -> float:
        """Resident memory in MiB, shared libraries included; the kernel may take pages of files back at any time."""
        return self._status_mb("VmRSS")

    def own_memory_mb(self) -> float:
        """Memory in MiB that is no file's: heap, stacks and what of them was swapped out."""
        return self._status_mb("RssAnon") + self._status_mb("VmSwap")

    def _status_mb(self, kind: str) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(kind + ":"):
                return int(line.split()[1]) / 1024
        raise RuntimeError(f"/proc has no {kind}")


def model_server(
    log: Path, *flags: str, cores: set[int] | None = None, env: Mapping[str, str] | None = None
) -> Measured:
    """Start the stand-in, or the binary named by SERVER, with only a gRPC port."""
    named = os.environ.get("SERVER")
    program = [named] if named else [sys.executable, "-m", "fleetdeploy.lab.modelserver"]
    port = free_port()
    return Measured([*program, f"--port={port}", *flags], port=port, log=log, cores=cores, env=env)


class Client:
    """The calls that benchmarks make themselves."""

    def __init__(self, port: int) -> None:
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._prediction = stubs.prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = stubs.model_service_pb2_grpc.ModelServiceStub(self._channel)

    def close(self) -> None:
        """Close the channel."""
        self._channel.close()

    def predict(self, request: Any) -> Any:
        """Predict."""
        return self._prediction.Predict(request, timeout=DEADLINE_S, wait_for_ready=True)

    def reload(self, config: str) -> None:
        """HandleReloadConfigRequest with a text proto ModelServerConfig."""
        request = stubs.model_management_pb2.ReloadConfigRequest()
        text_format.Parse(config, request.config)
        answer = self._model.HandleReloadConfigRequest(request, timeout=DEADLINE_S)
        if answer.status.error_code:
            raise RuntimeError(f"reload refused: {answer.status.error_message}")

    def states(self, model: str) -> dict[int, int]:
        """State by version."""
        request = stubs.get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        answer = self._model.GetModelStatus(request, timeout=DEADLINE_S)
        return {entry.version: entry.state for entry in answer.model_version_status}
