"""Ctrl-C at a question of a rollout."""

from __future__ import annotations

import os
import pty
import signal
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from simulation.world import World

from .conftest import Project, Result

pytestmark = pytest.mark.simulation

LONG_S = 30.0
BOOK = """\
- name: Prepare
  hosts: gpu
  tasks: [stage, pull_image]
- name: Switch
  hosts: gpu
  tasks: [drain, activate, verify, undrain]
"""
PAUSE = "{pause: {prompt: Go?}}"

Step = Callable[..., Result]


@pytest.fixture
def interrupted(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Step]:
    """Version 2 over version 1, by a playbook, with a signal as soon as the last of ``typed`` answers was used up."""
    ours, theirs = pty.openpty()
    late = list[str]()

    def give_up() -> None:
        late.append("the question is still open")
        os.write(ours, b"n\n" * 9)

    def run(book: str, *options: str, typed: int = 0, number: int = signal.SIGINT) -> Result:
        assert project.run("deploy").code == 0
        project.edit("versions: [1]", "versions: [2]")
        (project.path / "playbooks" / "deploy.yml").write_text(book)
        os.write(ours, b"y\n" * typed)
        asked = list[str]()
        write = sys.stderr.write

        def shown(text: str) -> int:
            length = write(text)
            if text.endswith(("[y/N] ", "(c)ontinue: ")):
                asked.append(text)
                if len(asked) == typed + 1:
                    os.kill(os.getpid(), number)
            return length

        timer = threading.Timer(LONG_S, give_up)
        timer.start()
        try:
            with os.fdopen(theirs) as stdin, monkeypatch.context() as at_terminal:
                at_terminal.setattr(sys, "stdin", stdin)
                at_terminal.setattr(sys.stderr, "write", shown)
                result = project.run("deploy", *options)
        finally:
            timer.cancel()
        assert len(asked) == typed + 1
        assert late == []
        return result

    yield run
    os.close(ours)


def serve(world: World) -> dict[str, tuple[int, bool]]:
    """Which version hosts serve, and whether they get requests."""
    return {name: (dict(item.versions)["ranker"][0], item.traffic) for name, item in world.serves_all().items()}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("at", ["activate", "undrain"])
def test_a_pause_is_over(project: Project, interrupted: Step, at: str, number: int, code: int) -> None:
    """The host that waited for an answer goes back and is put back, wherever it waited: nobody has agreed."""
    result = interrupted(BOOK.replace(f", {at}", f", {PAUSE}, {at}"), number=number)
    assert result.code == code
    assert result.last_line.startswith("INTERRUPTED: nothing was switched over; continue with: fleetdeploy deploy")
    assert serve(project.world) == {"gpu1": (1, True), "gpu2": (1, True)}
    assert project.world.lost == []
    assert project.run("deploy", "--yes").code == 0
    assert serve(project.world) == {"gpu1": (2, True), "gpu2": (2, True)}


def test_all_hosts_of_a_wave_are_released_at_once(project: Project, interrupted: Step) -> None:
    """Those that wait for the same answer do not ask for it once more."""
    result = interrupted(BOOK.replace("tasks: [stage, ", f"serial: 2\n  tasks: [{PAUSE}, stage, "))
    assert result.code == 130
    assert result.err.count("Go? [y/N]") == 1
    assert serve(project.world) == {"gpu1": (1, True), "gpu2": (1, True)}


@pytest.mark.parametrize("on_failure", ["revert", "revert_all"])
def test_a_wave_is_not_begun(project: Project, interrupted: Step, on_failure: str) -> None:
    """With ``--step``, whoever was switched over stays so: that nobody answered is no failure."""
    keys = f"  serial: 1\n  on_failure: {on_failure}\n"
    result = interrupted(BOOK.replace("  tasks: [drain", f"{keys}  tasks: [drain"), "--step", typed=2)
    assert result.code == 130
    assert result.last_line.startswith("INTERRUPTED: gpu1 switched over; continue with: fleetdeploy deploy")
    assert serve(project.world) == {"gpu1": (2, True), "gpu2": (1, True)}
    assert "not taken back" not in result.err
    assert "gpu2: prepared, not switched over: held before wave 2 of 2 of play 'Switch'" in result.err
