"""What a model server says of its versions enters as one harmless line, whichever way it was asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleetdeploy.remote.host_words import printable
from fleetdeploy.remote.probe import facts
from fleetdeploy.remote.serving import RemoteServing
from fleetdeploy.tfserving import stubs

EVIL = "OOM\n\x1b[31mred\r\x9b2J\x00 " + "x" * 5000


def by_rest() -> str:
    status = {"error_code": "RESOURCE_EXHAUSTED", "error_message": EVIL}
    body = json.dumps({"model_version_status": [{"version": "2", "state": "END", "status": status}]})
    (found,) = facts.served(f"HTTP/1.1 200 OK\r\n\r\n{body}")
    return found.error


def by_grpc() -> str:
    entry: Any = stubs.get_model_status_pb2.ModelVersionStatus(version=2, state=50)
    entry.status.error_code, entry.status.error_message = 8, EVIL.replace("\x00", "")
    return RemoteServing._state(None, entry).error  # type: ignore[arg-type]


@pytest.mark.parametrize("asked", [by_rest, by_grpc])
def test_a_version_s_error_is_one_printable_line(asked: Any) -> None:
    """Newlines become blanks, control characters go, and thousands of characters are cut; the code stays in front."""
    error = asked()
    assert error.startswith("RESOURCE_EXHAUSTED: OOM [31mred")
    assert error.isprintable()
    assert len(error) <= 400


def test_plain_words_stay_as_they_are() -> None:
    """Other languages are no danger."""
    assert printable("kein Platz für das Modell") == "kein Platz für das Modell"
