"""Predict messages of both of TF Serving's interfaces, made from golden requests and read back as nested lists."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import NotHealthy
from fleetdeploy.tfserving import stubs, tensors


def grpc_request(model: str, request: GoldenRequest, *, version: int | None = None) -> Any:
    """The PredictRequest for ``request``; without ``version`` the server takes its largest AVAILABLE one.

    Inputs without an entry in ``request.dtypes`` get the type that :func:`tensors.to_proto` guesses.
    """
    message = stubs.predict_pb2.PredictRequest()
    message.model_spec.name = model
    message.model_spec.signature_name = request.signature
    if version is not None:
        message.model_spec.version.value = version
    for name, value in request.inputs.items():
        message.inputs[name].CopyFrom(tensors.to_proto(value, request.dtypes.get(name)))
    return message


def grpc_answer(response: Any) -> dict[str, object]:
    """The outputs of a PredictResponse, by name. Raises NotHealthy (without a host) for an unreadable tensor."""
    return {name: tensors.from_proto(tensor) for name, tensor in sorted(response.outputs.items())}


def grpc_version(response: Any) -> int:
    """The version that answered (``model_spec`` is filled in by the server)."""
    return int(response.model_spec.version.value)


def rest_path(model: str, *, version: int | None = None) -> str:
    """The path to POST a prediction to; see section "Predict API" of TF Serving's api_rest.md."""
    middle = f"/versions/{version}" if version is not None else ""
    return f"/v1/models/{quote(model, safe='')}{middle}:predict"


def rest_body(request: GoldenRequest) -> bytes:
    """The columnar JSON body for ``request``, with the values that its tensors have over gRPC.

    NaN and infinities are written bare, as the server reads them.
    """
    inputs = {
        name: _to_json(tensors.from_proto(tensors.to_proto(value, request.dtypes.get(name))))
        for name, value in request.inputs.items()
    }
    return json.dumps({"signature_name": request.signature, "inputs": inputs}, ensure_ascii=False).encode()


def rest_answer(body: bytes, request: GoldenRequest) -> dict[str, object]:
    """The outputs of a columnar answer, by name.

    The server leaves the name out where a signature has one output; it is then that of the only output which
    ``request`` expects. Raises NotHealthy (without a host) when the body is no answer to a prediction.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise NotHealthy(f"the REST answer is not JSON: {body[:80]!r}") from None
    if not isinstance(answer, dict) or "outputs" not in answer:
        reason = answer.get("error") if isinstance(answer, dict) else None
        raise NotHealthy(f"the REST answer has no outputs: {reason or body[:80]!r}")
    outputs = answer["outputs"]
    names = list(request.outputs)
    try:
        if isinstance(outputs, dict) and not _is_b64(outputs):
            return {name: _from_json(value) for name, value in outputs.items()}
        return {names[0] if len(names) == 1 else "(unnamed)": _from_json(outputs)}
    except (binascii.Error, RecursionError) as error:
        raise NotHealthy(f"the REST answer is not readable: {error}") from None


def _to_json(value: object) -> Any:
    if isinstance(value, (list, tuple)):
        return [_to_json(item) for item in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value


def _from_json(value: Any) -> object:
    if isinstance(value, list):
        return [_from_json(item) for item in value]
    if _is_b64(value):
        return base64.b64decode(value["b64"], validate=True)
    return value


def _is_b64(value: object) -> bool:
    return isinstance(value, Mapping) and set(value) == {"b64"} and isinstance(value["b64"], str)
