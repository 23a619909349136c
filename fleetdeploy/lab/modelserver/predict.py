"""Predict, model metadata and model status: what both APIs answer, as protobuf messages.

See tensorflow_serving/servables/tensorflow/predict_util.cc and get_model_metadata_impl.cc,
tensorflow_serving/model_servers/get_model_status_impl.cc and tensorflow/cc/saved_model/util.cc.
"""

from collections.abc import Iterable
from typing import Any, Final

from fleetdeploy.lab.modelserver.bundle import Feed
from fleetdeploy.lab.modelserver.core import ServerCore
from fleetdeploy.lab.modelserver.states import ServableId, VersionState
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

DEFAULT_SIGNATURE: Final = "serving_default"
SIGNATURE_DEF: Final = "signature_def"


def predict(core: ServerCore, request: Any, *, timeout_ms: int | None) -> Any:
    """Answer a PredictRequest with a PredictResponse. Raises StatusError."""
    _require_model_spec(request)
    spec = request.model_spec
    with core.servable(spec) as servable:
        name = spec.signature_name or DEFAULT_SIGNATURE
        signature = servable.bundle.signatures.get(name)
        if signature is None:
            raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        response = stubs.predict_pb2.PredictResponse()
        response.model_spec.name = spec.name
        response.model_spec.signature_name = name
        response.model_spec.version.value = servable.id.version
        feeds = _feeds(signature, request.inputs)
        aliases = _outputs(signature, request.output_filter)
        servable.bundle.run(
            feeds,
            [signature.outputs[alias].name for alias in aliases],
            answers=[response.outputs[alias] for alias in aliases],
            timeout_ms=timeout_ms,
        )
        return response


def _feeds(signature: Any, inputs: Any) -> list[Feed]:
    """Pair the signature's inputs with the request's tensors."""
    expected, defaults = signature.inputs, signature.defaults
    if len(inputs) > len(expected) or (len(inputs) < len(expected) and not defaults):
        raise StatusError(
            Code.INVALID_ARGUMENT,
            f"input size does not match signature: {len(inputs)}!={len(expected)} len({_set(inputs)}) != "
            f"len({_set(expected)}). Sent extra: {_set(set(inputs) - set(expected))}. "
            f"Missing but required: {_set(set(expected) - set(inputs))}.",
        )
    feeds: list[Feed] = []
    for alias in sorted(expected):
        name = expected[alias].name
        if alias in inputs:
            feeds.append(Feed(alias, name, inputs[alias]))
        elif alias in defaults:
            feeds.append(Feed(alias, name, defaults[alias]))
        else:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Signature input alias: {alias}(feed name: {name}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {_set(inputs)}, or default input alias set: "
                f"{','.join(sorted(defaults))}",
            )
    used = set(inputs) & set(expected)
    if len(used) != len(inputs):
        raise StatusError(
            Code.INVALID_ARGUMENT,
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(used))}, request input: "
            f"{','.join(sorted(inputs))}",
        )
    return feeds


def _outputs(signature: Any, wanted: Iterable[str]) -> list[str]:
    """Aliases of the outputs to fetch: those filtered for, or all."""
    chosen: list[str] = []
    for alias in wanted:
        if alias not in signature.outputs:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{_set(signature.outputs)}.",
            )
        if alias in chosen:
            raise StatusError(Code.INVALID_ARGUMENT, f"duplicate output tensor alias: {alias}")
        chosen.append(alias)
    return chosen or sorted(signature.outputs)


def model_metadata(core: ServerCore, request: Any) -> Any:
    """Answer a GetModelMetadataRequest with the signatures of the model. Raises StatusError."""
    _require_model_spec(request)
    if not request.metadata_field:
        raise StatusError(Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise StatusError(Code.INVALID_ARGUMENT, f"Metadata field {field} is not supported")
    with core.servable(request.model_spec) as servable:
        response = stubs.get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.id.name
        response.model_spec.version.value = servable.id.version
        signatures = stubs.get_model_metadata_pb2.SignatureDefMap()
        for name, definition in servable.bundle.signatures.items():
            signatures.signature_def[name].CopyFrom(definition)
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response


def model_status(core: ServerCore, request: Any) -> Any:
    """Answer a GetModelStatusRequest; a version label in it is ignored, as there. Raises StatusError."""
    _require_model_spec(request)
    spec = request.model_spec
    response = stubs.get_model_status_pb2.GetModelStatusResponse()
    if spec.HasField("version"):
        state = core.monitor.version(ServableId(spec.name, spec.version.value))
        if state is None:
            raise StatusError(Code.NOT_FOUND, f"Could not find version {spec.version.value} of model {spec.name}")
        states = [state]
    else:
        states = core.monitor.versions(spec.name)
        if not states:
            raise StatusError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
    for state in states:
        _add_status(response, state)
    return response


def _add_status(response: Any, state: VersionState) -> None:
    entry = response.model_version_status.add(version=state.id.version, state=int(state.state))
    entry.status.SetInParent()
    if state.error is not None:
        entry.status.error_code = int(state.error.code)
        entry.status.error_message = state.error.message


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise StatusError(Code.INVALID_ARGUMENT, "Missing ModelSpec")


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
