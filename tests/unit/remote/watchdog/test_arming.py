"""How a watchdog is armed, lives on without who armed it, and is never armed by halves."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any, cast

import pytest

from fleetdeploy.domain.watch import WatchState
from fleetdeploy.errors import HostError, RemoteCommandFailed
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.directory.watchdog import RemoteWatchdog
from fleetdeploy.remote.ssh.channels import CommandResult

from .machine import DEADLINE_S, NEW, RUN, Connected, Machine, held_by


def test_it_survives_the_end_of_the_command_that_started_it(machine: Machine) -> None:
    """What counts down has a session and a group of its own, no mark of the command, and none of its descriptors."""
    machine.environment["FLEETDEPLOY_COMMAND"] = "mark.1"
    machine.arm(after_s=600)
    (guard,) = machine.guards()
    _, _, group, session, *_ = Path(f"/proc/{guard}/stat").read_text().rpartition(")")[2].split()
    assert (group, session) == (str(guard), str(guard))
    assert b"FLEETDEPLOY_COMMAND" not in Path(f"/proc/{guard}/environ").read_bytes()
    mine = {"/dev/null", f"{machine.service}/watchdog/guard.sh"}
    # Besides those, at times one end of a pipe to a command of its own.
    wait_until(lambda: held_by(guard) <= mine, "it holds nothing of ours", deadline_s=DEADLINE_S)
    os.kill(guard, signal.SIGHUP)
    assert machine.guards() == [guard]


def test_a_new_arming_ends_the_one_before(one: Machine) -> None:
    """One service has one watchdog: what counted down before is ended, and its verdict is forgotten."""
    one.arm(after_s=600)
    (before,) = one.guards()
    one.arm(after_s=600, run="20260201T000000Z-0002")
    wait_until(lambda: len(one.guards()) == 1 and one.guards() != [before], "only the new one", deadline_s=DEADLINE_S)
    with pytest.raises(HostError, match="came too late"):
        one.dog.confirm(run=RUN, deadline_s=5)
    one.dog.confirm(run="20260201T000000Z-0002", deadline_s=5)


def test_a_host_without_setsid_and_systemd_is_refused(one: Machine) -> None:
    """What would end with its command must not pass for a watchdog: then nothing is armed, and the error says why."""
    for path in Path("/usr/bin").iterdir():
        if (
            path.name != "setsid"
            and not path.name.startswith("systemd")
            and not (one.home / "bin" / path.name).exists()
        ):
            (one.home / "bin" / path.name).symlink_to(path)
    one.environment["PATH"] = str(one.home / "bin")
    with pytest.raises(RemoteCommandFailed, match="neither systemd nor setsid on the host"):
        one.arm(after_s=600)


def test_half_of_what_it_needs_arms_nothing(one: Machine) -> None:
    """A link that breaks while the release before travels leaves no watchdog that would restore half of it."""

    class Short(Connected):
        def script(self, text: str, *args: str, stdin: bytes = b"", deadline_s: float) -> CommandResult:
            return super().script(text, *args, stdin=stdin[:-3], deadline_s=deadline_s)

    dog = RemoteWatchdog(cast("Any", Short(one)), one.wish)
    with pytest.raises(RemoteCommandFailed, match=r"only \d+ of \d+ bytes arrived"):
        dog.arm(one.release, run=RUN, release=NEW, after_s=600)
    assert "armed" not in one.kept()
    assert one.guards() == []


def test_a_timer_says_who_it_is_before_it_fires(one: Machine) -> None:
    """From the moment that nobody can disarm it any more, whoever asks finds it alive and awaits its verdict."""
    one.arm(after_s=600)
    kept = one.service / "watchdog"
    for guard in one.guards():
        os.kill(guard, signal.SIGKILL)
    one.none_left()
    (kept / "by").write_text("unit fleetdeploy-watch-ranking-x\n")
    # It stands still at its first rename of what is armed, and again after it.
    one.program(
        "mv", f'#!/bin/sh\n/usr/bin/mv "$@" || exit 1\ncase $1 in */armed) cp {kept}/by {one.home}/by-then ;; esac\n'
    )
    token = next(line.split()[1] for line in (kept / "armed").read_text().splitlines() if line.startswith("token"))
    fire = [*one.shell, str(kept / "guard.sh"), "fire", str(one.service), RUN, "0", token]
    with subprocess.Popen(fire, env=one.environment, start_new_session=True) as timer:
        assert one.verdict().state is WatchState.RESTORED
    assert (one.home / "by-then").read_text().startswith(f"process {timer.pid} ")


def test_a_short_time_may_be_over_before_arming_looked(one: Machine) -> None:
    """What fired and ended before the command that armed it looked again did start: it is no failure to arm."""
    verdict = one.service / "watchdog/verdict"
    # 0.1 is how long arming waits before it looks again.
    waits = f"until [ -e {verdict} ]; do /bin/sleep 0.05; done"
    one.program("sleep", f'#!/bin/sh\ncase $1 in 0.1) {waits} ;; *) exec /bin/sleep "$1" ;; esac\n')
    one.program("setsid", '#!/bin/sh\n/bin/sleep 0.3\nexec /usr/bin/setsid "$@"\n')
    one.arm(after_s=1)
    assert one.verdict().state is WatchState.RESTORED
