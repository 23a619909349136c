"""The REST port: a threaded HTTP/1.1 server that keeps connections alive.

See tensorflow_serving/util/net_http and tensorflow_serving/model_servers/http_server.cc.
"""

import gzip
import io
import socket
import socketserver
import sys
import threading
import traceback
import zlib
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.apis.rest_routes import Answer, RestApi, html_page
from fleetdeploy.lab.modelserver.flags import Flags, integer

_PIECE_BYTES: Final = 2**20
_UNPACKED_BYTES: Final = 100 * 2**20
"""Most that a gzipped body may unpack to (ZLib::kMaxUncompressedBytes)."""


class _Server(socketserver.ThreadingTCPServer):
    """Accepts connections, one thread each. No look-up of host names: that takes seconds where DNS is out of reach."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, api: RestApi, flags: Flags) -> None:
        self.api = api
        if flags.rest_api_num_threads < 1:
            log.abort("Check failed: num_threads >= 1: the REST API has no thread")
        # One of the real server's workers is taken by its event loop, so that with one nothing is ever answered.
        self.workers = threading.Semaphore(flags.rest_api_num_threads - 1)
        port = flags.rest_api_port & 0xFFFF  # the real server hands it on as a number of 16 bits
        super().__init__(("", port), _Handler, bind_and_activate=False)
        if socket.has_dualstack_ipv6():
            self.socket.close()
            self.address_family = socket.AF_INET6
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.server_address = ("::", port)
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
        target = self.requestline.split()[1]  # `self.path` lacks the second of two leading slashes
        with self.server.workers:
            answer = self.server.api.answer(self.command, target, body=body, origin=self.headers.get("Origin", ""))
        self._send(answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _serve  # noqa: N815

    def _body(self) -> bytes | None:
        """The request's body, unpacked; None where it cannot be read, and the connection ends."""
        try:
            if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
                body = self._chunks()
            else:
                body = self._exactly(integer(self.headers.get("Content-Length", "0"), bits=64))
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return None
        except (EOFError, OSError):  # the client has gone
            self.close_connection = True
            return None
        return _unpacked(body) if "gzip" in self.headers.get("Content-Encoding", "") else body

    def _exactly(self, size: int) -> bytes:
        """So many bytes, read piece by piece: a client may announce more than there is memory."""
        if size < 0:
            raise ValueError(size)
        parts: list[bytes] = []
        while size:
            part = self.rfile.read(min(size, _PIECE_BYTES))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self.rfile.readline(64).split(b";")[0], 16):
            parts.append(self._exactly(size))
            self.rfile.readline(8)
        while self.rfile.readline(65536).strip():
            pass  # trailers
        return b"".join(parts)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that cannot be read, with a page like libevent's instead of Python's."""
        del message, explain
        self.close_connection = True
        unknown_method = code == HTTPStatus.NOT_IMPLEMENTED
        self._send(html_page(HTTPStatus.NOT_IMPLEMENTED if unknown_method else HTTPStatus.BAD_REQUEST))

    def _send(self, answer: Answer) -> None:
        """Send head and body in one write, so that they leave in one segment."""
        body = answer.body.encode(errors="surrogateescape")
        try:
            reason = HTTPStatus(answer.status).phrase
        except ValueError:
            reason = "Client Closed Request"
        head = [
            f"HTTP/1.1 {answer.status} {reason}",
            f"Date: {self.date_time_string()}",
            f"Content-Length: {len(body)}",
        ]
        if answer.content_type:
            head.append(f"Content-Type: {answer.content_type}")
        if answer.cors:
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


def _unpacked(body: bytes) -> bytes:
    """A gzipped body; the real server goes on with an empty one where it cannot be unpacked, or is too large."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as packed:
            unpacked = packed.read(_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        return b""
    return unpacked if len(unpacked) <= _UNPACKED_BYTES else b""


def start_rest_server(api: RestApi, flags: Flags) -> None:
    """Open the REST port in threads of its own; that it cannot be bound is logged, and the server runs on."""
    address = f"localhost:{flags.rest_api_port}"
    try:
        server = _Server(api, flags)
    except OSError as problem:
        log.error(f"Failed to start HTTP Server at {address} ({problem.strerror})")
        return
    threading.Thread(target=server.serve_forever, name="rest", daemon=True).start()
    log.info(f"Exporting HTTP/REST API at:{address} ...")
