"""Predict messages of gRPC and REST."""

from __future__ import annotations

import json
import math

import pytest

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import NotHealthy
from fleetdeploy.tfserving import predict, stubs, tensors

REQUEST = GoldenRequest(
    "r", {"x": [[1, 2.5]], "id": ["a"]}, {"y": [[3.0]]}, signature="other", dtypes={"x": "float32", "id": "string"}
)


def test_grpc_request_names_everything() -> None:
    """A PredictRequest carries model, signature, version when asked for, and typed inputs."""
    message = predict.grpc_request("m", REQUEST, version=7)
    assert (message.model_spec.name, message.model_spec.signature_name) == ("m", "other")
    assert message.model_spec.version.value == 7
    assert tensors.from_proto(message.inputs["x"]) == [[1.0, 2.5]]
    assert not predict.grpc_request("m", REQUEST).model_spec.HasField("version")


def test_grpc_answer_is_read() -> None:
    """Outputs and the version that answered are read from a PredictResponse."""
    response = stubs.predict_pb2.PredictResponse()
    response.model_spec.version.value = 3
    response.outputs["y"].CopyFrom(tensors.to_proto([[3.0]], "float32"))
    assert predict.grpc_answer(response) == {"y": [[3.0]]}
    assert predict.grpc_version(response) == 3


def test_rest_body_is_columnar() -> None:
    """The REST body names signature and inputs, binary text as b64 and NaN bare."""
    assert json.loads(predict.rest_body(REQUEST)) == {
        "signature_name": "other",
        "inputs": {"x": [[1.0, 2.5]], "id": ["a"]},
    }
    odd = GoldenRequest("r", {"x": ["NaN"], "b": [b"\xff"]}, {"y": 1.0}, dtypes={"x": "float32"})
    body = json.loads(predict.rest_body(odd))["inputs"]
    assert math.isnan(body["x"][0])
    assert body["b"] == [{"b64": "/w=="}]


def test_rest_paths() -> None:
    """The path asks for one version or for the newest, and a name cannot leave its place in it."""
    assert predict.rest_path("m", version=3) == "/v1/models/m/versions/3:predict"
    assert predict.rest_path("a/b") == "/v1/models/a%2Fb:predict"


def test_rest_answers_are_read() -> None:
    """A lone output comes without a name and gets the expected one; several come by name, binary ones decoded."""
    assert predict.rest_answer(b'{"outputs": [[3.0]]}', REQUEST) == {"y": [[3.0]]}
    assert predict.rest_answer(b'{"outputs": {"a": [1.0], "b": [{"b64": "/w=="}]}}', REQUEST) == {
        "a": [1.0],
        "b": [b"\xff"],
    }
    assert predict.rest_answer(b'{"outputs": {"b64": "/w=="}}', REQUEST) == {"y": b"\xff"}


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "no such signature"}', b'{"predictions": []}', b"\xff"])
def test_other_bodies_are_refused(body: bytes) -> None:
    """A body without outputs is an error that carries what the server said."""
    with pytest.raises(NotHealthy) as caught:
        predict.rest_answer(body, REQUEST)
    assert "no such signature" in caught.value.message or b"error" not in body


def test_damaged_base64_is_refused() -> None:
    """Binary text that is no base64 is an error of the answer, not of the program."""
    with pytest.raises(NotHealthy):
        predict.rest_answer(b'{"outputs": {"b64": "?"}}', REQUEST)
