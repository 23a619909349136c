"""A command inside a container, by Docker's exec: what ``docker exec`` does, through the SDK's client."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import docker.errors

from fleetdeploy.domain.protocols import Ended
from fleetdeploy.domain.reaching import HEARD_S, STDOUT, Hear
from fleetdeploy.errors import DeadlineExceeded
from fleetdeploy.remote.docker.frames import LINE_BYTES, frames
from fleetdeploy.remote.host_words import printable

CAP_BYTES = 64 * 1024
_LOOK_S = 0.05
"""Docker's API has no call that waits for the end of an exec, which comes within milliseconds of that of its output."""
NOT_FOUND, NOT_STARTED = 127, 126
"""A shell's statuses for a program that is not there, and for one that cannot be started."""
_NO_PROGRAM = ("executable file not found", "no such file or directory")


def execute(api: Any, container: str, argv: Sequence[str], *, deadline_s: float, hear: Hear | None = None) -> Ended:
    """Run ``argv`` to its end; beyond :data:`CAP_BYTES` it is cut. Raises what the SDK raises, and DeadlineExceeded.

    On a terminal of its own, so that its output is one stream; with ``hear``, which is given all of it, without one.
    The SDK's own way to read that takes the channel from under the file which has read the answer's head, and loses
    what that has read too far (`_get_raw_response_socket`).
    """
    end = time.monotonic() + deadline_s
    made = str(api.exec_create(container, list(argv), tty=hear is None)["Id"])
    url = f"{api.base_url}/v{api.api_version}/exec/{made}/start"
    # Without the upgrade http.client closes the channel at once: it takes an answer without a length for the last one.
    upgrade = {"Connection": "Upgrade", "Upgrade": "tcp"}
    answer = api.post(
        url, json={"Detach": False, "Tty": hear is None}, headers=upgrade, stream=True, timeout=deadline_s
    )
    try:
        if answer.status_code >= 400:
            return _not_started(answer.text)
        read = _read(answer, end=end) if hear is None else _heard(answer, hear, end=end)
        text = read.decode("utf-8", "replace")
    finally:
        answer.close()
    ended = api.exec_inspect(made)
    while ended.get("Running") and time.monotonic() < end:  # its output may end a little before it does
        if hear is not None:
            hear(STDOUT, b"")
        time.sleep(_LOOK_S)
        ended = api.exec_inspect(made)
    if ended.get("Running"):
        raise DeadlineExceeded(f"{argv[0]} in the container did not end within {deadline_s:g} s")
    if text.startswith("OCI runtime exec failed"):
        return _not_started(text)
    return Ended(int(ended.get("ExitCode") or 0), _lines(text) if hear is None else "")


def _read(answer: Any, *, end: float) -> bytes:
    """Everything until the stream ends: byte by byte, as a longer read would wait to be filled."""
    stream = answer.raw._fp.fp  # noqa: SLF001  where the SDK takes the channel from as well
    read = bytearray()
    while len(read) < CAP_BYTES and (piece := stream.read(1)):
        read += piece
        if time.monotonic() > end:
            raise DeadlineExceeded("the command in the container did not end in time")
    return bytes(read)


def _heard(answer: Any, hear: Hear, *, end: float) -> bytes:
    """Hand on everything until the stream ends, and return how it begins: Docker may say there that it cannot start."""
    stream = answer.raw._fp.fp  # noqa: SLF001  as above

    def read(size: int) -> bytes:
        while True:
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise DeadlineExceeded("the command in the container did not end in time; it may still run there")
            stream.channel.settimeout(min(left_s, HEARD_S))
            try:
                return bytes(stream.read(size))  # what has come is kept for the next time when it is too little
            except TimeoutError:
                hear(STDOUT, b"")

    begins = bytearray()
    for kind, data in frames(read):
        begins += data[: LINE_BYTES - len(begins)]
        hear(kind, data)
    return bytes(begins)


def _not_started(text: str) -> Ended:
    """What Docker says of a program that it could not start: an older one in the stream, a newer one at once."""
    if "OCI runtime exec failed" not in text:
        raise docker.errors.APIError(text)
    return Ended(NOT_FOUND if any(words in text for words in _NO_PROGRAM) else NOT_STARTED, _lines(text))


def _lines(text: str) -> str:
    return "\n".join(printable(line) for line in text.splitlines())
