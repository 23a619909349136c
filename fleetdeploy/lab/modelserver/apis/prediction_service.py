"""tensorflow.serving.PredictionService over gRPC.

See tensorflow_serving/model_servers/prediction_service_impl.cc.
"""

from collections.abc import Callable
from typing import Any

import grpc

from fleetdeploy.lab.modelserver.apis.prediction import Prediction
from fleetdeploy.lab.modelserver.apis.rpc import method, timeout_ms
from fleetdeploy.lab.modelserver.inference.tensor_content import to_tensor_content
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics, now_us
from fleetdeploy.lab.modelserver.status import StatusError
from fleetdeploy.tfserving import stubs


def prediction_service(prediction: Prediction) -> Any:
    """Handlers for the service's methods; the client's deadline becomes the run's timeout."""

    def predict(request: Any, context: grpc.ServicerContext) -> Any:
        response = prediction.predict(request, timeout_ms=timeout_ms(context))
        if prediction.as_tensor_content:
            for tensor in response.outputs.values():
                to_tensor_content(tensor)
        return response

    metadata = stubs.get_model_metadata_pb2
    methods = {
        "Predict": method(
            _counted(predict, prediction.metrics, api="Predict"),
            stubs.predict_pb2.PredictRequest,
            stubs.predict_pb2.PredictResponse,
        ),
        "Classify": method(
            _counted(_until_deadline(prediction.classify), prediction.metrics, api="Classify"),
            stubs.classification_pb2.ClassificationRequest,
            stubs.classification_pb2.ClassificationResponse,
        ),
        "Regress": method(
            _counted(_until_deadline(prediction.regress), prediction.metrics, api="Regress"),
            stubs.regression_pb2.RegressionRequest,
            stubs.regression_pb2.RegressionResponse,
        ),
        "MultiInference": method(
            _until_deadline(prediction.multi_inference),
            stubs.inference_pb2.MultiInferenceRequest,
            stubs.inference_pb2.MultiInferenceResponse,
        ),
        "GetModelMetadata": method(
            lambda request, _: prediction.model_metadata(request),
            metadata.GetModelMetadataRequest,
            metadata.GetModelMetadataResponse,
        ),
    }
    return grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", methods)


_Answer = Callable[[Any, grpc.ServicerContext], Any]


def _until_deadline(answer: Callable[..., Any]) -> _Answer:
    return lambda request, context: answer(request, timeout_ms=timeout_ms(context))


def _counted(answer: _Answer, metrics: ServerMetrics, *, api: str) -> _Answer:
    """Count requests by their status, and time those that succeed."""

    def handle(request: Any, context: grpc.ServicerContext) -> Any:
        began_us = now_us()
        name = request.model_spec.name
        try:
            response = answer(request, context)
        except StatusError as problem:
            metrics.request_count.add(name, problem.code.name)
            raise
        metrics.request_latency.add(name, api, "GRPC", value=now_us() - began_us)
        metrics.request_count.add(name, "OK")
        return response

    return handle
