"""MultiInference on a servable: several classifications and regressions of the same examples in one run.

See tensorflow_serving/servables/tensorflow/multi_inference.cc and multi_inference_helper.cc.
"""

from typing import Any

from fleetdeploy.lab.modelserver.inference import classify, regress
from fleetdeploy.lab.modelserver.inference.examples import answer_model_spec, run_examples, signature_key
from fleetdeploy.lab.modelserver.servable import Servable
from fleetdeploy.lab.modelserver.status import Code, StatusError, invalid
from fleetdeploy.tfserving import stubs


def multi_inference_model_spec(request: Any) -> Any:
    """The ModelSpec that decides which servable answers: that of the first task, or an empty one."""
    return request.tasks[0].model_spec if request.tasks else stubs.model_pb2.ModelSpec()


def multi_inference(
    servable: Servable, request: Any, *, timeout_ms: int | None, check_method_names: bool = False
) -> Any:
    """Answer a MultiInferenceRequest with a MultiInferenceResponse, one result per task, in their order.

    `check_method_names` is --enable_signature_method_name_check; `timeout_ms` of None waits as long as it takes.
    Raises INVALID_ARGUMENT for tasks, signatures, an input or outputs that do not fit, UNIMPLEMENTED for another
    method, and what TensorFlow says.
    """
    feeds: set[str] = set()
    fetched: set[str] = set()
    seen: set[str] = set()
    for task in request.tasks:
        _check_task(task, request.tasks[0], servable, seen)
        signature = servable.model.signatures[signature_key(task.model_spec)]
        if task.method_name == classify.METHOD:
            feed, names = classify.classification_tensors(signature, check_method_names=check_method_names)
        elif task.method_name == regress.METHOD:
            feed, names = regress.regression_tensors(signature, check_method_names=check_method_names)
        else:
            raise StatusError(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
        feeds.add(feed)
        fetched.update(names)
    fetches = sorted(fetched)
    examples, outputs = run_examples(
        servable, request.input, feeds=sorted(feeds), fetches=fetches, timeout_ms=timeout_ms
    )
    response = stubs.inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        signature = servable.model.signatures[signature_key(task.model_spec)]
        answer = response.results.add()
        if task.method_name == classify.METHOD:
            result = answer.classification_result
            classify.fill_classifications(signature, fetches, outputs, examples=examples, result=result)
        else:
            result = answer.regression_result
            regress.fill_regressions(signature, fetches, outputs, examples=examples, result=result)
        answer_model_spec(task.model_spec, servable, answer.model_spec)
    return response


def _check_task(task: Any, first: Any, servable: Servable, seen: set[str]) -> None:
    """Refuse a task that names no model, another model, or a signature that was seen before or does not exist."""
    if not task.model_spec.name:
        raise invalid("Found ModelSpec with an empty model name.")
    if task.model_spec.name != first.model_spec.name:
        raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    key = signature_key(task.model_spec)
    if key in seen:
        raise invalid(f"Duplicate evaluation of signature: {key}")
    seen.add(key)
    if key not in servable.model.signatures:
        raise invalid(f"Requested signature not found in model graph: {key}")
