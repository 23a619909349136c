"""A model server as a subprocess, and the few calls the contract's tests make to it."""

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from google.protobuf import text_format

from fleetdeploy.tfserving import stubs

ROOT: Final = Path(__file__).resolve().parents[2]
DEADLINE_S: Final = 30.0
START, LOADING, AVAILABLE, UNLOADING, END = 10, 20, 30, 40, 50

FAST_RETRIES: Final = ("--max_num_load_retries=1", "--load_retry_interval_micros=1000", "--num_load_threads=2")


def program() -> list[str]:
    """The binary named by SERVER, or the stand-in from this checkout."""
    named = os.environ.get("SERVER")
    return [named] if named else [sys.executable, "-m", "fleetdeploy.lab.modelserver"]


def is_stand_in() -> bool:
    """Whether the stand-in is tested, not some other binary."""
    return "SERVER" not in os.environ


def wait_for(condition: Callable[[], Any], what: str, *, deadline_s: float = DEADLINE_S) -> Any:
    """Poll until the condition is true and return its value; fail at the deadline."""
    end = time.monotonic() + deadline_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited {deadline_s} s in vain for: {what}"
        time.sleep(0.02)
    return value


def free_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True)
class HttpAnswer:
    """An answer over REST."""

    status: int
    content_type: str
    body: str


class ModelServer:
    """One process of the server; its output lies in files under `directory`."""

    def __init__(self, directory: Path, *flags: str) -> None:
        self.port, self.rest_port = free_port(), free_port()
        self._output = directory / "stdout"
        self._log = directory / "stderr"
        # The clocks of the stand-in run faster; another server does not know these variables.
        clocks = {"STANDIN_TICK_S": "0.02", "STANDIN_SCAN_S": "0.1", "PYTHONPATH": str(ROOT)}
        with self._output.open("wb") as output, self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*program(), f"--port={self.port}", f"--rest_api_port={self.rest_port}", *flags],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env={**os.environ, **clocks},
                cwd=directory,
            )
        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.port}")

    def stop(self) -> None:
        """End the process."""
        self.channel.close()
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

    def http(self, method: str, path: str, body: str | bytes | None = None, **headers: str) -> HttpAnswer:
        """Make one REST call."""
        connection = http.client.HTTPConnection("127.0.0.1", self.rest_port, timeout=DEADLINE_S)
        with contextlib.closing(connection):
            connection.request(method, path, body, {key.replace("_", "-"): value for key, value in headers.items()})
            answer = connection.getresponse()
            return HttpAnswer(answer.status, answer.getheader("Content-Type", ""), answer.read().decode())


Start = Callable[..., ModelServer]
"""The fixture `start`: takes flags, and `config` as the text of the config file."""


class ModelStore:
    """A base directory for models, filled from the exported ones."""

    def __init__(self, exported: Path, root: Path) -> None:
        self.exported = exported
        self.root = root

    def place(self, model: str, version: int, *, of: str = "affine", from_version: int | None = None) -> Path:
        """Put a version in place at once, by copy and rename."""
        base = self.root / model
        base.mkdir(parents=True, exist_ok=True)
        staged = base / f"staged-{version}"
        shutil.copytree(self.exported / of / str(version if from_version is None else from_version), staged)
        return staged.rename(base / str(version))

    def spoil(self, model: str, version: int, *, missing: str, of: str = "affine") -> Path:
        """Put a version in place that lacks a file or a directory."""
        whole = self.exported / of
        staged = self.root / f"staged-{model}-{version}"
        shutil.copytree(whole / ("1" if not (whole / str(version)).exists() else str(version)), staged)
        gone = staged / missing
        if gone.is_dir():
            shutil.rmtree(gone)
        else:
            gone.unlink()
        (self.root / model).mkdir(parents=True, exist_ok=True)
        return staged.rename(self.root / model / str(version))

    def config(self, model: str, *versions: int, extra: str = "") -> str:
        """A `config {...}` entry; with versions, a specific policy."""
        policy = f"model_version_policy {{ specific {{ {' '.join(f'versions: {each}' for each in versions)} }} }}"
        return (
            f'config {{ name: "{model}" base_path: "{self.root / model}" model_platform: "tensorflow" '
            f"{policy if versions else ''} {extra} }}"
        )


def model_list(*entries: str) -> str:
    """A ModelServerConfig of such entries."""
    return "model_config_list { " + " ".join(entries) + " }"


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
