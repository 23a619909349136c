"""Real processes whose caller left standard input, output or error closed, or gave them a poor encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import ROOT, Project

pytestmark = pytest.mark.programs

DEPLOYS = """
import sys
from contextlib import nullcontext
from fleetdeploy.cli.main import run
from simulation.fleet import SimFleet
from simulation.wire import Wire
from simulation.world import World
import fleetdeploy.remote.fleet, fleetdeploy.rollout.traffic.sampling
world = World.of("gpu1", "gpu2", registry=["serving:2"])
def fleet(**_):
    world.count_from_now()
    return SimFleet(world, Wire(world))
fleetdeploy.remote.fleet.SshFleet = fleet
fleetdeploy.rollout.traffic.sampling.sampling = lambda *_: nullcontext()
run()
"""
"""The command line over a simulated fleet."""
ALL = "<&- >&- 2>&-"
CLOSED = [">&-", "2>&-", "<&-", ALL]


def ended(project: Project, closed: str, *words: str, script: str = DEPLOYS) -> subprocess.CompletedProcess[str]:
    """A command that a shell starts with descriptors closed."""
    own = ["-i", "inventory.yml", "--project", ".", "--state-dir", "state"] if words[0] != "docs" else []
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", script, *words, *own],
        cwd=project.path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def journal(project: Project) -> list[str]:
    """What each event of the only run was."""
    (path,) = (project.path / "state/runs").glob("*/events.jsonl")
    return [str(json.loads(line)["kind"]) for line in path.read_text().splitlines()]


@pytest.mark.simulation
@pytest.mark.parametrize("closed", ["", *CLOSED])
def test_a_deploy_with_closed_descriptors_is_the_same_deploy(project: Project, closed: str) -> None:
    """It changes the fleet, ends with 0, writes a whole journal and lets nothing of it out where nobody listens."""
    done = ended(project, closed, "deploy")
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert ("2 of 2 hosts changed" in done.stderr) == ("2>" not in closed)
    told = journal(project)
    assert (told[0], told[-1]) == ("run_started", "run_finished")


@pytest.mark.simulation
@pytest.mark.parametrize(("words", "closed"), [(("plan",), "2>&-"), (("docs",), "2>&-"), (("validate",), ALL)])
def test_what_only_looks_ends_as_with_open_descriptors(project: Project, words: tuple[str, ...], closed: str) -> None:
    """The exit code is the same, and what is open says the same."""
    as_open, as_closed = ended(project, "", *words), ended(project, closed, *words)
    assert as_closed.returncode == as_open.returncode == 0
    assert as_closed.stdout == (as_open.stdout if closed != ALL else "")


def test_what_is_opened_later_is_no_standard_stream(tmp_path: Path) -> None:
    """A file that a command opens has a higher number, and its programs have all three open."""
    script = (
        "import subprocess, sys\n"
        "from fleetdeploy.cli.standard_streams import make_whole\n"
        "make_whole()\n"
        "with open('later', 'w') as file:\n"
        "    file.write(str(file.fileno() > 2))\n"
        "    print('out')\n"
        "    subprocess.run(['sh', '-c', 'echo no; echo no >&2; read x <&0; : >&1 && : >&2'], check=False)\n"
        "    sys.exit(subprocess.run(['sh', '-c', ': <&0 && : >&1 && : >&2'], check=False).returncode)\n"
    )
    command = ["sh", "-c", f'exec "$@" {ALL}', "sh", sys.executable, "-c", script]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert (done.returncode, (tmp_path / "later").read_text()) == (0, "True")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_poor_encoding_ends_nothing(stream: str) -> None:
    """What it has no letter for is written as an escape, on both outputs."""
    script = (
        "import sys; from fleetdeploy.cli.standard_streams import make_whole; make_whole();"
        f"sys.{stream}.write('1 \xb1 2')"
    )
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, getattr(done, stream)) == (0, r"1 \xb1 2")
