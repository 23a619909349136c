"""Predict on a servable.

See tensorflow_serving/servables/tensorflow/predict_util.cc and tensorflow/cc/saved_model/util.cc.
"""

from collections.abc import Iterable
from typing import Any, Final

from fleetdeploy.lab.modelserver.inference import classify, regress
from fleetdeploy.lab.modelserver.inference.examples import answer_model_spec, signature_key
from fleetdeploy.lab.modelserver.servable import Feed, Servable
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

_METHODS: Final = ("tensorflow/serving/predict", classify.METHOD, regress.METHOD)


def predict(servable: Servable, request: Any, *, timeout_ms: int | None, check_method_names: bool = False) -> Any:
    """Answer a PredictRequest with a PredictResponse.

    `check_method_names` is --enable_signature_method_name_check; `timeout_ms` of None waits as long as it takes.
    Raises FAILED_PRECONDITION for an unknown signature, INTERNAL for one of another method, INVALID_ARGUMENT for
    inputs or outputs that do not fit, and what TensorFlow says.
    """
    name = signature_key(request.model_spec)
    signature = servable.model.signatures.get(name)
    if signature is None:
        raise StatusError(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
    response = stubs.predict_pb2.PredictResponse()
    answer_model_spec(request.model_spec, servable, response.model_spec)
    if check_method_names and signature.method_name not in _METHODS:
        raise StatusError(
            Code.INTERNAL,
            f"Expected prediction signature method_name to be one of {{{', '.join(_METHODS)}}}. Was: "
            f"{signature.method_name}",
        )
    feeds = _feeds(signature, request.inputs)
    aliases = _outputs(signature, request.output_filter)
    servable.model.run(
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


def _set(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
