"""What the lock of this machine does where its directory, its file system or its user is not as usual."""

from __future__ import annotations

import errno
import fcntl
import getpass
import os
from pathlib import Path

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import InputError, PreflightRefused
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
