"""What the docker SDK raises becomes our own error, with what to do about it."""

from __future__ import annotations

import docker.errors
import pytest
import requests.exceptions
import urllib3.exceptions

from fleetdeploy.errors import DeadlineExceeded, DockerFailed, HostError, Unreachable
from fleetdeploy.remote.docker.containers import _translate


def api_error(text: str) -> docker.errors.APIError:
    return docker.errors.APIError("409 Client Error", explanation=text)


@pytest.mark.parametrize(
    ("error", "ours", "said", "hint"),
    [
        (api_error('The name "/x" is already in use by container "1"'), DockerFailed, "already in use", "docker ps"),
        (api_error("Bind for 10.0.0.1:8500 failed: port is already allocated"), DockerFailed, "allocated", "ss -ltnp"),
        (api_error("Unknown runtime specified nvidia"), DockerFailed, "Unknown runtime", "NVIDIA Container Toolkit"),
        (docker.errors.DockerException("odd"), DockerFailed, "odd", "dockerd"),
        (requests.exceptions.ReadTimeout("read"), DeadlineExceeded, "not known", "systemctl"),
        (TimeoutError(), DeadlineExceeded, "not known", "systemctl"),
        (requests.exceptions.ConnectionError("gone"), DockerFailed, "gone", "dockerd"),
        (urllib3.exceptions.ProtocolError("cut"), DockerFailed, "cut", "dockerd"),
    ],
)
def test_an_error_says_what_docker_said_and_what_to_do(
    error: BaseException, ours: type[HostError], said: str, hint: str
) -> None:
    """A refusal keeps Docker's words; a timeout says that the outcome is not known; each has a next step."""
    found = _translate(error, "gpu1", "creating container x")
    assert type(found) is ours
    assert said in found.message
    assert "creating container x" in found.message
    assert hint in found.hint
    assert found.where == "gpu1"


def test_our_own_error_under_the_sdks_is_found() -> None:
    """A lost SSH connection stays the reason, however deep the HTTP libraries have wrapped it."""
    outer = requests.exceptions.ConnectionError("wrapped")
    outer.__cause__ = Unreachable("the connection was lost", where="gpu1", hint="run again")
    found = _translate(outer, "gpu1", "inspecting container x")
    assert isinstance(found, DockerFailed)
    assert "the connection was lost" in found.message
    assert found.hint == "run again"


def test_a_long_answer_is_not_cut_within_a_word() -> None:
    """Docker may quote an environment variable, and half of a secret is recognised by nobody."""
    found = _translate(api_error("y " * 293 + "T0ken-that-is-long"), "gpu1", "creating container x")
    assert found.message.endswith("y y ...")
