"""Regress on a servable.

See tensorflow_serving/servables/tensorflow/regressor.cc.
"""

from collections.abc import Sequence
from typing import Any, Final

from fleetdeploy.lab.modelserver.inference.examples import (
    answer_model_spec,
    data_type_name,
    dimensions,
    run_examples,
    shape_text,
    signature_of,
)
from fleetdeploy.lab.modelserver.servable import Servable
from fleetdeploy.lab.modelserver.status import invalid
from fleetdeploy.tfserving import stubs

METHOD: Final = "tensorflow/serving/regress"
_OUTPUTS: Final = "outputs"


def regress(servable: Servable, request: Any, *, timeout_ms: int | None, check_method_names: bool = False) -> Any:
    """Answer a RegressionRequest with a RegressionResponse.

    `check_method_names` is --enable_signature_method_name_check; `timeout_ms` of None waits as long as it takes.
    Raises INVALID_ARGUMENT for a signature, an input or an output that does not fit, and what TensorFlow says.
    """
    signature = signature_of(servable, request.model_spec)
    feed, fetches = regression_tensors(signature, check_method_names=check_method_names)
    response = stubs.regression_pb2.RegressionResponse()
    answer_model_spec(request.model_spec, servable, response.model_spec)
    examples, outputs = run_examples(servable, request.input, feeds=[feed], fetches=fetches, timeout_ms=timeout_ms)
    fill_regressions(signature, fetches, outputs, examples=examples, result=response.result)
    return response


def regression_tensors(signature: Any, *, check_method_names: bool) -> tuple[str, list[str]]:
    """Names of the tensor to feed and of those to fetch. Raises INVALID_ARGUMENT for a signature that does not fit."""
    if check_method_names and signature.method_name != METHOD:
        raise invalid(f"Expected regression signature method_name to be {METHOD}. Was: {signature.method_name}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if "inputs" not in signature.inputs:
        raise invalid(f"No regression inputs found in SignatureDef: {signature}")
    if _OUTPUTS not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {signature}")
    return signature.inputs["inputs"].name, [signature.outputs[_OUTPUTS].name]


def fill_regressions(
    signature: Any, names: Sequence[str], tensors: Sequence[Any], *, examples: int, result: Any
) -> None:
    """Fill a RegressionResult from the tensors that were fetched under `names`. Raises INVALID_ARGUMENT."""
    tensor = tensors[names.index(signature.outputs[_OUTPUTS].name)]
    shape = dimensions(tensor)
    if len(shape) != 1 and (len(shape) != 2 or shape[1] != 1):
        raise invalid(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " + shape_text(tensor)
        )
    if shape[0] != examples:
        raise invalid(f"Input batch size did not match output batch size: {examples} vs. {shape[0]}")
    if data_type_name(tensor) != "DT_FLOAT":
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {data_type_name(tensor)}")
    for value in tensor.float_val:
        result.regressions.add().value = value
