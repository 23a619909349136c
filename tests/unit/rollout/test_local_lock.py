"""What the lock of this machine does where its directory, its file system or its user is not as usual."""

from __future__ import annotations

import errno
import fcntl
import getpass
import json
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import InputError, Interrupted, LockHeld, PreflightRefused
from fleetdeploy.rollout.locks import local

HOSTS = [Host("gpu1", Connection("10.0.0.1"))]


def held(directory: Path) -> None:
    with local.hold(directory, HOSTS, "run-1", VirtualClock()):
        pass


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("place", ["write_text", "mkdir"])
def test_a_full_disk_refuses_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, place: str) -> None:
    """Exit 5 before anything is touched, with the place, and the locks are free again with nothing left behind."""

    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(Path, place, full)
        with pytest.raises(PreflightRefused, match=os.strerror(number)) as caught:
            held(tmp_path)
    assert caught.value.exit_code == 5
    assert caught.value.where == str(tmp_path)
    assert "nothing was touched" in caught.value.hint
    assert list(tmp_path.glob("*.json")) == []
    held(tmp_path)


def test_a_file_system_without_locks_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be locked, as on some network shares, it is said so, and where to put the state instead."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "fcntl", none)
    with pytest.raises(InputError, match="its file system has no locks") as caught:
        held(tmp_path)
    assert caught.value.exit_code == 2
    assert "XDG_STATE_HOME" in caught.value.problems[0].hint


def test_a_user_without_a_name_is_a_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container there may be no entry for the user: its number says as much, and the run goes on."""

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr(getpass, "getuser", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 1234)
    assert local.this_owner() == f"uid-1234@{os.uname().nodename}"
    with local.hold(tmp_path, HOSTS, "run-1", VirtualClock()):
        note = next(iter(local.held_here(tmp_path, HOSTS, VirtualClock()).values()))
    assert note.user == "uid-1234"


def left_by_a_kill(directory: Path, **changed: str) -> None:
    """The note of a run that was killed; its process number is that of a living process, which is this one."""
    with local.hold(directory, HOSTS, "killed", VirtualClock()):
        note = json.loads((directory / "killed.json").read_text())
    (directory / "killed.json").write_text(json.dumps({**note, **changed}))


@pytest.mark.parametrize("part", ["boot", "start"])
def test_a_process_number_that_was_given_anew_names_nobody(tmp_path: Path, part: str) -> None:
    """A note is its writer's by boot and start time: who got the number since, or after a reboot, holds nothing."""
    boot, start = local._process(os.getpid()).split()
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    left_by_a_kill(tmp_path, process=f"another-boot {start}" if part == "boot" else f"{boot} {int(start) - 1}")
    assert local.held_here(tmp_path, HOSTS, VirtualClock()) == {}
    killed = (tmp_path / "killed.json").read_text()
    with local.hold(tmp_path, HOSTS, "present", VirtualClock()):
        # As it is for a moment after somebody took the lock.
        (tmp_path / "present.json").rename(tmp_path / "killed.json").write_text(killed)
        with pytest.raises(LockHeld, match="its owner has just taken it"):
            held(tmp_path)


def test_a_note_of_an_older_version_goes_by_the_number_alone(tmp_path: Path) -> None:
    """One that does not tell its process is believed while its process number lives, and says nothing after that."""
    left_by_a_kill(tmp_path, process="")
    assert local.held_here(tmp_path, HOSTS, VirtualClock())["gpu1"].run == "killed"
    note = json.loads((tmp_path / "killed.json").read_text())
    del note["process"]
    (tmp_path / "killed.json").write_text(json.dumps(note))
    assert local.held_here(tmp_path, HOSTS, VirtualClock())["gpu1"].run == "killed"
    note["pid"] = 2**22 + 1  # above the highest that Linux gives
    (tmp_path / "killed.json").write_text(json.dumps(note))
    assert local.held_here(tmp_path, HOSTS, VirtualClock()) == {}


class Waiting(VirtualClock):
    """Does something after each wait."""

    def __init__(self, then: Callable[[float], None]) -> None:
        super().__init__()
        self.then = then

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self.then(self.monotonic_s())


@pytest.mark.parametrize("free_at_s", [0.5, 9.9])
def test_a_lock_that_gets_free_in_time_is_taken(tmp_path: Path, free_at_s: float) -> None:
    """Who waits has the lock soon after its holder lets go, and not at the end of the wait only."""
    first, seen = ExitStack(), list[float]()

    def go_on(passed_s: float) -> None:
        seen.append(passed_s)
        if passed_s >= free_at_s:
            first.close()

    with first:
        first.enter_context(local.hold(tmp_path, HOSTS, "first", VirtualClock()))
        with local.hold(tmp_path, HOSTS, "second", Waiting(go_on), wait_s=10.0):
            assert seen[-1] == pytest.approx(free_at_s, abs=local._POLL_S)


def test_who_waits_for_one_host_holds_up_no_other(tmp_path: Path) -> None:
    """Of several hosts a waiting run keeps none while it waits for one: others may work on them meanwhile."""
    clock, seen = VirtualClock(), list[str]()
    three = [*HOSTS, Host("gpu2", Connection("10.0.0.2")), Host("gpu3", Connection("10.0.0.3"))]
    one, two, busy = sorted(three, key=local._place)  # as they are taken

    def work_on_the_others(_: float) -> None:
        for host in (one, two):
            with local.hold(tmp_path, [host], f"other-{host.name}", clock):
                seen.append(host.name)

    with (
        local.hold(tmp_path, [busy], "first", clock),
        pytest.raises(LockHeld, match=f"works on {busy.name}: run first of"),
        local.hold(tmp_path, three, "second", Waiting(work_on_the_others), wait_s=0.1),
    ):
        pass
    assert seen == [one.name, two.name]


def test_whoever_waits_may_be_asked_to_stop(tmp_path: Path) -> None:
    """What comes meanwhile ends the waiting at once, and leaves neither a lock nor a note."""
    waited = list[float]()

    def check() -> None:
        if len(waited) == 2:
            raise Interrupted("stopped by SIGTERM", signal_number=15)

    with (
        local.hold(tmp_path, HOSTS, "first", VirtualClock()),
        pytest.raises(Interrupted),
        local.hold(tmp_path, HOSTS, "second", Waiting(waited.append), wait_s=60.0, check=check),
    ):
        pytest.fail("it goes on")
    assert waited[-1] < 1
    held(tmp_path)
    assert list(tmp_path.glob("*.json")) == []
