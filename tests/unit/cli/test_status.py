"""``status``: what is served, what differs, what cannot be known, and the exit codes for each."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console
from simulation.balancer import SimBalancer
from simulation.fleet import SimFleet

from fleetdeploy.domain.observed import PoolMember, Traffic
from fleetdeploy.errors import HostKeyRefused

from .conftest import Project

pytestmark = pytest.mark.simulation


def refuse_key(monkeypatch: pytest.MonkeyPatch, method: str, name: str) -> None:
    """Let ``name`` show another host key than the pinned one."""
    real = getattr(SimFleet, method)

    def guarded(self: SimFleet, thing: Any) -> Any:
        if name in {getattr(thing, "name", ""), getattr(thing, "host", "")}:
            raise HostKeyRefused("the host key has changed", where=name, hint="compare fingerprints")
        return real(self, thing)

    monkeypatch.setattr(SimFleet, method, guarded)


def set_traffic(monkeypatch: pytest.MonkeyPatch, server: str, traffic: Traffic) -> None:
    def members(_: SimBalancer, pools: Any) -> tuple[PoolMember, ...]:
        return tuple(
            PoolMember(pool, name, traffic if name == server else Traffic.UP, 0, 100)
            for pool in pools
            for name in ("gpu1", "gpu2")
        )

    monkeypatch.setattr(SimBalancer, "members", members)


def test_status_tells_what_is_served_and_what_differs(project: Project) -> None:
    """Release, versions, container, balancer; exit 10 with ``--exit-code`` on drift."""
    project.run("deploy")
    settled = project.run("status", "--exit-code")
    assert settled.code == 0
    assert "1 AVAILABLE" in settled.out
    assert "balancer   ranking_rest up" in settled.out
    assert settled.out.rstrip().endswith("STATUS: all 2 hosts are as the inventory says")
    project.edit("versions: [1]", "versions: [2]")
    drifted = project.run("status", "--exit-code")
    assert drifted.code == 10
    assert "drift      reload: only the model configuration changed" in drifted.out
    assert "STATUS: 2 of 2 hosts differ from the inventory" in drifted.out
    assert project.run("status").code == 0


def test_status_as_json(project: Project) -> None:
    """Fields for programs, not sentences: container, versions with states, servers in the balancer."""
    project.run("deploy")
    found = project.run("status", "--json").json
    host = found["hosts"]["gpu1"]
    service = host["services"]["ranking"]
    assert service["served"] == {"ranker": [{"version": 1, "state": "AVAILABLE", "error": None}]}
    assert set(service["container"]) == {"name", "status", "image", "image_id", "started_at", "restarts"}
    assert (service["container"]["status"], service["container"]["restarts"]) == ("running", 0)
    assert (service["drift"], service["drained_by"], service["unknown"]) == (None, None, {})
    assert host["balancer"][0] == {"pool": "ranking_grpc", "server": "gpu1", "traffic": "up", "weight": 100}
    assert found["summary"] == "STATUS: all 2 hosts are as the inventory says"


def test_status_without_its_balancer(project: Project) -> None:
    """A balancer that cannot be asked costs only its own lines, which is told; ``--exit-code`` is not 0 then."""
    project.run("deploy")
    project.world.balancer_down = True
    result = project.run("status")
    assert result.code == 0
    assert "balancer   ranking_rest up" not in result.out
    assert result.out.count("balancer lb: CANNOT BE ASKED: ") == 1
    assert result.out.rstrip().endswith(
        "STATUS: all 2 hosts are as the inventory says, but balancer lb cannot be asked"
    )
    assert project.run("status", "--exit-code").code == 4
    assert project.run("status", "--json").json["hosts"]["gpu1"]["balancer"] is None


def test_a_refused_host_key_is_exit_2(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told with its hint, and nothing is said about whether the host is as the inventory says."""
    project.run("deploy")
    refuse_key(monkeypatch, "session", "gpu2")
    result = project.run("status", "--exit-code")
    assert result.code == 2
    assert "HOST KEY REFUSED: the host key has changed" in result.out
    assert "compare fingerprints" in result.out
    assert result.out.rstrip().endswith("STATUS: 1 host with a refused host key")


def test_a_balancers_refused_host_key_is_exit_2(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever answers in the balancer's place is not just a balancer that is down."""
    project.run("deploy")
    refuse_key(monkeypatch, "balancer", "lb")
    result = project.run("status")
    assert result.code == 2
    assert "balancer lb: CANNOT BE ASKED: the host key has changed (compare fingerprints)" in result.out


@pytest.mark.parametrize("traffic", [Traffic.MAINTENANCE, Traffic.DOWN, Traffic.DRAINED])
def test_a_host_without_traffic_is_drift(project: Project, monkeypatch: pytest.MonkeyPatch, traffic: Traffic) -> None:
    """A host that gets no requests is not as the inventory says, whatever its server serves."""
    project.run("deploy")
    set_traffic(monkeypatch, "gpu2", traffic)
    result = project.run("status", "--exit-code")
    assert result.code == 10
    assert f"balancer   ranking_rest {traffic.value}" in result.out
    assert result.out.rstrip().endswith("STATUS: 1 host not in service")


def test_quiet_status_is_the_last_line(project: Project) -> None:
    """With ``-q`` only the sentence at the end is printed."""
    project.run("deploy")
    assert project.run("status", "-q").out == "STATUS: all 2 hosts are as the inventory says\n"


def after(project: Project, monkeypatch: pytest.MonkeyPatch, waits: int, happen: Callable[[], object]) -> None:
    """Let something happen at that wait between two looks, and later ones fail."""
    wait, count = project.world.clock.wait, 0

    def waited(seconds: float) -> None:
        nonlocal count
        count += 1
        assert count <= 100 * waits, "it goes on without an end"
        if count == waits:
            happen()
        wait(seconds)

    monkeypatch.setattr(project.world.clock, "wait", waited)


def looks_in(text: str) -> int:
    return sum(line.startswith("-- 20") for line in text.splitlines())


def test_watch_goes_on_until_the_fleet_is_converged(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``--exit-code`` it ends by itself with 0; each look is one observation a host, over one fleet's sessions."""
    project.run("deploy")
    set_traffic(monkeypatch, "gpu2", Traffic.DRAINED)
    after(project, monkeypatch, 30, lambda: set_traffic(monkeypatch, "gpu2", Traffic.UP))
    result = project.run("status", "--watch=2s", "--exit-code")
    assert result.code == 0
    looks = looks_in(result.out)
    assert looks > 2
    assert len(project.wires) == 1
    for name in ("gpu1", "gpu2"):
        assert project.wires[0].calls.count((name, "observe")) == looks
    assert "STATUS: 1 host not in service\n-- 20" in result.out
    assert result.out.rstrip().endswith("STATUS: all 2 hosts are as the inventory says")


@pytest.mark.parametrize(
    ("words", "code", "looks"),
    [
        (("--watch=30s", "--exit-code", "--within", "70s"), 10, 4),
        (("--watch=30s", "--within", "70s"), 0, 4),
        (("--watch=9m", "--exit-code"), 10, 8),
        (("--watch=9m", "--exit-code", "--within", "1s"), 10, 2),
    ],
)
def test_a_watch_ends_when_its_time_is_over(project: Project, words: tuple[str, ...], code: int, looks: int) -> None:
    """With what the last look says, which is at the very end; a wait for a fleet has an hour where nothing is said."""
    project.run("deploy")
    project.edit("versions: [1]", "versions: [2]")
    before_s = project.world.clock.monotonic_s()
    result = project.run("status", *words)
    assert (result.code, looks_in(result.out)) == (code, looks)
    lasted = {"70s": "1 min 10 s", "1s": "1 s"}.get(words[-1], "1 h")
    assert result.err == f"note: the watch is over after {lasted}; --within TIME makes it longer\n"
    assert result.out.rstrip().endswith("STATUS: 2 of 2 hosts differ from the inventory")
    assert project.world.clock.monotonic_s() - before_s < 3700


def test_a_watch_does_not_wait_for_a_key_that_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """No time makes it another key: exit 2 after the first look. Who only watches goes on."""
    project.run("deploy")
    refuse_key(monkeypatch, "session", "gpu2")
    result = project.run("status", "--watch", "--exit-code")
    assert (result.code, looks_in(result.out)) == (2, 1)
    assert result.out.rstrip().endswith("STATUS: 1 host with a refused host key")
    assert looks_in(project.run("status", "--watch", "--within", "10s").out) == 3


def test_a_time_for_a_watch_that_is_none_is_refused(project: Project) -> None:
    """One look would end before it, and the option would have said nothing."""
    result = project.run("status", "--exit-code", "--within", "10s")
    assert result.code == 2
    assert "--within ends a watch, and this is none\n    add --watch, or leave it out" in result.err


@pytest.mark.parametrize(
    ("signal_number", "arguments", "code"),
    [
        (signal.SIGINT, (), 130),
        (signal.SIGINT, ("--exit-code",), 130),
        (signal.SIGTERM, (), 143),
        (signal.SIGHUP, (), 143),
    ],
)
def test_a_signal_ends_a_watch_with_its_own_code(
    project: Project, monkeypatch: pytest.MonkeyPatch, signal_number: int, arguments: tuple[str, ...], code: int
) -> None:
    """Whatever was seen last: a script that somebody wants out of does not go on, and `logs -f` ends so too."""
    project.run("deploy")
    project.edit("versions: [1]", "versions: [2]")
    after(project, monkeypatch, 3, lambda: os.kill(os.getpid(), signal_number))
    result = project.run("status", "--watch", *arguments)
    assert (result.code, looks_in(result.out)) == (code, 1)


def test_a_watch_without_a_whole_look_has_no_code_of_its_own(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signal during the first look ends with its number, and nothing is claimed of hosts that were not seen."""
    project.run("deploy")
    real = SimFleet.session

    def interrupted(self: SimFleet, host: Any) -> Any:
        if host.name == "gpu1":
            os.kill(os.getpid(), signal.SIGINT)
        return real(self, host)

    monkeypatch.setattr(SimFleet, "session", interrupted)
    result = project.run("status", "--watch")
    assert (result.code, "STATUS" in result.out) == (130, False)


def test_a_watch_as_json_is_a_line_a_look(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is what ``--json`` prints, with its time."""
    project.run("deploy")
    after(project, monkeypatch, 60, lambda: os.kill(os.getpid(), signal.SIGINT))
    result = project.run("status", "--watch=1s", "--json")
    lines = [json.loads(line) for line in result.out.splitlines()]
    assert len(lines) > 1
    once = project.run("status", "--json").json
    assert {key: value for key, value in lines[0].items() if key != "time"} == once
    assert lines[0]["time"] < lines[-1]["time"]


def test_a_watch_on_a_terminal_stays_within_it(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks are drawn at one place, no line wider than the terminal, and the last one stays written, whole."""
    project.run("deploy")
    screen = io.StringIO()
    out = Console(file=screen, force_terminal=True, color_system="standard", width=60, height=8, soft_wrap=False)
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("fleetdeploy.report.terminal.console", lambda **_: out)
    after(project, monkeypatch, 60, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert project.run("status", "--watch=1s").code == 130
    text = screen.getvalue()
    assert text.count("Ctrl-C ends it") > 1
    assert looks_in(text) == 0
    drawn, _, end = text.rpartition("Ctrl-C ends it")
    assert "gpu2  ranking" in drawn
    assert "\x1b[?1049h" not in text, "another screen would be left over by a kill"
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l"), "the cursor is there"
    assert end.rstrip().endswith("STATUS: all 2 hosts are as the inventory says\x1b[0m")


def test_many_hosts_are_a_table_and_verbose_shows_each(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few hosts are shown in blocks, more as a table, and ``-v`` shows every one in blocks again."""
    project.run("deploy")
    assert "container  fleetdeploy-ranking" in project.run("status").out
    monkeypatch.setattr("fleetdeploy.report.status.MOST_IN_BLOCKS", 1)
    result = project.run("status")
    assert result.out.startswith("HOST  SERVICE  RELEASE")
    assert "ranker:1 AVAILABLE" in result.out
    assert result.out.rstrip().endswith("STATUS: all 2 hosts are as the inventory says")
    assert project.run("status", "-v").out.startswith("gpu1  1 x NVIDIA")


def test_a_hint_names_the_command_that_has_the_option(project: Project) -> None:
    """What `status` cannot be told is not named as if it could."""
    project.run("deploy")
    project.edit("versions: [1]", "versions: [2]")
    project.run("deploy")
    project.run("rollback", "-y")
    result = project.run("status")
    assert "was taken back by" in result.out
    assert "pass --again to `deploy` to bring it back" in result.out


def test_a_pattern_behind_watch_is_told_where_it_goes(project: Project) -> None:
    """What stands behind `--watch` is its time; a host there is refused with the line that was meant."""
    result = project.run("status", "--watch", "gpu1")
    assert result.code == 2
    assert "PATTERN goes before it: status gpu1 --watch" in result.err
