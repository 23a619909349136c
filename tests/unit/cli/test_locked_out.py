"""Who comes second: told at once, and free to go while it waits."""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from simulation.wire import Wire

from fleetdeploy.cli import options
from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.planning.resolve import Artefacts
from fleetdeploy.remote.clock import SystemClock
from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns
from fleetdeploy.rollout.locks import local

from .conftest import Project
from .plan_files import planned
from .resumes import Shell

pytestmark = pytest.mark.simulation


def another_run(project: Project) -> AbstractContextManager[local.Held]:
    """Works on the first host."""
    hosts = [load_inventory([project.path / "inventory.yml"]).hosts["gpu1"]]
    return local.hold(options.state_home() / "locks", hosts, "other", SystemClock())


@pytest.mark.parametrize("command", ["deploy", "plan file", "sync", "prune", "rollback", "resume"])
def test_whoever_comes_second_is_told_before_any_model_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Exit 6 does not wait for gigabytes that are hashed: it comes even where the models are gone. No host is asked."""
    words, again, read = [command], project.run, 7
    if command == "resume":
        again = shell = Shell(project, monkeypatch)
        project.world.hosts["gpu2"].reachable = False
        assert shell("deploy", "--allow-unreachable").code == 8
        project.world.hosts["gpu2"].reachable = True
    elif command == "plan file":
        words = ["deploy", str(planned(project))]
    elif command == "rollback":
        read = 5  # it reads none: everything is on the hosts, but nothing was proven there yet
    shutil.rmtree(project.path / "models")
    with another_run(project):
        result = again(*words)
    assert (result.code, project.wires) == (6, list[Wire]()), result.err
    assert result.last_line.startswith("error: another run works on gpu1: run other of ")
    assert again(*words).code == read, "what is wrong is told to whoever has the hosts"
    with another_run(project):
        pass  # and is let go of


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)])
@pytest.mark.parametrize("when", ["waiting", "reading"])
def test_a_signal_before_anything_is_done_ends_it_there(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, code: int, when: str
) -> None:
    """Who waits for another run or reads models ends at once, says so in words, and leaves neither run nor lock."""

    def stop(*_: object) -> None:
        os.kill(os.getpid(), number)
        signal.getsignal(number)

    if when == "reading":
        monkeypatch.setattr(Artefacts, "version", stop)
        result = project.run("deploy")
    else:
        monkeypatch.setattr(project.world.clock, "wait", stop)
        with another_run(project):
            result = project.run("deploy", "--wait-lock", "60s")
    assert (result.code, project.wires) == (code, list[Wire]())
    assert f"error: stopped by {number.name}" in result.err
    assert not (project.path / "state" / "runs").exists()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with another_run(project):
        pass


def test_reading_models_takes_nothing_off_the_wait_for_a_lease(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--wait-lock is the time for other runs: whoever hashes for a minute still waits for one of another machine."""
    seen, version = list[float](), Artefacts.version

    def slowly(*given: object) -> object:
        project.world.clock.skip(60)
        return version(*given)  # type: ignore[arg-type]

    def patiently(attempt: Callable[[], object], *, wait_s: float, **_: object) -> object:
        seen.append(wait_s)
        return attempt()

    monkeypatch.setattr(Artefacts, "version", slowly)
    monkeypatch.setattr("fleetdeploy.rollout.locks.leases.patiently", patiently)
    assert project.run("deploy", "--wait-lock", "10s").code == 0
    assert seen == [10]


def test_what_was_hashed_is_not_read_again(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second command takes the hashes of the first one, unless the file has changed since."""
    read, real = list[str](), os.open

    def opened(path: object, *given: object, **named: object) -> int:
        if str(path).endswith("saved_model.pb") and any(
            frame.name == "_hash_file" for frame in traceback.extract_stack()
        ):
            read.append(str(path))
        return real(path, *given, **named)  # type: ignore[arg-type]

    file = project.path / "models/ranker/1/saved_model.pb"
    project.world.clock.skip(max(0.0, file.stat().st_ctime - project.world.clock.now_s()) + 60)
    monkeypatch.setattr(os, "open", opened)
    for _ in range(2):
        assert project.run("plan").code == 0
    assert read == [str(file)]
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)
    assert project.run("plan").code == 0
    assert read == [str(file)] * 2


def test_a_run_that_a_bug_ends_says_so_in_its_journal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A journal without an end is a run that was killed or goes on: one that fell over its own feet has exit code 1."""

    def bug(*_: object, **__: object) -> None:
        raise ValueError("nobody thought of this\nnor of that")

    monkeypatch.setattr("fleetdeploy.rollout.verdict.judge", bug)
    result = project.run("deploy")
    assert result.code == 1
    assert "nobody thought of this" in result.err
    (found,) = RecordedRuns.list(project.path / "state" / "runs")
    assert (found.exit_code, found.last_line) == (1, "a bug: ValueError: nobody thought of this")
