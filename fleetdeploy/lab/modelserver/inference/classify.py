"""Classify on a servable.

See tensorflow_serving/servables/tensorflow/classifier.cc.
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

METHOD: Final = "tensorflow/serving/classify"
_CLASSES: Final = "classes"
_SCORES: Final = "scores"


def classify(servable: Servable, request: Any, *, timeout_ms: int | None, check_method_names: bool = False) -> Any:
    """Answer a ClassificationRequest with a ClassificationResponse.

    `check_method_names` is --enable_signature_method_name_check; `timeout_ms` of None waits as long as it takes.
    Raises INVALID_ARGUMENT for a signature, an input or outputs that do not fit, and what TensorFlow says.
    """
    signature = signature_of(servable, request.model_spec)
    feed, fetches = classification_tensors(signature, check_method_names=check_method_names)
    response = stubs.classification_pb2.ClassificationResponse()
    answer_model_spec(request.model_spec, servable, response.model_spec)
    examples, outputs = run_examples(servable, request.input, feeds=[feed], fetches=fetches, timeout_ms=timeout_ms)
    fill_classifications(signature, fetches, outputs, examples=examples, result=response.result)
    return response


def classification_tensors(signature: Any, *, check_method_names: bool) -> tuple[str, list[str]]:
    """Names of the tensor to feed and of those to fetch. Raises INVALID_ARGUMENT for a signature that does not fit."""
    if check_method_names and signature.method_name != METHOD:
        raise invalid(f"Expected classification signature method_name to be {METHOD}. Was: {signature.method_name}")
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if "inputs" not in signature.inputs:
        raise invalid(f"No classification inputs found in SignatureDef: {signature}")
    fetches = [signature.outputs[alias].name for alias in (_CLASSES, _SCORES) if alias in signature.outputs]
    if not fetches:
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "{_CLASSES}" or "{_SCORES}". '
            f"Signature was: {signature}"
        )
    return signature.inputs["inputs"].name, fetches


def fill_classifications(
    signature: Any, names: Sequence[str], tensors: Sequence[Any], *, examples: int, result: Any
) -> None:
    """Fill a ClassificationResult from the tensors that were fetched under `names`. Raises INVALID_ARGUMENT."""
    classes, scores = _outputs(signature, names, tensors)
    if classes is not None:
        _check(classes, _CLASSES, "DT_STRING", examples=examples)
    if scores is not None:
        _check(scores, _SCORES, "DT_FLOAT", examples=examples)
    widths = [dimensions(tensor)[1] for tensor in (classes, scores) if tensor is not None]
    if len(set(widths)) > 1:
        raise invalid(f"Tensors class and score should match in dim_size(1). Got {widths[0]} vs. {widths[1]}")
    width = widths[0] if widths else 0
    for row in range(examples):
        answers = result.classifications.add()
        for place in range(row * width, (row + 1) * width):
            answer = answers.classes.add()
            if classes is not None:
                answer.label = classes.string_val[place].decode(errors="replace")
            if scores is not None:
                answer.score = scores.float_val[place]


def _outputs(signature: Any, names: Sequence[str], tensors: Sequence[Any]) -> tuple[Any, Any]:
    """The tensors of classes and scores, None where there is none; one tensor cannot be both."""
    classes = scores = None
    for name, tensor in zip(names, tensors, strict=True):
        if _CLASSES in signature.outputs and name == signature.outputs[_CLASSES].name:
            classes = tensor
        elif _SCORES in signature.outputs and name == signature.outputs[_SCORES].name:
            scores = tensor
    return classes, scores


def _check(tensor: Any, what: str, data_type: str, *, examples: int) -> None:
    shape = dimensions(tensor)
    if len(shape) != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(tensor)}")
    if data_type_name(tensor) != data_type:
        raise invalid(f"Expected {what} Tensor of {data_type}. Got: {data_type_name(tensor)}")
    if shape[0] != examples:
        raise invalid(f"Expected {what} output batch size of {examples}. Got: {shape[0]}")
