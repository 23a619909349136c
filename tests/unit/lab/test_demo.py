"""The demo's manners: one at a time, and a true last word when it is interrupted."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fleetdeploy.errors import LabError
from fleetdeploy.lab import demo
from fleetdeploy.lab.state import LabRecord


@pytest.fixture
def quiet_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> demo.Demo:
    """A demo with its state in a folder of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(demo, "leftovers", lambda _: [])
    return demo.Demo(project=tmp_path, hosts=1)


def remember(one: demo.Demo, owner_pid: int) -> None:
    record = one._lab.paths.record
    record.parent.mkdir(parents=True)
    LabRecord("demo", "up", (), owner_pid=owner_pid).save(record)


def test_a_second_demo_leaves_the_first_alone(quiet_demo: demo.Demo) -> None:
    """While the owner of the demo's lab lives, another demo refuses before it touches anything."""
    remember(quiet_demo, os.getppid())
    with pytest.raises(LabError, match=f"running already, in process {os.getppid()}"):
        quiet_demo.run()


def test_what_a_dead_demo_left_is_no_obstacle(quiet_demo: demo.Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    """A record whose owner is gone does not keep a new demo from starting."""
    remember(quiet_demo, 2**22 + 1)
    monkeypatch.setattr(quiet_demo, "_run", lambda: 0)
    assert quiet_demo.run() == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_says_so_last(
    quiet_demo: demo.Demo,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
    code: int,
) -> None:
    """The exit code names the signal, the last line what is left, and the signals are as before."""

    def interrupted(_: object) -> None:
        os.kill(os.getpid(), number)
        signal.sigtimedwait([], 1)

    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(quiet_demo, "_prepare", interrupted)
    assert quiet_demo.run() == code
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "demo interrupted: its lab and all its files are removed; to see it whole, start it again"
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == before


@pytest.mark.parametrize(
    ("verb", "method", "said"),
    [("up", "up", "is removed again"), ("down", "down", "`fleetdeploy lab down --name fixed` removes the rest")],
)
def test_an_interrupted_lab_command_does_not_say_that_nothing_happened(
    quiet_demo: demo.Demo,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    verb: str,
    method: str,
    said: str,
) -> None:
    """Ctrl-C while a lab is made or removed is exit 130 and tells in what state it is."""
    from fleetdeploy.cli.main import main

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"fleetdeploy.lab.fleet.Lab.{method}", interrupt)
    assert main(["lab", verb, "--name", "fixed"]) == 130
    error = capsys.readouterr().err
    assert said in error
    assert "nothing was being changed" not in error


def test_only_the_labs_own_inventory_is_removed(tmp_path: Path) -> None:
    """A file that another lab, or a person, wrote in its place stays."""
    from fleetdeploy.lab.inventory_file import remove_inventory

    ours, other, binary = tmp_path / "ours.yml", tmp_path / "other.yml", tmp_path / "binary"
    ours.write_text('# Written by `fleetdeploy lab up` for the lab "one"; the next one overwrites it.\nall: {}\n')
    other.write_text("all: {}\n")
    binary.write_bytes(b"\xff\xfe")
    for path in (ours, other, binary, tmp_path / "missing"):
        remove_inventory(path, "one")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["binary", "other.yml"]
