"""Hosts that go back by themselves: the controller dies, sleeps or is shut out between activation and confirm."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.directory.watchdog import watch_from_line
from tests.fleet.faults.means import dropped, rounds
from tests.fleet.onlooker import available, container, drained, identities, machines, on, serves, traffic
from tests.fleet.project import CONTAINER, DIRECTORY, INVENTORY, PLAYBOOK, Project

REQUEST_S = 2 * 10 + 2
"""The one golden request of the project below, which may be sent twice."""
WINDOW_S = (2 * 1 + 15 + REQUEST_S) + (6 + 2 * 1 + 2) + 4
"""What its playbook gives a replacement, its proof and the confirm. A reload may take longer: three times its timeout,
and two calls of half a minute.
"""
DEADLINE_S = 200.0
CHANGES: dict[str, dict[str, object]] = {
    "reload": {"version": 2},
    "replace": {"version": 2, "image": "fleetdeploy/standin:1.1"},
}


@pytest.fixture
def watched(served: Project) -> Project:
    """The project with a watchdog in its play, and timeouts that a test can wait for."""
    served.edit("  on_failure: revert ", "  confirm_timeout: 4s\n  on_failure: revert ", file=PLAYBOOK)
    served.edit("- activate:  ", "- activate: {timeout: 15s, stop_grace: 1s}  ", file=PLAYBOOK)
    quick = "- verify: {timeout: 6s, times: 1, request_timeout: 1s, gpus: false,"
    served.edit("- verify: {timeout: 5m,", quick, file=PLAYBOOK)
    golden = served.root / INVENTORY / "golden/ranker.jsonl"
    lines = golden.read_text(encoding="utf-8").splitlines(keepends=True)
    golden.write_text("".join(line for line in lines if '"name": "one row"' in line), encoding="utf-8")
    return served


def activated(project: Project) -> None:
    """A deploy that was killed once gpu1 was switched over, before anybody had proven or confirmed anything."""
    started = project.deploy_until(kind="step_finished", task="activate", host="gpu1")
    started.signal(signal.SIGKILL)
    started.end()


def guards(lab: Lab, host: str) -> list[str]:
    return on(lab, host, "pgrep", "-f", "watchdog/guard.sh", check=False).split()


def verdict(lab: Lab, host: str) -> Watch | None:
    """The host's last verdict, None while there is none."""
    text = on(lab, host, "sh", "-c", f"cd {DIRECTORY}/watchdog && [ ! -e firing ] && cat verdict", check=False)
    return watch_from_line(text.strip()) if text else None


def await_verdict(lab: Lab, host: str) -> Watch:
    wait_until(lambda: verdict(lab, host) is not None, f"{host} has a verdict", deadline_s=DEADLINE_S)
    found = verdict(lab, host)
    assert found is not None
    return found


def none_left(lab: Lab) -> None:
    for host in machines(lab):
        wait_until(lambda host=host: guards(lab, host) == [], f"nothing counts down on {host}", deadline_s=10)


def converges(lab: Lab, project: Project, version: int) -> None:
    serves(lab, version)
    assert drained(lab) == []
    none_left(lab)
    assert project.deploy().last_line == "OK: 3 hosts, nothing to do"


@pytest.mark.long
@pytest.mark.fault("F4")
def test_what_goes_well_is_confirmed_and_leaves_nothing_behind(lab: Lab, watched: Project) -> None:
    """Every host hears over a connection of its own that all is well; no process is left, and none goes back."""
    watched.want(version=2)
    plan = watched.run("plan").stdout
    assert f"a host that hears nothing for {WINDOW_S}s goes back by itself" in plan
    result = watched.deploy()
    assert result.last_line == "OK: 3 of 3 hosts changed"
    kinds = [
        (event["host"], event["kind"]) for event in watched.events() if event["kind"] in {"watch_armed", "watch_ended"}
    ]
    assert kinds == [(host, kind) for host in machines(lab) for kind in ("watch_armed", "watch_ended")]
    for host in machines(lab):
        assert await_verdict(lab, host).state is WatchState.CONFIRMED
    assert "watchdog" not in watched.run("status").stdout
    converges(lab, watched, 2)


@pytest.mark.fault("F4")
@pytest.mark.parametrize("change", rounds([*CHANGES], in_ci=1))
def test_a_dead_controller_s_host_goes_back_by_itself(lab: Lab, watched: Project, change: str) -> None:
    """SIGKILL between activation and confirm: no request is lost, the release before serves again, the host stays
    drained; the next run says what the host did, and converges.
    """
    before = container(lab, "gpu1")
    assert before is not None
    watched.want(**CHANGES[change])  # type: ignore[arg-type]
    activated(watched)
    (run,) = {str(event["run"]) for event in watched.events()}
    assert len(guards(lab, "gpu1")) >= 1, "it has outlived the end of its controller's connection"
    found = await_verdict(lab, "gpu1")
    assert (found.state, found.run) == (WatchState.RESTORED, run)
    assert available(lab, "gpu1") == [1]
    now = container(lab, "gpu1")
    assert now is not None
    assert (now["Id"], now["State"]["Running"]) == (before["Id"], True)
    assert container(lab, "gpu1", f"{CONTAINER}.previous") is None
    wait_until(lambda: traffic(lab)["gpu1"] == {"DRAIN"}, "the balancer finds gpu1, and keeps it out", deadline_s=30)
    assert drained(lab) == ["gpu1"]
    status = watched.run("status", expect=None).stdout
    assert f"watchdog   {found.told}" in status
    assert found.told in watched.run("plan").stdout
    result = watched.deploy()
    assert result.text.count(found.told) == 1, result.text
    converges(lab, watched, 2)


@pytest.mark.long
def test_a_host_that_lets_nobody_in_any_more_is_taken_back(lab: Lab, watched: Project) -> None:
    """Where no new SSH connection gets through after the activation there is no confirm: exit 3, all as before."""
    before = identities(lab)
    watched.want(version=2)
    started = watched.deploy_until(kind="step_finished", task="activate", host="gpu1")
    with dropped(lab, "gpu1", "INPUT --protocol tcp --dport 22 --syn"):
        result = started.end()
    assert result.code == 3, str(result)
    assert "the release could not be confirmed over a new connection" in result.text
    assert result.last_line.endswith("every host serves what it served before")
    assert identities(lab) == before
    serves(lab, 1)
    assert drained(lab) == []
    none_left(lab)


@pytest.mark.long
@pytest.mark.fault("F4")
def test_a_controller_that_slept_too_long_changes_nothing_more(lab: Lab, watched: Project) -> None:
    """A run that is stopped until its host has gone back finds that it has lost the lease, and ends with exit 4."""
    watched.want(**CHANGES["replace"])  # type: ignore[arg-type]
    started = watched.deploy_until(kind="step_finished", task="activate", host="gpu1")
    started.signal(signal.SIGSTOP)
    try:
        found = await_verdict(lab, "gpu1")
        assert found.state is WatchState.RESTORED
        after = identities(lab)
    finally:
        started.signal(signal.SIGCONT)
    result = started.end()
    assert result.code == 4, str(result)
    assert "the host's watchdog" in result.text
    assert (identities(lab), available(lab, "gpu1")) == (after, [1])
    assert verdict(lab, "gpu1") == found
    watched.deploy()
    converges(lab, watched, 2)


@pytest.mark.long
@pytest.mark.fault("F4")
def test_a_newcomer_disarms_what_a_dead_run_has_armed(lab: Lab, watched: Project) -> None:
    """The next run comes before the time is over: it takes over, and nothing goes back behind it."""
    watched.want(version=2)
    activated(watched)
    assert "watchdog is armed over release" in watched.run("status", expect=None).stdout
    watched.deploy()
    assert "this run takes over" in [
        str(event["message"]).partition(": ")[2] for event in watched.events() if event["kind"] == "watch_ended"
    ]
    converges(lab, watched, 2)


# systemd. No lab host has one: what is asked of it is recorded, and carried out by a process in its place.

SYSTEMD_RUN = """#!/bin/sh
printf '%s\\n' "$@" >/run/systemd/asked
for word; do
  case $word in
    --unit=*) unit=${word#*=} ;;
    --on-active=*) seconds=${word#*=} ;;
    --*) ;;
    *) break ;;
  esac
  shift
done
setsid sh -c 'sleep "$1"; shift; exec "$@"' timer "${seconds%s}" "$@" </dev/null >/dev/null 2>&1 &
echo $! >"/run/systemd/$unit.timer"
"""
SYSTEMCTL = """#!/bin/sh
for unit; do :; done
case $1 in
  is-active) [ -e "/run/systemd/$unit" ] ;;
  stop) kill -- "-$(cat "/run/systemd/$unit")"; rm "/run/systemd/$unit" ;;
esac
"""


@pytest.fixture
def timers(lab: Lab) -> Iterator[None]:
    """Every host looks as if systemd ran there."""
    with _systemd(lab):
        yield


@contextmanager
def _systemd(lab: Lab) -> Iterator[None]:
    for host in machines(lab):
        on(lab, host, "mkdir", "-p", "/run/systemd/system")
        for name, text in (("systemd-run", SYSTEMD_RUN), ("systemctl", SYSTEMCTL)):
            put = f"cat >/usr/local/bin/{name} && chmod 755 /usr/local/bin/{name}"
            lab.run_on(host, ["sh", "-c", put], stdin=text)
    try:
        yield
    finally:
        for host in machines(lab):
            on(lab, host, "rm", "-rf", "/run/systemd", "/usr/local/bin/systemd-run", "/usr/local/bin/systemctl")


@pytest.mark.long
@pytest.mark.fault("F4")
def test_where_systemd_runs_a_timer_of_its_counts_down(lab: Lab, watched: Project, timers: None) -> None:
    """One unit a run and service, stopped by its exact name when all is well, and going back when nobody says so."""
    watched.want(**CHANGES["replace"])  # type: ignore[arg-type]
    activated(watched)
    asked = on(lab, "gpu1", "cat", "/run/systemd/asked").splitlines()
    run = watched.events()[0]["run"]
    assert f"--unit=fleetdeploy-watch-ranking-{run}" in asked
    assert f"--on-active={WINDOW_S}s" in asked
    assert "--timer-property=AccuracySec=1s" in asked
    assert asked[asked.index("/bin/sh") + 1 :][:3] == [f"{DIRECTORY}/watchdog/guard.sh", "fire", DIRECTORY]
    assert await_verdict(lab, "gpu1").state is WatchState.RESTORED
    assert available(lab, "gpu1") == [1]
    watched.deploy()
    for host in machines(lab):
        assert on(lab, host, "sh", "-c", "ls /run/systemd/*.timer 2>/dev/null || true") in {
            "",
            f"/run/systemd/fleetdeploy-watch-ranking-{run}.timer\n",
        }
    converges(lab, watched, 2)
