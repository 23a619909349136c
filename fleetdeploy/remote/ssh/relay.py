"""A UNIX socket on this machine whose connections come out at a TCP port as a host reaches it.

gRPC wants something it can dial; the socket lies in a private directory, so nobody else on this machine can use it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fleetdeploy.errors import HostError

_CHUNK_BYTES = 64 * 1024


class ByteStream(Protocol):
    """The far end: a socket, or a channel of paramiko."""

    def recv(self, size: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> None: ...

    def shutdown(self, how: int, /) -> None: ...

    def settimeout(self, timeout: float | None, /) -> None: ...

    def close(self) -> None: ...


class Relay:
    """Listens at ``path`` until closed. A connection whose far end cannot be opened is closed at once, unanswered."""

    def __init__(self, path: Path, dial: Callable[[], ByteStream]) -> None:
        self.path = path
        self.refusal = ""
        """Why the far end could not be opened the last time it was tried; empty when it could."""
        self._dial = dial
        self._lock = threading.Lock()
        self._open: set[socket.socket | ByteStream] = set()
        self._closed = False
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._listener.bind(str(path))
            self._listener.listen(16)
        except OSError:
            self._listener.close()
            raise
        self._acceptor = threading.Thread(target=self._accept, name=f"relay {path.name}", daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        """Close the listener and every connection, and wait for the acceptor."""
        with self._lock:
            self._closed = True
            ends, self._open = self._open, set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close alone does not
        self._acceptor.join(5)
        self._listener.close()
        self.path.unlink(missing_ok=True)
        for end in ends:
            _end(end)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(near,), name="relay connection", daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        try:
            far = self._dial()
        except HostError as error:
            self.refusal = error.message
            near.close()
            return
        self.refusal = ""
        with self._lock:
            if self._closed:
                _end(near)
                _end(far)
                return
            self._open |= {near, far}
        back = threading.Thread(target=_pump, args=(far, near), name="relay back", daemon=True)
        far.settimeout(None)
        back.start()
        _pump(near, far)
        back.join()
        with self._lock:
            self._open -= {near, far}
        _end(near)
        _end(far)


def _pump(source: socket.socket | ByteStream, sink: socket.socket | ByteStream) -> None:
    """Copy one direction to its end, and pass the end on. Any failure ends both directions."""
    try:
        while data := source.recv(_CHUNK_BYTES):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except (OSError, EOFError):
        _end(source)
        _end(sink)


def _end(end: socket.socket | ByteStream) -> None:
    with contextlib.suppress(OSError, EOFError):
        end.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(OSError, EOFError):
        end.close()
