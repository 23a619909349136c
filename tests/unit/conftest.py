"""Unit tests reach nothing outside their process: no sockets of a network, no other programs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
OWN_RULES = ("remote", "lab")
"""Rooms whose own tests may use sockets and programs on this machine: touching them is what those rooms are for."""

# The simulated fleet is a package beside the unit tests; the contract tests use it too.
sys.path.insert(0, str(HERE.parent))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "sockets: this unit test may use sockets on loopback")
    config.addinivalue_line("markers", "programs: this unit test may start other programs")
    config.addinivalue_line("markers", "simulation: whole rollouts on a simulated fleet; see `make simulation`")


TIMES = int(os.environ.get("FLEETDEPLOY_EXAMPLES", "1"))
"""How many times the usual number of examples: 1 in CI, 40 in a night, which is 2,000 of a ``property``."""

# A machine that is busy is no failure, so that no example has a deadline. The usual examples are the same each time, so
# that what a test says about a change is about the change. Where more are asked for, they are others each time.
settings.register_profile("unit", max_examples=25 * TIMES, deadline=None, derandomize=TIMES == 1)
settings.register_profile("property", max_examples=50 * TIMES, deadline=None, derandomize=TIMES == 1)
settings.load_profile("unit")


class Blocked(AssertionError):
    """A unit test tried to leave its process."""


def _refused(what: str) -> Any:
    def refuse(*arguments: object, **_: object) -> None:
        raise Blocked(f"{what} in a unit test: {arguments[1:]}; mark it if that is meant")

    return refuse


def _network_only(real: Any, what: str) -> Any:
    def guard(self: socket.socket, *arguments: Any) -> Any:
        if self.family == socket.AF_UNIX:
            return real(self, *arguments)
        return _refused(what)(self, *arguments)

    return guard


@pytest.fixture(autouse=True)
def _inside_the_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    room = request.path.relative_to(HERE).parts[0]
    if room not in OWN_RULES:
        if request.node.get_closest_marker("sockets") is None:
            for name in ("connect", "connect_ex", "bind"):
                monkeypatch.setattr(socket.socket, name, _network_only(getattr(socket.socket, name), f"socket.{name}"))
            monkeypatch.setattr(socket, "getaddrinfo", _refused("socket.getaddrinfo"))
        if request.node.get_closest_marker("programs") is None:
            monkeypatch.setattr(subprocess.Popen, "__init__", _refused("subprocess"))
