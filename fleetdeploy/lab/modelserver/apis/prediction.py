"""The inference requests of both APIs: finds the servable a request asks for and has it answer."""

from typing import Any

from fleetdeploy.lab.modelserver.inference import metadata, predict
from fleetdeploy.lab.modelserver.models.core import ServerCore
from fleetdeploy.lab.modelserver.status import Code, StatusError


class Prediction:
    """Answers request messages with response messages; every method raises StatusError."""

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    def predict(self, request: Any, *, timeout_ms: int | None) -> Any:
        """PredictRequest to PredictResponse; `timeout_ms` of None waits as long as it takes."""
        _require_model_spec(request)
        with self._core.servable(request.model_spec) as servable:
            return predict.predict(servable, request, timeout_ms=timeout_ms)

    def model_metadata(self, request: Any) -> Any:
        """GetModelMetadataRequest to GetModelMetadataResponse."""
        _require_model_spec(request)
        metadata.check_metadata_fields(request)
        with self._core.servable(request.model_spec) as servable:
            return metadata.model_metadata(servable)


def _require_model_spec(request: Any) -> None:
    if not request.HasField("model_spec"):
        raise StatusError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
