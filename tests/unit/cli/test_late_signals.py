"""A Ctrl-C that comes when the rollout has ended, but the command has not."""

from __future__ import annotations

import os
import signal
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
