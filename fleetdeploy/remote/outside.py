"""What a playbook does on the controller itself: post to a webhook, or run a command."""

from __future__ import annotations

import http.client
import os
import queue
import selectors
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from fleetdeploy.domain.protocols import NOTHING, Ended
from fleetdeploy.errors import DeadlineExceeded, HostError, RemoteCommandFailed
from fleetdeploy.remote.killing import kill_group

TEXT_BYTES = 64 * 1024
WRITER_S = 5.0
"""For the end of a pipe that nobody reads any longer; a child that left the command's group may still hold it."""


class Outside:
    """:class:`fleetdeploy.domain.protocols.Outside` on this machine.

    ``environment`` is what commands inherit; without it they inherit everything.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._inherited = environment

    def post(self, url: str, body: bytes, *, deadline_s: float, headers: Mapping[str, str] = NOTHING) -> None:
        """POST JSON; any answer of 2xx is a yes. Redirects are not followed, and no part of the address is shown."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, parts.port, timeout=deadline_s, context=context)
        else:
            connection = http.client.HTTPConnection(host, parts.port, timeout=deadline_s)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        late = threading.Event()
        answers: queue.SimpleQueue[int | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                connection.connect()
                if late.is_set():
                    return  # looking the name up took too long: nobody waits for an answer any more
                ours = {"Content-Type": "application/json", "User-Agent": "fleetdeploy"}
                connection.request("POST", path, body, {**headers, **ours})
                answers.put(connection.getresponse().status)
            except Exception as error:  # noqa: BLE001  raised by the thread that waits
                answers.put(error)
            finally:
                connection.close()

        # In a thread: a timeout of the socket is one of each read, so that an answer that trickles would never end by
        # it, and nothing ends the look-up of a name.
        threading.Thread(target=ask, daemon=True).start()
        try:
            status = answers.get(timeout=deadline_s)
            if isinstance(status, Exception):
                raise status
        except (queue.Empty, TimeoutError):
            late.set()
            with suppress(OSError, AttributeError):
                connection.sock.shutdown(socket.SHUT_RDWR)
            raise DeadlineExceeded(f"{host} gave no answer within {deadline_s:g} s", where=host) from None
        except (OSError, UnicodeError, http.client.HTTPException) as error:  # no name at all, such as a..b
            raise HostError(f"{host} cannot be told: {type(error).__name__}", where=host) from None
        if not 200 <= status < 300:
            raise HostError(f"{host} answered with status {status}", where=host)

    def command(
        self, argv: Sequence[str], stdin: bytes, *, deadline_s: float, environment: Mapping[str, str] = NOTHING
    ) -> Ended:
        """Run a command, with its whole process group under the deadline; the end of what it printed is kept."""
        inherited = os.environ if self._inherited is None else self._inherited
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**inherited, **environment},
            )
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise RemoteCommandFailed(f"{argv[0]} cannot be run: {why}", hint="check its name and path") from None
        writer = threading.Thread(target=_write, args=(process, stdin), daemon=True)
        writer.start()
        try:
            output = _end_of_output(process, time.monotonic() + deadline_s)
        except subprocess.TimeoutExpired:
            raise DeadlineExceeded(f"{argv[0]} did not end within {deadline_s:g} s and was killed") from None
        finally:
            if process.returncode is None:
                kill_group(process)
            writer.join(WRITER_S)
            if process.stdout is not None:
                process.stdout.close()
        return Ended(process.returncode, output.decode("utf-8", "replace"))


def _write(process: subprocess.Popen[bytes], stdin: bytes) -> None:
    """Nobody has to read what is told: a command that ends, or is ended, closes the pipe."""
    assert process.stdin is not None
    with suppress(OSError):
        process.stdin.write(stdin)
    with suppress(OSError):
        process.stdin.close()


def _end_of_output(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """The last of what the process prints until it ends. Raises TimeoutExpired at the deadline."""
    assert process.stdout is not None
    kept = bytearray()
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise subprocess.TimeoutExpired(process.args, 0)
            if not waiting.select(left):
                continue
            chunk = os.read(process.stdout.fileno(), TEXT_BYTES)
            if not chunk:
                break
            kept += chunk
            del kept[:-TEXT_BYTES]
    process.wait(max(deadline - time.monotonic(), 0))
    return bytes(kept)
