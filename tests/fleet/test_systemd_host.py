"""A host whose first process is a real systemd: the watchdog's timers count down, logind ends sessions, and the unit
that ``sync`` prints can be started.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from fleetdeploy.cli.changing import units
from fleetdeploy.cli.main import main
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.contract.conftest import server, shared  # noqa: F401  fixtures
from tests.fleet.contract.places import Place, Server, config, release
from tests.fleet.contract.test_both_watchdog import (  # noqa: F401  the contract, by real timers; and a fixture
    LONG_S,
    NEXT,
    RUN,
    arm,
    fired,
    test_an_arm_whose_answer_was_lost_counts_down,
    test_armed_it_is_seen,
    test_confirmed_it_goes_back_no_more,
    test_disarmed_it_leaves_nothing,
    test_not_told_in_time_it_loads_the_release_before,
    test_not_told_in_time_it_takes_the_container_before,
    test_there_must_be_something_to_confirm,
    told,
    wish,
)
from tests.fleet.one_host import HOST, place  # noqa: F401  a fixture
from tests.fleet.onlooker import on
from tests.fleet.project import REPOSITORY
from tests.fleet.remote.deploy_user import USER, deploy_user, lab_host
from tests.fleet.systemd_host import systemd_lab, why_no_sessions, why_not

pytestmark = pytest.mark.skipif(bool(why_not()), reason=f"systemd cannot be a host's first process: {why_not()}")
END_S = 30.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    with systemd_lab() as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_left(lab: Lab) -> Iterator[None]:
    """After each case nothing of a watchdog is left on the host, and systemd knows of nothing that failed."""
    yield
    wait_until(lambda: not left(lab), "no unit, no unit file and no process is left", deadline_s=END_S,
               on_timeout=lambda: "\n".join(left(lab)))  # fmt: skip
    assert on(lab, HOST, "systemctl", "is-system-running", check=False) == "running\n"


def left(lab: Lab) -> list[str]:
    units = on(lab, HOST, "systemctl", "list-units", "--all", "--plain", "--no-legend", "fleetdeploy-*").splitlines()
    files = on(lab, HOST, "find", "/run/systemd", "/etc/systemd", "-name", "fleetdeploy-*").splitlines()
    return [*units, *files, *guards(lab)]


def guards(lab: Lab) -> list[str]:
    return on(lab, HOST, "pgrep", "-f", "-a", "watchdog/guard.sh", check=False).splitlines()


def unit_of(service: ServiceWish) -> str:
    return f"fleetdeploy-watch-{service.name}-{RUN}"


def shown(lab: Lab, unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit, by systemd's word."""
    lines = on(lab, HOST, "systemctl", "show", unit, *(f"--property={name}" for name in names)).splitlines()
    return dict(line.split("=", 1) for line in lines)


def counts_down(lab: Lab, service: ServiceWish) -> str:
    """What does: ``unit NAME`` or ``process PID START``."""
    return on(lab, HOST, "cat", f"{service.directory}/watchdog/by").strip()


@pytest.mark.fault("F4")
@pytest.mark.parametrize("end", ["disarm", "confirm"])
def test_one_timer_counts_down_and_no_process(lab: Lab, place: Place, wish: ServiceWish, end: str) -> None:  # noqa: F811
    """Armed, a timer of this run and service waits, to the second, and it is stopped when all is well."""
    arm(place, wish)
    unit = unit_of(wish)
    assert counts_down(lab, wish) == f"unit {unit}"
    timer = shown(lab, f"{unit}.timer", "ActiveState", "SubState", "AccuracyUSec", "TimersMonotonic")
    assert timer.pop("TimersMonotonic").startswith(f"{{ OnActiveUSec={LONG_S / 60:.0f}min ;")
    assert timer == {"ActiveState": "active", "SubState": "waiting", "AccuracyUSec": "1s"}
    assert guards(lab) == []
    dog = place.session.watchdog(wish)
    if end == "confirm":
        dog.confirm(run=RUN, deadline_s=20)
    else:
        assert dog.disarm() is None
    assert left(lab) == []


@pytest.mark.fault("F4")
def test_a_timer_outlives_what_happens_to_systemd_and_to_sessions(lab: Lab, place: Place, server: Server) -> None:  # noqa: F811
    """The units are read anew, systemd starts itself anew and our connection's sshd is killed: the host goes back."""
    before = release("r1", server.wish, text=config(1), spec=server.spec)
    fleet = place.opened()
    session = fleet.session(place.host)
    session.files(server.wish).write_release(before)
    session.watchdog(server.wish).arm(before, run=RUN, release=NEXT, after_s=5)
    session.files(server.wish).write_config(config(2))
    server.reload(config(2))
    for verb in ("daemon-reload", "daemon-reexec"):
        on(lab, HOST, "systemctl", verb)
    on(lab, HOST, "sh", "-c", "kill -KILL $(pgrep -f '^sshd: root@')")
    assert counts_down(lab, server.wish).startswith("unit ")
    fired(place, server)
    assert told(place.seen(server.wish).watch) == (WatchState.RESTORED, RUN, NEXT)
    server.await_shown(v1="AVAILABLE")


@pytest.mark.fault("F4")
def test_where_systemd_refuses_a_process_counts_down(lab: Lab, place: Place, wish: ServiceWish) -> None:  # noqa: F811
    """A unit that systemd will not start is no reason to be without a watchdog, and the process ends when disarmed."""
    timer = f"{unit_of(wish)}.timer"
    on(lab, HOST, "systemctl", "mask", "--runtime", timer)
    try:
        arm(place, wish)
        assert counts_down(lab, wish).startswith("process ")
        assert len(guards(lab)) == 1
        assert place.session.watchdog(wish).disarm() is None
        assert guards(lab) == []
    finally:
        on(lab, HOST, "systemctl", "unmask", "--runtime", timer)


def test_a_timer_that_comes_too_late_has_not_failed(lab: Lab, place: Place, wish: ServiceWish) -> None:  # noqa: F811
    """A confirm that was cut off before it stopped the timer leaves one that finds nothing armed, and ends well."""
    back = release("r1", wish, text="before\n", spec=place.spec(wish))
    place.session.watchdog(wish).arm(back, run=RUN, release=NEXT, after_s=2)
    on(lab, HOST, "mv", f"{wish.directory}/watchdog/armed", f"{wish.directory}/watchdog/told")
    wait_until(lambda: shown(lab, f"{unit_of(wish)}.timer", "ActiveState") == {"ActiveState": "inactive"},
               "the time is over", deadline_s=END_S)  # fmt: skip
    # The service itself is looked at after the case.


@pytest.mark.parametrize("then", ["disarm", "arm"])
def test_one_that_was_killed_while_it_went_back_is_taken_away(
    lab: Lab,
    place: Place,  # noqa: F811
    wish: ServiceWish,  # noqa: F811
    then: str,
) -> None:
    """systemd keeps its unit as failed until somebody disarms, or arms anew: that is a timer again."""
    unit, dog = unit_of(wish), place.session.watchdog(wish)
    back = release("r1", wish, text="before\n", spec=replace(place.spec(wish), name="fleetdeploy-gone"))
    dog.arm(back, run=RUN, release=NEXT, after_s=1)
    firing = ["test", "-e", f"{wish.directory}/watchdog/firing"]
    wait_until(lambda: lab.run_on(HOST, firing, check=False).returncode == 0, "it goes back", deadline_s=END_S)
    on(lab, HOST, "systemctl", "kill", "--signal=KILL", f"{unit}.service")
    wait_until(
        lambda: shown(lab, f"{unit}.service", "ActiveState") == {"ActiveState": "failed"},
        "systemd knows of it",
        deadline_s=END_S,
    )
    if then == "arm":
        arm(place, wish)
        assert counts_down(lab, wish) == f"unit {unit}"
        assert dog.disarm() is None
    else:
        assert told(dog.disarm()) == (WatchState.FAILED, RUN, NEXT)
    assert left(lab) == []


_STAND_IN = """#!/bin/sh
# Writes where the command would, which is not installed on a host of a lab.
set -eu
for state; do :; done
for place in "$HOME/.local/state/fleetdeploy" "$XDG_CACHE_HOME/fleetdeploy" "$state"; do id -un >"$place/by"; done
"""
_SYNC = "fleetdeploy-sync.service"


def test_the_unit_of_sync_runs_on_a_fresh_machine(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its places are made, for its user and with nothing of root's above them in the home, and may be written to; the
    next start leaves them as they are.
    """
    home, state, program = "/var/lib/deploy", "/var/lib/of-a-fleet/state", "/usr/local/bin/stand-in"
    playbook = str(REPOSITORY / "playbooks/deploy.yml")
    words = ["sync", playbook, "-i", f"{HOST},", "--print-unit", "service", "--textfile", "/var/lib/of-nobody/fd.prom"]
    monkeypatch.setattr("sys.argv", ["fleetdeploy", *words, "--state-dir", state])
    monkeypatch.chdir("/")
    monkeypatch.setenv("HOME", home)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", f"{home}/a cache/of 1%")
    monkeypatch.setattr(units, "_program", lambda: program)
    monkeypatch.setattr("getpass.getuser", lambda: USER)
    monkeypatch.setattr("os.access", lambda *_: False)
    assert main([*words, "--state-dir", state]) == 0
    unit = capsys.readouterr().out
    monkeypatch.undo()
    with deploy_user(lab, [HOST]):
        try:
            lab.run_on(HOST, ["sh", "-c", f"cat >{program}; chmod 755 {program}"], stdin=_STAND_IN)
            lab.run_on(HOST, ["sh", "-c", f"cat >/etc/systemd/system/{_SYNC}"], stdin=unit)
            on(lab, HOST, "systemctl", "daemon-reload")
            started(lab)
            assert tree_of(lab, f"{home}/.local", f"{home}/a cache", "/var/lib/of-a-fleet") == [
                f"{home}/.local deploy 755", f"{home}/.local/state deploy 755",
                f"{home}/.local/state/fleetdeploy deploy 700",
                f"{home}/a cache deploy 755", f"{home}/a cache/of 1% deploy 755",
                f"{home}/a cache/of 1%/fleetdeploy deploy 700",
                "/var/lib/of-a-fleet root 755", f"{state} deploy 700",
            ]  # fmt: skip
            on(lab, HOST, "chmod", "0750", state)
            started(lab)
            assert tree_of(lab, state) == [f"{state} deploy 750"]
            assert on(lab, HOST, "cat", f"{state}/by") == f"{USER}\n"
        finally:
            on(lab, HOST, "rm", "-rf", program, f"/etc/systemd/system/{_SYNC}", "/var/lib/of-a-fleet")
            on(lab, HOST, "systemctl", "daemon-reload")
            on(lab, HOST, "systemctl", "reset-failed")


def started(lab: Lab) -> None:
    """The service of ``sync`` has run once."""
    done = lab.run_on(HOST, ["systemctl", "start", _SYNC], check=False)
    told = on(lab, HOST, "journalctl", "--no-pager", "--lines=20", check=False)
    assert done.returncode == 0, f"{done.stderr}{told}{shown(lab, _SYNC, 'Result', 'ExecMainStatus')}"


def tree_of(lab: Lab, *places: str) -> list[str]:
    """The directories there, each with its owner and mode."""
    return on(lab, HOST, "find", *places, "-type", "d", "-printf", "%p %u %m\\n").splitlines()


# logind

_LOGIND = """
mkdir -p /etc/systemd/logind.conf.d
printf '[Login]\\nUserStopDelaySec=0\\n%s\\n' "$1" >/etc/systemd/logind.conf.d/test.conf
systemctl restart systemd-logind
grep -qx 'UsePAM yes' /etc/ssh/fdlab_sshd_config || {
  sed -i 's/^UsePAM no/UsePAM yes/' /etc/ssh/fdlab_sshd_config
  kill -HUP "$(cat /run/sshd.pid)"
}
"""
"""Whoever logs in gets a session of logind, which is told what to do at its end."""


@pytest.mark.skipif(bool(why_no_sessions()), reason=f"no sessions to end: {why_no_sessions()}")
@pytest.mark.parametrize(("settings", "becomes", "lives"), [
    ("KillUserProcesses=no", False, True),
    ("KillUserProcesses=yes", False, False),
    (f"KillUserProcesses=yes\nKillExcludeUsers=root {USER}", False, True),
    ("KillUserProcesses=yes", True, True),
], ids=["not_told_to", "told_to", "user_excluded", "root"])  # fmt: skip
def test_what_logind_ends_with_a_session(lab: Lab, place: Place, settings: str, becomes: bool, lives: bool) -> None:  # noqa: F811
    """KillUserProcesses=yes ends a plain user's watchdog with its session; an excluded user's and root's live on."""
    on(lab, HOST, "sh", "-c", _LOGIND, "x", settings)
    wait_until(lambda: lab.status().hosts[0].sshd, "sshd answers again", deadline_s=END_S)
    made = replace(place.wish(), base_dir=PurePosixPath(f"/tmp/watched-by-{'root' if becomes else USER}"))
    back = release("r1", made, text="before\n", spec=place.spec(made))
    with deploy_user(lab, [HOST]):
        fleet = SshFleet()
        try:
            session = fleet.session(lab_host(lab, HOST, user=USER, become=becomes))
            session.watchdog(made).arm(back, run=RUN, release=NEXT, after_s=LONG_S)
            assert user_state(lab) == "active"
            assert counts_down(lab, made).split()[0] == ("unit" if becomes else "process")
            fleet.close()
            wait_until(lambda: user_state(lab) in {"", "closing"}, "logind knows of the end", deadline_s=END_S)
            if lives:
                assert left(lab)
            else:
                wait_until(lambda: not left(lab), "nothing counts down", deadline_s=END_S)
        finally:
            fleet.close()
            place.session.watchdog(made).disarm()
            on(lab, HOST, "rm", "-rf", str(made.base_dir))
            wait_until(lambda: user_state(lab) == "", "the user is gone", deadline_s=END_S)


def user_state(lab: Lab) -> str:
    """``active``, ``closing`` while processes of ended sessions live; empty for one who is not logged in."""
    argv = ["loginctl", "show-user", USER, "--value", "--property=State"]
    return on(lab, HOST, *argv, check=False).strip()
