"""What ``doctor`` asks a host: its script in every shell that hosts have, and the reading of what that prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from local_host import service

from fleetdeploy.domain.checkup import HostFacts
from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import DeadlineExceeded, HostError, HostKeyRefused, RemoteCommandFailed, Unreachable
from fleetdeploy.gates.doctor.check import host_checks
from fleetdeploy.remote.controller import examine_controller
from fleetdeploy.remote.probe.doctor import NAMES, full_script, lost, read
from fleetdeploy.remote.probe.probe import arguments

NONCE = "5ca1ab1e"
HOST = Host("gpu1", Connection("10.0.0.1"))
SHELLS = [["dash"], ["bash", "--posix"], ["busybox", "sh"]]
NO_SUCH = 'case "$1 $2" in "image inspect") echo "Error: No such image: $5" >&2; exit 1 ;; esac\n'


def tool(place: Path, name: str, text: str) -> None:
    place.mkdir(exist_ok=True)
    (place / name).write_text(f"#!/bin/sh\n{text}")
    (place / name).chmod(0o755)


def run(shell: Sequence[str], wish: ServiceWish, tools: Path, *, complaint: str = "") -> tuple[bytes, HostFacts]:
    """What the script prints on this machine, with ``tools`` before its own."""
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": "/"}
    done = subprocess.run(
        [*shell, "-s", "--", NONCE, *arguments([wish])],
        input=full_script([wish]), capture_output=True, timeout=60, check=True, env=environment,
    )  # fmt: skip
    assert done.stderr == b""
    return done.stdout, read(done.stdout, NONCE, host=HOST, services=[wish])


@pytest.fixture(params=SHELLS, ids=lambda shell: shell[0])
def shell(request: pytest.FixtureRequest) -> Sequence[str]:
    return list(request.param)


def test_every_question_has_an_answer(shell: Sequence[str], tmp_path: Path) -> None:
    """In each shell the script comes to its end, with a frame for every name, and says nothing on standard error."""
    info = {"DockerRootDir": str(tmp_path), "Driver": "overlay2"}
    tool(
        tmp_path / "tools",
        "docker",
        f"{NO_SUCH}"
        f"""case "$*" in
  "info --format {{{{json .}}}}") echo '{json.dumps(info)}' ;;
  "info --format {{{{.DockerRootDir}}}}") echo '{tmp_path}' ;;
  info*) echo '"20.10.24" {{"runc": {{}}}}' ;;
  version*) echo '{{"ApiVersion": "1.41"}}' ;;
esac
""",
    )
    tool(tmp_path / "tools", "nvidia-smi", "echo 0, Enabled, Disabled, 0\n")
    tool(tmp_path / "tools", "timedatectl", "echo NTPSynchronized=no\n")
    answer, facts = run(shell, service(tmp_path), tmp_path / "tools")
    assert f"{NONCE} examined ok 0".encode() in answer
    missing = {name for name, item in facts.said.items() if isinstance(item, Unknown) and "lacks" in item.reason}
    assert missing == set()
    assert set(facts.said) == {*NAMES, "places.0", "image_env.0"}
    assert facts.said["ntp"] == Present("NTPSynchronized=no")
    assert facts.said["gpu_settings"] == Present("0, Enabled, Disabled, 0")
    assert json.loads(facts.text("docker_info")) == info
    assert str(tmp_path.stat().st_dev) in facts.text("places.0")
    assert isinstance(facts.observed.docker, Present)


def test_missing_tools_are_told(shell: Sequence[str], tmp_path: Path) -> None:
    """A tool that the PATH lacks is told as missing, and what it would have told as unknown."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in (
        "cat",
        "sed",
        "grep",
        "id",
        "uname",
        "date",
        "df",
        "ls",
        "find",
        "head",
        "tail",
        "tr",
        "stat",
        "timeout",
    ):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = subprocess.run(
        [str(shutil.which(shell[0])), *shell[1:], "-s", "--", NONCE],
        input=full_script([]), capture_output=True, timeout=60, check=True, env={"PATH": str(tools)},
    )  # fmt: skip
    facts = read(done.stdout, NONCE, host=HOST, services=[])
    if shell[0] == "busybox":  # its own applets are found whatever the PATH says
        assert "docker no" in facts.text("tools")
        return
    assert {"flock no", "rsync no", "date yes"} <= set(facts.text("tools").splitlines())
    assert facts.said["rsync"] == Unknown("rsync: not found on the host")
    assert isinstance(facts.said["toolkit"], Unknown)


def test_a_docker_that_hangs_costs_one_wait(tmp_path: Path) -> None:
    """Where the first question to Docker has no answer, no other is asked."""
    tool(tmp_path / "tools", "docker", f"echo x >>{tmp_path}/calls\nexit 143\n")
    _, facts = run(["dash"], service(tmp_path), tmp_path / "tools")
    assert (tmp_path / "calls").read_text() == "x\n"
    for name in ("docker_info", "docker_version", "docker_root", "image_env.0"):
        assert facts.said[name] == Unknown("Docker gave no answer before")


def test_a_word_of_the_inventory_is_no_command(tmp_path: Path) -> None:
    """What stands in an image's name or a directory's is a word to the script, and nothing that it runs."""
    wish = service(tmp_path / "a'b; touch x", name="c$(touch y)")
    tool(tmp_path / "tools", "docker", "exit 1\n")
    run(["dash"], wish, tmp_path / "tools")
    assert not list(tmp_path.rglob("[xy]"))


@pytest.mark.parametrize("length", [0, 100, 1000, 5000])
def test_an_answer_cut_short_is_unknown(length: int, tmp_path: Path) -> None:
    """Whatever is missing of an answer is unknown, never absent and never another value."""
    tool(tmp_path / "tools", "docker", "exit 1\n")
    whole, full = run(["dash"], service(tmp_path), tmp_path / "tools")
    cut = read(whole[:length], NONCE, host=HOST, services=[service(tmp_path)])
    for name, item in cut.said.items():
        assert item == full.said[name] or isinstance(item, Unknown)


@pytest.mark.parametrize(("clock", "offset_s"), [(1000, 0.0), (1002, 0.0), (999, 0.0), (1100, 97.0), (900, -99.0)])
def test_a_clock_is_away_by_what_is_sure(clock: int, offset_s: float) -> None:
    """Whole seconds and the time that the look took are no offset: only what lies beyond them is."""
    answer = f"\n{NONCE} clock ok {len(str(clock))}\n{clock}\n".encode()
    facts = read(answer, NONCE, host=HOST, services=[], begun=1000.0, took_s=3.0)
    assert facts.clock_offset_s == Present(offset_s)


@pytest.mark.parametrize(
    ("error", "known", "key_refused"),
    [
        (Unreachable("down"), False, False),
        (DeadlineExceeded("slow"), False, False),
        (HostKeyRefused("another key"), True, True),
        (RemoteCommandFailed("no root: sudo asks for a password"), True, False),
    ],
)
def test_why_a_host_could_not_be_looked_at(error: HostError, known: bool, key_refused: bool) -> None:
    """A host out of reach is not known; a refused key, or a sudo that refuses, is a problem that is."""
    trouble = lost(HOST, error).trouble
    assert trouble is not None
    assert (trouble.known, trouble.key_refused) == (known, key_refused)


def test_every_fact_that_a_check_reads_is_asked_for() -> None:
    """The names that checks read are those that the script answers; a new one has to be asked for first."""
    source = "".join(
        (Path(host_checks()[name].look.__code__.co_filename)).read_text(encoding="utf-8") for name in host_checks()
    )
    assert all(f'"{name}"' in source for name in NAMES if name != "os")


def test_this_machine_is_looked_at(tmp_path: Path) -> None:
    """What this machine has is told without changing it, a state directory that is not there yet included."""
    state = tmp_path / "not/yet"
    facts = examine_controller([HOST], state_dir=state, forks=5)
    assert not state.exists()
    assert facts.state_writable == Present(value=True)
    assert isinstance(facts.state_free_bytes, Present)
    assert (facts.hosts, facts.forks) == (1, 5)
    assert isinstance(facts.said["ssh"], Present)
