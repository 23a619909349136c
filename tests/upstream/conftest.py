"""What tensorflow/serving's own test file finds around it: test data, a server under its name, the socket to itself."""

import os
import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOCKET = Path("/tmp/tf-serving.sock")
"""Where the test file has every server listen (its GRPC_SOCKET_PATH)."""


@pytest.fixture(scope="session")
def alone() -> Iterator[None]:
    """All servers listen on one path, so one run at a time; the kernel gives the lock back when the process ends."""
    with socket.socket(socket.AF_UNIX) as lock:
        try:
            lock.bind("\0fleetdeploy-tests-upstream")
        except OSError:
            pytest.fail(f"another run of these tests is in progress; both would listen on {SOCKET}")
        yield


@pytest.fixture
def source_directory(alone: None, tmp_path: Path) -> Iterator[Path]:
    """TEST_SRCDIR: the checkout's test data, and a server under the name that the test file starts."""
    del alone
    checkout = Path(os.environ["TFS_CHECKOUT"]).resolve()
    package = tmp_path / "source" / "tf_serving" / "tensorflow_serving"
    (package / "model_servers").mkdir(parents=True)
    (package / "servables").symlink_to(checkout / "tensorflow_serving" / "servables")
    server = package / "model_servers" / "tensorflow_model_server"
    named = os.environ.get("SERVER")
    if named:
        server.symlink_to(Path(named).resolve())
    else:
        # By exec: the test kills the process that it started, and that must be the server.
        server.write_text(
            "#!/bin/sh\n"
            f"PYTHONPATH={shlex.quote(str(ROOT))} exec {shlex.quote(sys.executable)} -m fleetdeploy.lab.modelserver"
            ' "$@"\n'
        )
        server.chmod(0o755)
    yield tmp_path / "source"
    SOCKET.unlink(missing_ok=True)  # a killed server leaves it
