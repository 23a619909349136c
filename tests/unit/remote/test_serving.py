"""Labels and slow answers of a model server, asked over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import NotHealthy
from fleetdeploy.remote.serving import RemoteServing
from fleetdeploy.tfserving import stubs

LABELS = {"stable": 2, "gone": 9}
ASKED = GoldenRequest("one", {"x": [[1.0]]}, {"y": [[1.0]]}, dtypes={"x": "float32"})


def metadata(request: Any, context: grpc.ServicerContext) -> Any:
    """As get_model_metadata_impl.cc: the servable is found as for a request."""
    label = request.model_spec.version_label
    if label not in LABELS:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
    if LABELS[label] == 9:
        context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(m, 9)")
    response = stubs.get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.version.value = LABELS[label]
    return response


@pytest.fixture
def client(tmp_path: Path) -> Iterator[RemoteServing]:
    """A client of a server that knows two labels and answers no Predict."""
    over = Event()

    def predict(_: Any, context: grpc.ServicerContext) -> Any:
        context.add_callback(over.set)
        over.wait(30)
        return stubs.predict_pb2.PredictResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([
        grpc.method_handlers_generic_handler(
            "tensorflow.serving.PredictionService",
            {
                "GetModelMetadata": _method(metadata, stubs.get_model_metadata_pb2.GetModelMetadataRequest),
                "Predict": _method(predict, stubs.predict_pb2.PredictRequest),
            },
        )
    ])  # fmt: skip
    server.add_insecure_port(f"unix:{tmp_path}/s")
    server.start()
    relay: Any = SimpleNamespace(path=f"{tmp_path}/s", refusal="", close=lambda: None)
    serving = RemoteServing(relay, host="gpu1")
    yield serving
    serving.close()
    over.set()
    server.stop(None).wait(10)


def _method(answer: Callable[[Any, grpc.ServicerContext], Any], request: Any) -> Any:
    return grpc.unary_unary_rpc_method_handler(
        answer, request_deserializer=request.FromString, response_serializer=lambda message: message.SerializeToString()
    )


def test_a_label_is_the_version_that_requests_get(client: RemoteServing) -> None:
    """And one that the server does not know is none."""
    assert client.label("m", "stable", deadline_s=10) == 2
    assert client.label("m", "canary", deadline_s=10) is None


def test_a_label_to_a_version_that_is_not_loaded_is_not_healthy(client: RemoteServing) -> None:
    """Its requests fail: the server's own words say with which version."""
    with pytest.raises(NotHealthy, match=r"label gone of m: NOT_FOUND: Servable not found .*Specific\(m, 9\)"):
        client.label("m", "gone", deadline_s=10)


def test_an_answer_that_does_not_come_in_time_says_how_long_it_took_and_what_is_allowed(client: RemoteServing) -> None:
    """A slow answer is a symptom of its own, with its own hint."""
    with pytest.raises(NotHealthy, match=r"Predict of m version 2 had no answer after [0-9.]+ s; 0\.2 s are") as caught:
        client.predict("m", ASKED, version=2, deadline_s=0.2)
    assert "nvidia-smi" in caught.value.hint
