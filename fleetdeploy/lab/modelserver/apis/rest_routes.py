"""REST requests to answers: routes, codes, bodies.

Follows tensorflow_serving/model_servers/http_rest_api_handler.cc, http_rest_api_util.cc and http_server.cc.
"""

import re
from http import HTTPStatus
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from fleetdeploy.lab.modelserver.apis import rest_request, rest_response
from fleetdeploy.lab.modelserver.apis.json_values import proto_text
from fleetdeploy.lab.modelserver.apis.json_writer import error_text
from fleetdeploy.lab.modelserver.apis.monitoring import CONTENT_TYPE, MonitoringPage
from fleetdeploy.lab.modelserver.apis.prediction import Prediction
from fleetdeploy.lab.modelserver.apis.rest_examples import fill_examples
from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.inference.examples import signature_key
from fleetdeploy.lab.modelserver.inference.metadata import SIGNATURE_DEF
from fleetdeploy.lab.modelserver.metrics.server_metrics import now_us
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
_API: Final = re.compile(r"/v1/.*", re.IGNORECASE)
_PATH_CHAR: Final = r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9a-fA-F]{2})"
_QUERY: Final = rf"(?:{_PATH_CHAR}|\?)*"
_TARGET: Final = re.compile(
    rf"(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#\s]*)?(?P<path>{_PATH_CHAR}*)(?P<rest>(?:\?{_QUERY})?(?:#{_QUERY})?)"
)
"""A request target that libevent's strict parser of URIs takes."""
_PAGE: Final = "<html><head><title>{0} {1}</title></head><body><h1>{1}</h1></body></html>\n"

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
    """Text; bytes that are not UTF-8 are lone surrogates, as `surrogateescape` has them."""
    content_type: str = "application/json"
    """Empty where the header is left out."""
    cors: bool = False
    """Whether the headers for requests from other origins go with it."""


def html_page(status: HTTPStatus) -> Answer:
    """What the HTTP library answers by itself."""
    return Answer(status, _PAGE.format(status.value, status.phrase), "text/html")


class RestApi:
    """Turns a request into an answer."""

    def __init__(
        self, core: ServerCore, prediction: Prediction, flags: Flags, *, monitoring: MonitoringPage | None
    ) -> None:
        self._core = core
        self._prediction = prediction
        self._metrics = prediction.metrics
        self._monitoring = monitoring
        self._timeout_ms = flags.rest_api_timeout_in_ms if flags.rest_api_timeout_in_ms > 0 else None
        self.cors = flags.rest_api_enable_cors_support

    def answer(self, method: str, target: str, *, body: bytes, origin: str) -> Answer:
        """Answer one request for a target as it is in the request line; `origin` is its Origin header.

        A query is part of the path, as in the real server, so that no route matches with one behind its verb.
        """
        match = _TARGET.fullmatch(target)
        if match is None:
            return html_page(HTTPStatus.BAD_REQUEST)
        path = (match["path"] or "/") + match["rest"]
        if self._monitoring is not None and (match["path"] or "/") == self._monitoring.path:
            return Answer(*self._monitoring.answer(path), CONTENT_TYPE)
        if not _API.fullmatch(path):
            return html_page(HTTPStatus.NOT_FOUND)
        began_us = now_us()
        model, api = _counted_as(method, path)
        code, answer = Code.OK, Answer(200, "", "", cors=self.cors)
        try:
            if method != "OPTIONS":
                answer = Answer(200, self._dispatch(method, path, body=body), cors=self.cors)
            elif not re.search("https?://", origin):
                code, answer = Code.FAILED_PRECONDITION, Answer(400, "", "", cors=self.cors)
        except StatusError as problem:
            code = problem.code
            answer = Answer(_HTTP_STATUS[code], error_text(problem.message), cors=self.cors)
        if code is Code.OK:
            self._metrics.request_latency.add(model, api, "REST", value=now_us() - began_us)
        self._metrics.request_count.add(model, code.name)
        return answer

    def _dispatch(self, method: str, path: str, *, body: bytes) -> str:
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            answers = {"predict": self._predict, "classify": self._classify, "regress": self._regress}
            spec = _model_spec(match)
            # The route takes the verb in any case, the look-up of what to do takes it in lower case only.
            if verb := answers.get(match[4]):
                return verb(spec, body)
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            spec = _model_spec(match)
            if not spec.name:
                raise StatusError(Code.INVALID_ARGUMENT, "Missing model name in request.")
            return self._metadata(spec) if match[4] == "metadata" else self._status(spec)
        raise StatusError(Code.INVALID_ARGUMENT, f"Malformed request: {method} {path}")

    def _predict(self, spec: Any, body: bytes) -> str:
        document = rest_request.parse_request(body)
        request = stubs.predict_pb2.PredictRequest(model_spec=spec)
        request.model_spec.signature_name = proto_text(rest_request.signature_name(document))
        infos = self._input_infos(request.model_spec)
        form = rest_request.fill_inputs(document, infos, inputs=request.inputs)
        response = self._prediction.predict(request, timeout_ms=self._timeout_ms)
        return rest_response.predictions(response.outputs, form)

    def _classify(self, spec: Any, body: bytes) -> str:
        request = stubs.classification_pb2.ClassificationRequest(model_spec=spec)
        _fill_examples(request, body)
        return rest_response.classifications(self._prediction.classify(request, timeout_ms=self._timeout_ms).result)

    def _regress(self, spec: Any, body: bytes) -> str:
        request = stubs.regression_pb2.RegressionRequest(model_spec=spec)
        _fill_examples(request, body)
        return rest_response.regressions(self._prediction.regress(request, timeout_ms=self._timeout_ms).result)

    def _input_infos(self, spec: Any) -> dict[str, Any]:
        with self._core.servable(spec) as servable:
            signature = servable.model.signatures.get(signature_key(spec))
        if signature is None:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f'Serving signature name: "{signature_key(spec)}" not found in signature def',
            )
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


def _counted_as(method: str, path: str) -> tuple[str, str]:
    """Labels `model_name` and `API` of a request: what the routes capture, whether or not there is such a model.

    The verb stays as it is written in the path; requests without one have an empty API, and those that fit no route
    an empty name as well.
    """
    if method == "POST" and (match := _PREDICT.fullmatch(path)):
        return unquote(match[1]), match[4]
    if method == "GET" and (match := _STATUS.fullmatch(path)):
        return unquote(match[1] or ""), ""
    return "", ""


def _fill_examples(request: Any, body: bytes) -> None:
    """Fill a ClassificationRequest or RegressionRequest from its JSON."""
    document = rest_request.parse_request(body)
    request.model_spec.signature_name = proto_text(rest_request.signature_name(document))
    fill_examples(document, target=request.input)


def _model_spec(match: re.Match[str]) -> Any:
    """ModelSpec of a matched path: name, version, label."""
    spec = stubs.model_pb2.ModelSpec(name=unquote(match[1] or ""))
    if match[2]:
        digits = match[2].lstrip("0") or "0"
        if len(digits) > 19 or int(digits) >= 2**63:
            raise StatusError(Code.INVALID_ARGUMENT, f"Failed to convert version: {match[2]} to numeric.")
        spec.version.value = int(digits)
    if match[3]:
        spec.version_label = unquote(match[3])
    return spec
