"""A Ctrl-C that comes when the rollout has ended, but the command has not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import pytest
from simulation.fleet import SimFleet

from fleetdeploy.cli.changing import deploy
from fleetdeploy.cli.main import main
from fleetdeploy.report import terminal

from .conftest import Project

pytestmark = pytest.mark.simulation


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    signal.getsignal(signal.SIGINT)


@pytest.mark.parametrize("when", ["fleet.close", "recap"])
def test_a_rollout_that_has_ended_says_how(project: Project, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    """While connections are closed and the recap is written, Ctrl-C changes neither the last line nor the exit code."""
    recap = terminal.recap

    def interrupted_recap(*arguments: Any, **named: Any) -> None:
        interrupt()
        recap(*arguments, **named)

    if when == "recap":
        monkeypatch.setattr(terminal, "recap", interrupted_recap)
    else:
        monkeypatch.setattr(SimFleet, "close", lambda _: interrupt())
    result = project.run("deploy")
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts changed")
    assert "nothing was being changed" not in result.err
    assert "stopping" not in result.err
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_while_people_are_told_of_a_refusal_ends_only_that(
    project: Project, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """The exit code stays the refusal's, nothing more is told, and signals mean afterwards what they meant before."""

    class Ended(BaseException):
        """What the signal does to a process that does not handle it."""

    def end(*_: object) -> None:
        raise Ended

    def tell(*_: object, **__: object) -> None:
        os.kill(os.getpid(), number)
        pytest.fail("the telling goes on")

    (project.path / "fleetdeploy.yml").write_text("notify:\n  - {command: [tell]}\n")
    monkeypatch.setattr("fleetdeploy.report.notify.tell", tell)
    project.world.hosts["gpu2"].reachable = False
    before = {item: signal.getsignal(item) for item in (signal.SIGTERM, signal.SIGHUP)}
    for item in before:
        signal.signal(item, end)
    try:
        result = project.run("deploy")
        assert signal.getsignal(signal.SIGTERM) is signal.getsignal(signal.SIGHUP) is end
    finally:
        for item, handler in before.items():
            signal.signal(item, handler)
    assert result.code == 5
    assert "gpu2" in result.err
    assert "Traceback" not in result.err


def test_what_has_an_exit_code_keeps_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Once a command has ended, a Ctrl-C is no reason to say that nothing was being changed."""

    class Out:
        def flush(self) -> None:
            interrupt()

    def ended(_: object) -> int:
        monkeypatch.setattr("fleetdeploy.cli.main.sys.stdout", Out())
        return 3

    monkeypatch.setattr(deploy, "run", ended)
    try:
        code = main(["deploy", "-i", "inventory.yml"])
    finally:
        monkeypatch.undo()
    assert code == 3
    assert "nothing was being changed" not in capsys.readouterr().err


WAITS = """
import sys, time
import fleetdeploy.cli.main as command
from fleetdeploy.cli.showing import validate
def waits(_):
    try:
        print("begun", flush=True)
        time.sleep(60)
    finally:
        time.sleep(60)
validate.run = waits
sys.argv = ["fleetdeploy", "validate"]
command.run()
"""


@pytest.mark.programs
@pytest.mark.parametrize("ignored", [False, True])
def test_a_second_ctrl_c_ends_a_command_that_is_still_closing_its_connections(*, ignored: bool) -> None:
    """At once, with 130 and no traceback; one that was started to ignore it, as by `nohup` or `&`, goes on."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN) if ignored else None
    try:
        process = subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        if ignored:
            process.send_signal(signal.SIGINT)
            process.send_signal(signal.SIGTERM)
            assert (process.wait(30), process.communicate()[1]) == (-signal.SIGTERM, b"")
            return
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
        assert (process.returncode, process.communicate()[1]) == (130, b"")
    finally:
        process.kill()
        process.wait(30)
