"""Commands typed against a simulated fleet, as a shell would, some of which do not come to their end."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from simulation.fleet import SimFleet
from simulation.wire import Killed, Wire

from fleetdeploy.cli.main import main
from fleetdeploy.rollout.interrupt import Interrupts

from .conftest import Project, Result

T = TypeVar("T")
KILLED = -9
Call = tuple[str, str]
"""A host and a protocol's method."""
FIRST_HOST, SECOND_HOST = "the first host", "the second host"
"""Whichever comes to the call first, and the one after it: hosts of one wave may take their turns in any order."""
MIDDLE = ("gpu2", "serving.reload")
"""gpu1 is done, gpu2 is drained and has its new file, where one has its wave before the other."""
SECOND = (SECOND_HOST, "serving.reload")
"""The same in one wave: `Shell.order` tells which is which."""
EARLY = ("gpu1", "serving.reload")


class _Mortal(Wire):
    """``ends`` is told of every call, and may raise or change the world."""

    ends: Callable[[Call], None] = staticmethod(lambda _: None)

    def call(self, host: str, method: str, act: Callable[[], T], **options: Any) -> T:
        if not self.dead:
            try:
                self.ends((host, method))
            except Killed:
                self.dead = True
                raise
        return super().call(host, method, act, **options)


class Shell:
    """``shell("deploy", "-l", "gpu1")`` is that line, typed in ``path``; options that say where things are follow it.

    ``calls`` are those of the last command that changed something, ``order`` the hosts in the order in which they came
    to the call that `at` waited for.
    """

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self.path = project, project.path
        self.world = project.world
        self.own = {
            "deploy": ["-i", "inventory.yml"], "rollback": ["-i", "inventory.yml"], "plan": ["-i", "inventory.yml"],
        }  # fmt: skip
        self.state = "state"
        self.order: list[str] = []
        self._patch = monkeypatch
        self._ends: Callable[[Call], None] = lambda _: None
        self._interrupts: list[Interrupts] = []
        enter = Interrupts.__enter__

        def entered(interrupts: Interrupts) -> None:
            self._interrupts.append(interrupts)
            enter(interrupts)

        def fleet(**_: object) -> SimFleet:
            self.world.count_from_now()
            wire = _Mortal(self.world)
            wire.ends = self._ends  # type: ignore[method-assign]
            project.wires.append(wire)
            return SimFleet(self.world, wire)

        monkeypatch.setattr("fleetdeploy.remote.fleet.SshFleet", fleet)
        for room in ("remote.clock", "cli.binding.project"):
            monkeypatch.setattr(f"fleetdeploy.{room}.SystemClock", lambda: self.world.clock)
        monkeypatch.setattr(Interrupts, "__enter__", entered)
        monkeypatch.chdir(project.path)

    def __call__(self, *words: str) -> Result:
        state = ["--state-dir", self.state] if self.state else []
        argv = [words[0], *self.own.get(words[0], []), *state, *words[1:]]
        self._patch.setattr("sys.argv", ["fleetdeploy", *argv])
        self.project.wires.clear()
        self.world.clock.skip(60)  # nobody types two commands in one second
        before = Path.cwd()
        try:
            code = main(argv)
        except SystemExit as ended:
            code = int(ended.code or 0)
        except Killed:
            code = KILLED
        finally:
            os.chdir(before)
        return Result(code, *self.project.capture())

    def shown(self, run: str, *words: str) -> Result:
        """What ``runs show`` tells of it."""
        code = main(["runs", "show", run, "--state-dir", self.state, *words])
        return Result(code, *self.project.capture())

    def at_each(self, then: Callable[[Call], None]) -> None:
        """Do this before every call of the next commands."""
        self._ends = then

    def at(self, call: Call, then: Callable[[], None]) -> None:
        """Do this before the first such call of the next command."""
        due, self.order = [call], []

        def ends(now: Call) -> None:
            host, method = now
            if not due or method != call[1]:
                return
            if host not in self.order:
                self.order.append(host)
            if call[0] in {host, FIRST_HOST} or (call[0] == SECOND_HOST and len(self.order) > 1):
                due.clear()
                then()

        self._ends = ends

    def killed(self, call: Call, *words: str) -> Result:
        """A command whose process ends before that call."""

        def die() -> None:
            raise Killed

        self.at(call, die)
        result = self(*words)
        self._ends = lambda _: None
        assert result.code == KILLED, result
        return result

    def interrupted(self, call: Call, *words: str) -> Result:
        """A command that gets a SIGINT before that call."""
        self.at(call, lambda: setattr(self._interrupts[-1], "requested", int(signal.SIGINT)))
        result = self(*words)
        self._ends = lambda _: None
        return result

    @property
    def acts(self) -> list[str]:
        return self.project.acts

    def runs(self) -> list[str]:
        """The ids of all runs, oldest first."""
        return sorted(path.name for path in (self.path / "state" / "runs").iterdir())

    def events(self, run: str = "") -> list[dict[str, Any]]:
        """Those of the newest run, or of the one named."""
        path = self.path / "state" / "runs" / (run or self.runs()[-1]) / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def serves(self) -> dict[str, tuple[int, ...]]:
        return {name: dict(self.world.serves(name).versions)["ranker"] for name in self.world.hosts}

    def left_out(self) -> list[str]:
        """Hosts that get no requests, or are marked as drained."""
        hosts = self.world.hosts
        return [
            name for name in hosts if not self.world.in_service(name) or hosts[name].directory("ranking").drained_by
        ]


def converged(shell: Shell, number: int = 2) -> None:
    """Both hosts serve that version and get requests, and nothing is left to do or to resume."""
    assert shell.serves() == {"gpu1": (number,), "gpu2": (number,)}
    assert shell.left_out() == []
    again = shell("resume")
    assert (again.code, shell.acts) == (0, [])
    assert "nothing to resume: run " in again.err
