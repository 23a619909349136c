"""tf.Examples, and the gRPC calls that take them."""

from collections.abc import Sequence
from typing import Any

from contract_server import DEADLINE_S, ModelServer

from fleetdeploy.tfserving import stubs


def example(**features: float | bytes) -> Any:
    """tf.Example with one value per feature."""
    message = stubs.example_pb2.Example()
    for name, value in features.items():
        feature = message.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.float_list.value.append(value)
    return message


def example_input(examples: Sequence[Any], context: Any = None) -> Any:
    """Input of examples, with a context if there is one."""
    message = stubs.input_pb2.Input()
    if context is None:
        message.example_list.examples.extend(examples)
    else:
        message.example_list_with_context.examples.extend(examples)
        message.example_list_with_context.context.CopyFrom(context)
    return message


def spec_of(model: str, signature: str = "", *, version: int | None = None, label: str = "") -> Any:
    """ModelSpec."""
    spec = stubs.model_pb2.ModelSpec(name=model, signature_name=signature)
    if version is not None:
        spec.version.value = version
    if label:
        spec.version_label = label
    return spec


def classify(server: ModelServer, spec: Any, *examples: Any, context: Any = None, timeout_s: float = DEADLINE_S) -> Any:
    """Classify examples; a spec of None is left out."""
    module = stubs.classification_pb2
    request = module.ClassificationRequest(model_spec=spec, input=example_input(examples, context))
    answer = module.ClassificationResponse
    return server.call("PredictionService/Classify", request, answer, timeout_s=timeout_s)


def regress(server: ModelServer, spec: Any, *examples: Any, context: Any = None, timeout_s: float = DEADLINE_S) -> Any:
    """Regress examples; a spec of None is left out."""
    module = stubs.regression_pb2
    request = module.RegressionRequest(model_spec=spec, input=example_input(examples, context))
    return server.call("PredictionService/Regress", request, module.RegressionResponse, timeout_s=timeout_s)


def infer(server: ModelServer, tasks: Sequence[tuple[Any, str]], *examples: Any) -> Any:
    """MultiInference; a task is a ModelSpec and the last part of a method's name."""
    module = stubs.inference_pb2
    request = module.MultiInferenceRequest(input=example_input(examples))
    for spec, method in tasks:
        request.tasks.add(model_spec=spec, method_name=f"tensorflow/serving/{method}")
    return server.call("PredictionService/MultiInference", request, module.MultiInferenceResponse)


def labels_and_scores(result: Any) -> list[list[tuple[str, float]]]:
    """A ClassificationResult as lists."""
    return [[(each.label, each.score) for each in row.classes] for row in result.classifications]


def values(result: Any) -> list[float]:
    """A RegressionResult as a list."""
    return [each.value for each in result.regressions]
