"""How the suite runs an image: tried with a program called docker that runs the stand-in instead."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_server import wait_for
from contract_target import ROOT, stand_in_only

pytestmark = stand_in_only("these tests are about the suite itself")

_DOCKER = """#!/bin/sh
echo "$@" >> "$FAKE/calls"
case $1 in
run)
    for word; do
        case $word in
        --name=*) name=${word#--name=};;
        --entrypoint=*) entrypoint=${word#--entrypoint=};;
        esac
        shift
        test "$word" = an/image:1 && break
    done
    echo $$ > "$FAKE/containers/$name"
    test "$entrypoint" = tensorflow_model_server && exec "$PYTHON" -m fleetdeploy.lab.modelserver "$@";;
ps) ls "$FAKE/containers";;
kill | rm)
    for name; do :; done
    kill -9 "$(cat "$FAKE/containers/$name")"
    rm "$FAKE/containers/$name";;
esac
"""

_SUITE = """
import contextlib, pathlib, sys
from contract_server import ModelServer
from contract_target import containers_removed
directory = pathlib.Path(sys.argv[1])
(directory / "config").write_text("model_config_list { }")
with containers_removed():
    server = ModelServer(directory, f"--model_config_file={directory / 'config'}").ready()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop()
"""


@pytest.fixture
def suite(tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that has started a server from an image, and stops it when its input ends."""
    docker = tmp_path / "bin" / "docker"
    docker.parent.mkdir()
    docker.write_text(_DOCKER)
    docker.chmod(0o755)
    (tmp_path / "containers").mkdir()
    environment = {
        "PATH": f"{docker.parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{Path(__file__).parent}:{ROOT}",
        "PYTHON": sys.executable,
        "FAKE": str(tmp_path),
        "IMAGE": "an/image:1",
        "CONTRACT_MOUNTED": str(tmp_path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", _SUITE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_image_is_run_with_what_the_tests_need(suite: "subprocess.Popen[str]", tmp_path: Path) -> None:
    """A container is named, goes at its end, and has the host's network, the tests' files, and the server alone."""
    (name,) = (each.name for each in (tmp_path / "containers").iterdir())
    suite.communicate("", timeout=60)
    calls = (tmp_path / "calls").read_text().splitlines()
    options, _, flags = calls[0].partition(" --entrypoint=tensorflow_model_server an/image:1 ")
    assert options.startswith(f"run --rm --init --network=host --label=fleetdeploy-contract={suite.pid} ")
    assert f" --name={name} --volume={tmp_path}:{tmp_path} " in options
    assert {"--env=STANDIN_TICK_S", "--env=STANDIN_SCAN_S"} <= set(options.split())
    assert flags.split()[-1] == f"--model_config_file={tmp_path / 'config'}"
    assert calls[1] == f"kill {name}"
    assert not list((tmp_path / "containers").iterdir())


def test_killed_suite_leaves_no_container(suite: "subprocess.Popen[str]", tmp_path: Path) -> None:
    """Containers are removed also when the suite itself is killed."""
    suite.send_signal(signal.SIGKILL)
    wait_for(lambda: not list((tmp_path / "containers").iterdir()), "the container to go")
    assert f"ps --all --quiet --filter label=fleetdeploy-contract={suite.pid}" in (tmp_path / "calls").read_text()
