"""The REST API: a threaded HTTP/1.1 server that keeps connections alive.

Routes, codes and bodies follow tensorflow_serving/model_servers/http_rest_api_handler.cc, http_rest_api_util.cc and
http_server.cc.
"""

import gzip
import re
import socket
import socketserver
import sys
import threading
import traceback
import zlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from fleetdeploy.lab.modelserver import log, predict, rest_request, rest_response
from fleetdeploy.lab.modelserver.core import ServerCore
from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.json_writer import error_text
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

    def __init__(self, core: ServerCore, flags: Flags) -> None:
        self._core = core
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
        response = predict.predict(self._core, request, timeout_ms=self._timeout_ms)
        return rest_response.predictions(response.outputs, form)

    def _input_infos(self, spec: Any) -> dict[str, Any]:
        name = spec.signature_name or predict.DEFAULT_SIGNATURE
        with self._core.servable(spec) as servable:
            signature = servable.bundle.signatures.get(name)
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
        return rest_response.status(predict.model_status(self._core, request))

    def _metadata(self, spec: Any) -> str:
        request = stubs.get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=[predict.SIGNATURE_DEF]
        )
        return rest_response.metadata(predict.model_metadata(self._core, request))


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


class _Server(socketserver.ThreadingTCPServer):
    """Accepts connections, one thread each. No look-up of host names: that takes seconds where DNS is out of reach."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, api: RestApi, flags: Flags) -> None:
        self.api = api
        # One of the real server's workers is taken by its event loop, so that with one nothing is ever answered.
        self.workers = threading.Semaphore(max(0, flags.rest_api_num_threads - 1))
        super().__init__(("", flags.rest_api_port), _Handler, bind_and_activate=False)
        if socket.has_dualstack_ipv6():
            self.socket.close()
            self.address_family = socket.AF_INET6
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.server_address = ("::", flags.rest_api_port)
        try:
            self.server_bind()
            self.server_activate()
        except OSError:
            self.server_close()
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 -- the base class's signature
        """A client that went away is no news; anything else is a defect of the stand-in, and logged as one."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            log.error("defect in the stand-in: " + traceback.format_exc())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        body = self._body()
        if body is None:
            return
        path = urlsplit(self.path).path if not self.path.startswith("//") else self.path
        with self.server.workers:
            answer = self.server.api.answer(self.command, path, body=body, origin=self.headers.get("Origin", ""))
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _serve  # noqa: N815

    def _body(self) -> bytes | None:
        """The request's body, unpacked; None after an answer has been sent because it cannot be read."""
        try:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                body = self._chunks()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding", "").lower() == "gzip":
                body = gzip.decompress(body)
        except (ValueError, OSError, EOFError, zlib.error):
            self.close_connection = True
            self._send(Answer(400, error_text("Malformed request body")))
            return None
        return body

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline(8)
        while self.rfile.readline(65536).strip():
            pass  # trailers
        return b"".join(parts)

    def _send(self, answer: Answer) -> None:
        """Send head and body in one write, so that they leave in one segment."""
        body = answer.body.encode(errors="surrogatepass")
        try:
            reason = HTTPStatus(answer.status).phrase
        except ValueError:
            reason = "Client Closed Request"
        head = [
            f"HTTP/1.1 {answer.status} {reason}",
            f"Content-Type: {answer.content_type}",
            f"Date: {self.date_time_string()}",
            f"Content-Length: {len(body)}",
        ]
        if self.server.api.cors:
            head += [
                "Access-Control-Allow-Origin: *",
                "Access-Control-Allow-Methods: POST, GET",
                "Access-Control-Allow-Headers: Content-Type",
            ]
        if self.close_connection:
            head.append("Connection: close")
        text = "\r\n".join([*head, "", ""]).encode("latin-1")
        self.wfile.write(text if self.command == "HEAD" else text + body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """The real server logs no requests at its default level."""


def start_rest_server(core: ServerCore, flags: Flags) -> None:
    """Open the REST port in threads of its own; that it cannot be bound is logged, and the server runs on."""
    address = f"localhost:{flags.rest_api_port}"
    try:
        server = _Server(RestApi(core, flags), flags)
    except OSError as problem:
        log.error(f"Failed to start HTTP Server at {address} ({problem.strerror})")
        return
    threading.Thread(target=server.serve_forever, name="rest", daemon=True).start()
    log.info(f"Exporting HTTP/REST API at:{address} ...")
