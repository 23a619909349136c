"""What the suite is run against: the stand-in of this checkout, SERVER=path-to-binary, or IMAGE=tensorflow/serving:TAG.

An image runs with the host's network, with the tests' directories at their own paths, and without the image's own
entrypoint, so that flags, ports and exit status are the server's.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
SERVER: Final = os.environ.get("SERVER", "")
IMAGE: Final = os.environ.get("IMAGE", "")

MOUNTED: Final = "CONTRACT_MOUNTED"
"""Environment variable with the directory that a container sees at the same path; set by the suite itself."""


def is_stand_in() -> bool:
    """Whether the stand-in is tested, not some other binary or image."""
    return not SERVER and not IMAGE


def stand_in_only(reason: str) -> pytest.MarkDecorator:
    """Skip the test for every other server than the stand-in, for this reason."""
    return pytest.mark.skipif(not is_stand_in(), reason=f"for the stand-in only: {reason}")


# The real server scans once a second and decides ten times a second; the stand-in's clocks can be turned faster.
SCAN_S: Final = 0.1 if is_stand_in() else 1.0
TICK_S: Final = 0.02 if is_stand_in() else 0.1
DEADLINE_S: Final = 30.0 if is_stand_in() else 120.0
HANGS_S: Final = 8 * SCAN_S
"""How long something is watched that must not happen: several scans and many ticks."""

FAST_CLOCKS: Final = {"STANDIN_TICK_S": str(TICK_S), "STANDIN_SCAN_S": str(SCAN_S)}
"""Environment for the stand-in; no other server knows these variables."""


def program(*options: str) -> list[str]:
    """Arguments that begin the server's command line; `options` go to `docker run` and count for an image only."""
    if IMAGE:
        docker = ["docker", "run", "--rm", "--init", "--network=host", f"--label={_label()}"]
        return [*docker, *options, "--entrypoint=tensorflow_model_server", IMAGE]
    if SERVER:
        found = shutil.which(SERVER)
        assert found, f"SERVER={SERVER} is no program that can be run"
        return [str(Path(found).resolve())]
    return [sys.executable, "-m", "fleetdeploy.lab.modelserver"]


def container_options(name: str, variables: Sequence[str]) -> list[str]:
    """Options of `docker run` for one server: its name, the tests' directories, and variables passed on by name."""
    mounted = os.environ[MOUNTED]
    passed = [f"--env={variable}" for variable in variables if variable.startswith("STANDIN_")]
    return [f"--name={name}", f"--volume={mounted}:{mounted}", *passed]


def kill_container(name: str) -> None:
    """End a container and thereby, with --rm, remove it; one that is gone already is fine."""
    subprocess.run(["docker", "kill", name], capture_output=True, timeout=DEADLINE_S, check=False)


@contextlib.contextmanager
def containers_removed() -> Iterator[None]:
    """Remove what is left of the suite's containers at the end, however this process ends.

    A shell waits for the end of a pipe that this process holds: closed here, or by the kernel if pytest is killed.
    """
    if not IMAGE:
        yield
        return
    sweep = (
        'cat >/dev/null; for each in $(docker ps --all --quiet --filter "label=$0"); do docker rm --force $each; done'
    )
    with subprocess.Popen(
        ["sh", "-c", sweep, _label()], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ):
        yield


def _label() -> str:
    return f"fleetdeploy-contract={os.getpid()}"
