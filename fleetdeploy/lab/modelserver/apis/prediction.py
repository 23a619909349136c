"""The inference requests of both APIs: finds the servable a request asks for and has it answer."""

from typing import Any

from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.inference import metadata
from fleetdeploy.lab.modelserver.inference.classify import classify
from fleetdeploy.lab.modelserver.inference.multi_inference import multi_inference, multi_inference_model_spec
from fleetdeploy.lab.modelserver.inference.predict import predict
from fleetdeploy.lab.modelserver.inference.regress import regress
from fleetdeploy.lab.modelserver.metrics.measured import counting_examples, timed
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics
from fleetdeploy.lab.modelserver.models.core import ServerCore
from fleetdeploy.lab.modelserver.servable import Servable
from fleetdeploy.lab.modelserver.status import Code, StatusError


class Prediction:
    """Answers request messages with response messages; every method raises StatusError.

    A `timeout_ms` of None waits as long as it takes.
    """

    def __init__(self, core: ServerCore, flags: Flags, *, metrics: ServerMetrics) -> None:
        self._core = core
        self.metrics = metrics
        self._check_method_names = flags.enable_signature_method_name_check
        self.as_tensor_content = flags.enable_serialization_as_tensor_content
        """Whether Predict over gRPC answers tensors as `tensor_content`."""

    def predict(self, request: Any, *, timeout_ms: int | None) -> Any:
        """PredictRequest to PredictResponse, with typed fields."""
        _require_model_spec(request)
        with self._core.servable(request.model_spec) as found:
            servable = self._timed(found, request, "Predict")
            return predict(servable, request, timeout_ms=timeout_ms, check_method_names=self._check_method_names)

    def classify(self, request: Any, *, timeout_ms: int | None) -> Any:
        """ClassificationRequest to ClassificationResponse."""
        _require_model_spec(request)
        with self._core.servable(request.model_spec) as found:
            servable = self._timed(found, request, "Classify")
            return classify(servable, request, timeout_ms=timeout_ms, check_method_names=self._check_method_names)

    def regress(self, request: Any, *, timeout_ms: int | None) -> Any:
        """RegressionRequest to RegressionResponse."""
        _require_model_spec(request)
        with self._core.servable(request.model_spec) as found:
            servable = self._timed(found, request, "Regress")
            return regress(servable, request, timeout_ms=timeout_ms, check_method_names=self._check_method_names)

    def multi_inference(self, request: Any, *, timeout_ms: int | None) -> Any:
        """MultiInferenceRequest to MultiInferenceResponse, from the servable that the first task asks for."""
        spec = multi_inference_model_spec(request)
        with self._core.servable(spec) as found:
            servable = counting_examples(found, self.metrics, name=spec.name)
            return multi_inference(
                servable, request, timeout_ms=timeout_ms, check_method_names=self._check_method_names
            )

    def model_metadata(self, request: Any) -> Any:
        """GetModelMetadataRequest to GetModelMetadataResponse."""
        _require_model_spec(request)
        metadata.check_metadata_fields(request)
        with self._core.servable(request.model_spec) as servable:
            return metadata.model_metadata(servable)

    def _timed(self, servable: Servable, request: Any, api: str) -> Servable:
        return timed(servable, self.metrics, name=request.model_spec.name, api=api)


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise StatusError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
