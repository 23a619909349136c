"""A model server as a subprocess, and the few calls the contract's tests make to it."""

import contextlib
import http.client
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from contract_models import ModelStore, model_list
from contract_target import (
    DEADLINE_S,
    FAST_CLOCKS,
    IMAGE,
    ROOT,
    container_options,
    is_stand_in,
    kill_container,
    program,
)
from google.protobuf import text_format

from fleetdeploy.tfserving import stubs

__all__ = ["ROOT", "ModelStore", "is_stand_in", "model_list", "program"]  # for tests, next to what is defined here

START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50

FAST_RETRIES: Final = ("--max_num_load_retries=1", "--load_retry_interval_micros=1000", "--num_load_threads=2")


def wait_for(condition: Callable[[], Any], what: str, *, deadline_s: float = DEADLINE_S) -> Any:
    """Poll until the condition is true and return its value; fail at the deadline."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {deadline_s} s in vain for: {what}"
        time.sleep(0.02)
    return value


_PORTS: Final = itertools.count(20_000 + 1_000 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))
"""A thousand for each worker, below those that the kernel gives to connections: none is taken by anybody else between
the asking and the server's start. The server shares its ports where it can, and would answer for another test.
"""


def free_port() -> int:
    """A TCP port that nobody listens on, and that no other test is given."""
    while True:
        port = next(_PORTS)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True)
class HttpAnswer:
    """An answer over REST."""

    status: int
    content_type: str
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ModelServer:
    """One process of the server; its output lies in files under `directory`."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self.port, self.rest_port = free_port(), free_port()
        self._output = directory / "stdout"
        self._log = directory / "stderr"
        environment = {**FAST_CLOCKS, **os.environ, "PYTHONPATH": str(ROOT)}
        if any(flag.startswith("--file_system_poll_wait_seconds=") for flag in flags):
            del environment["STANDIN_SCAN_S"]  # it would win over the flag
        self._container = f"fleetdeploy-contract-{os.getpid()}-{self.port}" if IMAGE else ""
        options = container_options(self._container, list(environment)) if IMAGE else ()
        with self._output.open("wb") as output, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*program(*options), f"--port={self.port}", f"--rest_api_port={self.rest_port}", *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env=environment,
                cwd=directory,
            )
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def stop(self) -> None:
        """End the process, and the container that it runs in."""
        self.channel.close()
        while self._container and self.process.poll() is None:
            kill_container(self._container)  # again and again: it may not have been created yet
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(1)
        self.process.kill()
        self.process.wait(DEADLINE_S)

    @property
    def output(self) -> str:
        """What it wrote on stdout so far."""
        return self._output.read_text(errors="replace")

    @property
    def log(self) -> str:
        """What it wrote on stderr so far."""
        return self._log.read_text(errors="replace")

    def listens(self, port: int) -> bool:
        """Whether a port accepts connections."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    def ready(self) -> "ModelServer":
        """Wait until both ports are open."""

        def open_or_ended() -> bool:
            assert self.process.poll() is None, f"the server ended: {self.output[-2000:]}\n{self.log[-2000:]}"
            return self.listens(self.port) and self.listens(self.rest_port)

        wait_for(open_or_ended, "both ports open")
        return self

    def exit_status(self) -> int:
        """Wait for the end of the process."""
        return self.process.wait(DEADLINE_S)

    def ended_by_sigterm(self) -> bool:
        """Wait for the end of the process, and say whether SIGTERM was its cause."""
        return self.exit_status() == (128 + signal.SIGTERM if self._container else -signal.SIGTERM)

    def call(self, method: str, request: Any, answer: Any, *, timeout_s: float = DEADLINE_S) -> Any:
        """Make one gRPC call, `Service/Method`."""
        stub = self.channel.unary_unary(
            f"/tensorflow.serving.{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return stub(request, timeout=timeout_s, wait_for_ready=True)

    def predict(
        self,
        model: str,
        *,
        timeout_s: float = DEADLINE_S,
        wanted: tuple[str, ...] = (),
        spec: Any = None,
        **inputs: Any,
    ) -> Any:
        """Predict; inputs are TensorProtos, `spec` fields of the ModelSpec."""
        request = stubs.predict_pb2.PredictRequest(output_filter=wanted)
        request.model_spec.CopyFrom(model_spec(model, **(spec or {})))
        for alias, tensor in inputs.items():
            request.inputs[alias].CopyFrom(tensor)
        return self.call("PredictionService/Predict", request, stubs.predict_pb2.PredictResponse, timeout_s=timeout_s)

    def y(self, model: str = "affine", x: float = 2.0, **spec: Any) -> float:
        """One number from the affine model."""
        value: float = self.predict(model, x=floats(x), spec=spec).outputs["y"].float_val[0]
        return value

    def begin_slow(self, ms: int) -> Any:
        """Send a request to the slow model and return its future, without waiting for the answer."""
        request = stubs.predict_pb2.PredictRequest(model_spec=model_spec("slow"))
        request.inputs["ms"].CopyFrom(milliseconds(ms))
        stub = self.channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=stubs.predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=stubs.predict_pb2.PredictResponse.FromString,
        )
        return stub.future(request, timeout=DEADLINE_S, wait_for_ready=True)

    def metadata(self, model: str, *fields: str, **spec: Any) -> Any:
        """GetModelMetadata."""
        module = stubs.get_model_metadata_pb2
        request = module.GetModelMetadataRequest(model_spec=model_spec(model, **spec), metadata_field=fields)
        return self.call("PredictionService/GetModelMetadata", request, module.GetModelMetadataResponse)

    def status(self, model: str, **spec: Any) -> list[Any]:
        """GetModelStatus: entries as they come."""
        module = stubs.get_model_status_pb2
        request = module.GetModelStatusRequest(model_spec=model_spec(model, **spec))
        answer = self.call("ModelService/GetModelStatus", request, module.GetModelStatusResponse)
        return list(answer.model_version_status)

    def states(self, model: str) -> dict[int, int]:
        """Version to state, in the order of the answer; empty for an unknown model."""
        try:
            return {entry.version: entry.state for entry in self.status(model)}
        except grpc.RpcError as problem:
            if problem.code() is not grpc.StatusCode.NOT_FOUND:
                raise
            return {}

    def reload(self, config: str, *, timeout_s: float = DEADLINE_S) -> Any:
        """HandleReloadConfigRequest with a text proto ModelServerConfig."""
        module = stubs.model_management_pb2
        request = module.ReloadConfigRequest()
        text_format.Parse(config, request.config)
        return self.call(
            "ModelService/HandleReloadConfigRequest", request, module.ReloadConfigResponse, timeout_s=timeout_s
        )

    def http(
        self,
        method: str,
        path: str,
        body: str | bytes | None = None,
        *,
        host: str = "127.0.0.1",
        timeout_s: float = DEADLINE_S,
        **headers: str,
    ) -> HttpAnswer:
        """Make one REST call."""
        connection = http.client.HTTPConnection(host, self.rest_port, timeout=timeout_s)
        with contextlib.closing(connection):
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            answer = connection.getresponse()
            content_type = answer.getheader("Content-Type", "")
            return HttpAnswer(answer.status, content_type, answer.read().decode(), dict(answer.getheaders()))


Start = Callable[..., ModelServer]
"""The fixture `start`: takes flags, and `config` as the text of the config file."""


def model_spec(name: str, *, version: int | None = None, label: str = "", signature: str = "") -> Any:
    """ModelSpec proto."""
    spec = stubs.model_pb2.ModelSpec(name=name, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label:
        spec.version_label = label
    return spec


def tensor(dtype: str, field: str, values: list[Any], shape: list[int] | None = None) -> Any:
    """TensorProto with typed values."""
    proto = stubs.tensor_pb2.TensorProto(dtype=stubs.types_pb2.DataType.Value(dtype))
    for size in [len(values)] if shape is None else shape:
        proto.tensor_shape.dim.add().size = size
    getattr(proto, field).extend(values)
    return proto


def floats(*values: float) -> Any:
    """Vector of float32."""
    return tensor("DT_FLOAT", "float_val", list(values))


def milliseconds(number: int) -> Any:
    """Scalar of int64, the input of the slow model."""
    return tensor("DT_INT64", "int64_val", [number], [])


@contextlib.contextmanager
def refused(code: str, *fragments: str) -> Iterator[None]:
    """Expect a gRPC error with this code whose text contains the fragments."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    problem: Any = caught.value
    assert problem.code().name == code, f"{problem.code()}: {problem.details()}"
    for fragment in fragments:
        assert fragment in problem.details()


def spec(**fields: Any) -> Mapping[str, Any]:
    """Fields for a ModelSpec, for `ModelServer.predict`."""
    return fields
