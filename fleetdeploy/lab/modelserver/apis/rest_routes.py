"""REST requests to answers: routes, codes, bodies.

Follows tensorflow_serving/model_servers/http_rest_api_handler.cc, http_rest_api_util.cc and http_server.cc.
"""

import re
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from fleetdeploy.lab.modelserver.apis import rest_request, rest_response
from fleetdeploy.lab.modelserver.apis.json_writer import error_text
from fleetdeploy.lab.modelserver.apis.prediction import Prediction
from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.inference.metadata import SIGNATURE_DEF
from fleetdeploy.lab.modelserver.inference.predict import DEFAULT_SIGNATURE
from fleetdeploy.lab.modelserver.models.core import ServerCore
from fleetdeploy.lab.modelserver.models.model_status import model_status
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

_PREDICT: Final = re.compile(
    r"/v1/models/([^/:]+)(?:/versions/([0-9]+)|/labels/([^/:]+))?:(classify|regress|predict)", re.IGNORECASE
)
_STATUS: Final = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:/versions/([0-9]+)|/labels/([^/:]+))?(?:/(metadata))?", re.IGNORECASE
)
_API: Final = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
_NOT_FOUND_PAGE: Final = "<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>\n"

_HTTP_STATUS: Final = {
    Code.OK: 200,
    Code.INVALID_ARGUMENT: 400,
    Code.FAILED_PRECONDITION: 400,
    Code.OUT_OF_RANGE: 400,
    Code.UNAUTHENTICATED: 401,
    Code.PERMISSION_DENIED: 403,
    Code.NOT_FOUND: 404,
    Code.ALREADY_EXISTS: 409,
    Code.ABORTED: 409,
    Code.RESOURCE_EXHAUSTED: 429,
    Code.CANCELLED: 499,
    Code.UNKNOWN: 500,
    Code.INTERNAL: 500,
    Code.DATA_LOSS: 500,
    Code.UNIMPLEMENTED: 501,
    Code.UNAVAILABLE: 503,
    Code.DEADLINE_EXCEEDED: 504,
}


class Answer(NamedTuple):
    """What goes back to the client."""

    status: int
    body: str
    content_type: str = "application/json"


class RestApi:
    """Turns a request into an answer."""

    def __init__(self, core: ServerCore, prediction: Prediction, flags: Flags) -> None:
        self._core = core
        self._prediction = prediction
        self._timeout_ms = flags.rest_api_timeout_in_ms if flags.rest_api_timeout_in_ms > 0 else None
        self.cors = flags.rest_api_enable_cors_support

    def answer(self, method: str, path: str, *, body: bytes, origin: str) -> Answer:
        """Answer one request; `origin` is its Origin header."""
        if not _API.fullmatch(path):
            return Answer(404, _NOT_FOUND_PAGE, "text/html")
        try:
            return Answer(200, self._dispatch(method, path, body=body, origin=origin))
        except StatusError as problem:
            return Answer(_HTTP_STATUS[problem.code], error_text(problem.message))
        except RecursionError:
            return Answer(400, error_text("JSON Parse error: The document is nested too deeply"))

    def _dispatch(self, method: str, path: str, *, body: bytes, origin: str) -> str:
        if method == "OPTIONS":
            if re.search("https?://", origin):
                return ""
            raise StatusError(Code.FAILED_PRECONDITION, "Origin header is missing in CORS preflight")
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            if match[4].lower() == "predict":
                return self._predict(_model_spec(match), body)
            raise StatusError(Code.UNIMPLEMENTED, f"The stand-in does not answer {match[4].lower()} requests")
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            if match[1] is None:
                raise StatusError(Code.INVALID_ARGUMENT, "Missing model name in request.")
            return self._metadata(_model_spec(match)) if match[4] else self._status(_model_spec(match))
        raise StatusError(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")

    def _predict(self, spec: Any, body: bytes) -> str:
        document = rest_request.parse_json(body)
        request = stubs.predict_pb2.PredictRequest(model_spec=spec)
        request.model_spec.signature_name = rest_request.signature_name(document)
        infos = self._input_infos(request.model_spec)
        form = rest_request.fill_inputs(document, infos, inputs=request.inputs)
        response = self._prediction.predict(request, timeout_ms=self._timeout_ms)
        return rest_response.predictions(response.outputs, form)

    def _input_infos(self, spec: Any) -> dict[str, Any]:
        name = spec.signature_name or DEFAULT_SIGNATURE
        with self._core.servable(spec) as servable:
            signature = servable.model.signatures.get(name)
        if signature is None:
            raise StatusError(Code.INVALID_ARGUMENT, f'Serving signature name: "{name}" not found in signature def')
        if not signature.inputs:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Failed to get input map for signature: {spec.signature_name or 'DEFAULT'}",
            )
        return dict(signature.inputs)

    def _status(self, spec: Any) -> str:
        request = stubs.get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        return rest_response.status(model_status(self._core.monitor, request))

    def _metadata(self, spec: Any) -> str:
        request = stubs.get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
        return rest_response.metadata(self._prediction.model_metadata(request))


def _model_spec(match: re.Match[str]) -> Any:
    """ModelSpec of a matched path: name, version, label."""
    spec = stubs.model_pb2.ModelSpec(name=unquote(match[1]))
    if match[2]:
        if int(match[2]) >= 2**63:
            raise StatusError(Code.INVALID_ARGUMENT, f"Failed to convert version: {match[2]} to numeric.")
        spec.version.value = int(match[2])
    if match[3]:
        spec.version_label = unquote(match[3])
    return spec
