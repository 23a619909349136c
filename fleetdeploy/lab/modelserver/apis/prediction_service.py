"""tensorflow.serving.PredictionService over gRPC.

See tensorflow_serving/model_servers/prediction_service_impl.cc.
"""

from typing import Any

import grpc

from fleetdeploy.lab.modelserver.apis.prediction import Prediction
from fleetdeploy.lab.modelserver.apis.rpc import method, timeout_ms
from fleetdeploy.tfserving import stubs


def prediction_service(prediction: Prediction) -> Any:
    """Handlers for the service's methods."""
    metadata = stubs.get_model_metadata_pb2
    methods = {
        "Predict": method(
            lambda request, context: prediction.predict(request, timeout_ms=timeout_ms(context)),
            stubs.predict_pb2.PredictRequest,
            stubs.predict_pb2.PredictResponse,
        ),
        "GetModelMetadata": method(
            lambda request, _: prediction.model_metadata(request),
            metadata.GetModelMetadataRequest,
            metadata.GetModelMetadataResponse,
        ),
    }
    return grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", methods)
