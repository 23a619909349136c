"""A server with states, and the machines on which a watchdog of it is tried."""

from __future__ import annotations

import os
import secrets
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from .machine import SHELLS, Machine


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Answers as TensorFlow Serving does, with what stands in ``states``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            states = cast("Any", self.server).states
            rows = [f'{{\n   "version": "{number}",\n   "state": "{state}"\n  }}' for number, state in states.items()]
            body = ('{\n "model_version_status": [\n  ' + ",\n".join(rows) + "\n ]\n}\n").encode()
            self.send_response(200 if self.path == "/v1/models/ranker" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cast("Any", made).states = {"1": "AVAILABLE", "2": "AVAILABLE", "3": "END"}
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def end(made: Machine) -> None:
    for pid in made.guards():
        with suppress(ProcessLookupError):  # it may have ended by itself since
            os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def machine(request: pytest.FixtureRequest, tmp_path: Path, server: ThreadingHTTPServer) -> Iterator[Machine]:
    made = Machine(tmp_path / f"host-{secrets.token_hex(4)}", request.param, server.server_port)
    yield made
    end(made)


@pytest.fixture
def one(tmp_path: Path, server: ThreadingHTTPServer) -> Iterator[Machine]:
    """A machine with this machine's ``sh``."""
    made = Machine(tmp_path / "host", ("/bin/sh",), server.server_port)
    yield made
    end(made)
