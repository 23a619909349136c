"""Models, warm-up files and concurrent requests for the tests of section 5 of the contract."""

import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import pytest
from contract_exports import exported_by
from contract_server import ModelServer, ModelStore, Start, floats, tensor

from fleetdeploy.lab.modelserver.loading.tfrecord import masked_crc32c
from fleetdeploy.tfserving import stubs

WARM_UP_FILE: Final = "assets.extra/tf_serving_warmup_requests"


def empty_store(tmp_path: Path, factory: pytest.TempPathFactory) -> ModelStore:
    """An empty place for this section's models."""
    exported = exported_by("export_auxiliary_models.py", factory)
    root = tmp_path / "models"
    root.mkdir()
    return ModelStore(exported, root)


def started(start: Start, store: ModelStore, *flags: str, model: str) -> ModelServer:
    """A server with one model and threads for many requests at once, ready."""
    where = (f"--model_name={model}", f"--model_base_path={store.root / model}")
    return start(*where, "--grpc_max_threads=64", *flags).ready()


def tfrecord(records: Iterable[bytes]) -> bytes:
    """A TFRecord file."""

    def summed(data: bytes) -> bytes:
        return data + struct.pack("<I", masked_crc32c(data))

    return b"".join(summed(struct.pack("<Q", len(record))) + summed(record) for record in records)


def predict_log(model: str, **inputs: Any) -> bytes:
    """A serialized PredictionLog of a Predict request."""
    log = stubs.prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.name = model
    for alias, proto in inputs.items():
        log.predict_log.request.inputs[alias].CopyFrom(proto)
    return bytes(log.SerializeToString())


def put_warm_up(version: Path, content: bytes) -> None:
    """Put a warm-up file into a version's directory."""
    file = version / WARM_UP_FILE
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content)


def integers(*values: int) -> Any:
    """Vector of int64."""
    return tensor("DT_INT64", "int64_val", list(values))


def matrix(rows: Sequence[Sequence[float]]) -> Any:
    """Matrix of float32."""
    return tensor("DT_FLOAT", "float_val", [value for row in rows for value in row], [len(rows), len(rows[0])])


def slow(server: ModelServer, *, x: float, ms: int) -> Any:
    """One row for the slow signature of the batched model, which runs for `ms` milliseconds."""
    return server.predict("batched", spec={"signature": "slow"}, x=floats(x), ms=integers(ms))


def at_once(count: int) -> ThreadPoolExecutor:
    """Threads for as many requests at the same time."""
    return ThreadPoolExecutor(max_workers=count)
