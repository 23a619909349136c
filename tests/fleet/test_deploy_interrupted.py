"""Runs that are interrupted, killed, or meet another run: the next one converges, and nobody cleans up by hand."""

from __future__ import annotations

import random
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.at_a_terminal import ended, hang_up, shell
from tests.fleet.faults.means import rounds
from tests.fleet.onlooker import available, drained, identities, machines, most_out, on, serves, tell, traffic
from tests.fleet.project import DIRECTORY, Project, Result


def converges(lab: Lab, project: Project, version: int) -> None:
    """The same command again ends with everything as wanted, and once more with nothing to do."""
    project.deploy()
    serves(lab, version)
    assert drained(lab) == []
    for host in machines(lab):
        assert on(lab, host, "ls", "-A", f"{DIRECTORY}/staging") == ""
    assert project.deploy().last_line == "OK: 3 hosts, nothing to do"


def stopped(lab: Lab, result: Result, *, told: str) -> None:
    """The run ended by itself, told what it changed and how to go on, and left every host in service."""
    assert result.code == 130, str(result)
    assert result.last_line.startswith(f"INTERRUPTED: {told}; continue with: fleetdeploy deploy ")
    assert traffic(lab) == {host: {"UP"} for host in machines(lab)}
    assert drained(lab) == []


@pytest.mark.long
@pytest.mark.fault("F2")
def test_an_interrupt_while_staging_changes_nothing_that_serves(lab: Lab, served: Project) -> None:
    """Ctrl-C while files are copied ends the run with exit 130 before a host is drained; the next run converges."""
    before = identities(lab)
    served.want(version=2)
    stopped(lab, served.deploy_until(kind="step_started", task="stage").interrupt(), told="nothing was switched over")
    assert identities(lab) == before
    serves(lab, 1)
    converges(lab, served, 2)


@pytest.mark.fault("F2")
def test_an_interrupt_while_activating_finishes_that_host(lab: Lab, served: Project) -> None:
    """Ctrl-C while a host is activated ends with that host proven and back in service, and no other begun."""
    served.want(version=2, image="fleetdeploy/standin:1.1")
    started = served.deploy_until(kind="step_started", task="activate", host="gpu1")
    stopped(lab, started.interrupt(), told="gpu1 switched over")
    serves(lab, 2, hosts=["gpu1"])
    serves(lab, 1, hosts=["gpu2", "gpu3"])
    converges(lab, served, 2)


@contextmanager
def request_in_flight(lab: Lab, host: str) -> Iterator[None]:
    """A client that has begun a request to this host through the balancer and does not end it."""
    head = b"POST /v1/models/ranker:predict HTTP/1.1\r\nHost: lab\r\nContent-Length: 100\r\n\r\n{"
    clients: list[socket.socket] = []
    try:
        for _ in range(30):
            client = socket.create_connection(lab.door("lb", 8501), timeout=10)
            clients.append(client)
            before = _in_flight(lab)
            client.sendall(head)
            _wait_for_change(lab, before)
            if _in_flight(lab)[host] > before[host]:
                break
        for other in clients[:-1]:  # kept until now: requests that end would pass for one that arrives
            other.close()
        alone = {**dict.fromkeys(machines(lab), 0), host: 1}
        wait_until(lambda: _in_flight(lab) == alone, f"one request is in flight, to {host}", deadline_s=20)
        yield
    finally:
        for client in clients:
            client.close()


def _wait_for_change(lab: Lab, before: Mapping[str, int]) -> None:
    wait_until(lambda: _in_flight(lab) != before, "the request reaches a host", deadline_s=20)


def _in_flight(lab: Lab) -> Mapping[str, int]:
    rows = [line.split(",") for line in lab.balancer_command("show stat").splitlines()]
    return {row[1]: int(row[4]) for row in rows if row[0] == "ranking_rest" and row[1].startswith("gpu")}


@pytest.mark.long
@pytest.mark.fault("F2")
def test_an_interrupt_while_draining_puts_the_host_back(lab: Lab, served: Project) -> None:
    """Ctrl-C while a drain waits for a request in flight ends with the host undrained and serving what it did."""
    before = identities(lab)
    served.want(version=2)
    assert served.steady is not None
    with ExitStack() as meanwhile:
        with served.steady.standing_back():  # seen best while it is the only one
            meanwhile.enter_context(request_in_flight(lab, "gpu1"))
        started = served.deploy_until(kind="step_started", task="drain", host="gpu1")
        wait_until(lambda: traffic(lab)["gpu1"] == {"DRAIN"}, "gpu1 is being drained", deadline_s=10)
        time.sleep(1)  # a drain that did not wait for the request would be over by now
        assert traffic(lab)["gpu1"] == {"DRAIN"}
        assert available(lab, "gpu1") == [1]
        started.signal(signal.SIGINT)
        began = time.monotonic()
    result = started.end()
    assert time.monotonic() - began < 15
    stopped(lab, result, told="nothing was switched over")
    assert identities(lab) == before
    serves(lab, 1)
    converges(lab, served, 2)


@pytest.mark.fault("F2")
def test_a_second_interrupt_ends_the_run_at_once(lab: Lab, served: Project) -> None:
    """A second signal ends the process at once, 143 for SIGTERM; the next run takes care of what it left."""
    served.want(version=2)
    started = served.deploy_until(kind="step_started", task="activate", host="gpu1")
    started.signal(signal.SIGTERM)
    wait_until(lambda: "SIGTERM: stopping" in started.said(), "the first one was heard", deadline_s=30)
    began = time.monotonic()
    started.signal(signal.SIGTERM)
    end = started.end()
    assert end.code == 143
    assert "STOPPED at once: hosts that were being worked on" in end.stderr.splitlines()[-1]
    assert "run again: fleetdeploy deploy" in end.stderr
    assert time.monotonic() - began < 10, "a second here; to take the host back takes longer on any machine"
    converges(lab, served, 2)


@pytest.mark.long
@pytest.mark.fault("F2")
@pytest.mark.parametrize("task", ["drain", "activate"])
def test_a_terminal_that_is_closed_leaves_no_host_out(lab: Lab, served: Project, task: str) -> None:
    """Its shell and the kernel send a hangup each: the host at hand is finished or taken back, and serves (143)."""
    served.want(version=2, image="fleetdeploy/standin:1.1")
    before = served.runs()
    with shell(served) as window:
        window.type("deploy")
        process = window.command()
        begun = {"kind": "step_started", "task": task, "host": "gpu1"}
        wait_until(
            lambda: served.runs() > before and any(begun.items() <= event.items() for event in served.events()),
            f"{task} of gpu1 is begun",
            deadline_s=120,
        )
        told = len(served.events())
        window.close()
        # The two may come so close that they are one; what is sent once the run has gone on is another one.
        wait_until(lambda: len(served.events()) > told, "the run goes on without its terminal", deadline_s=60)
        hang_up(process)
        assert ended(process, timeout_s=120)
    end = served.events()[-1]
    assert (end["kind"], end["data"]["exit_code"]) == ("run_finished", 143)
    assert traffic(lab) == {host: {"UP"} for host in machines(lab)}
    assert drained(lab) == []
    converges(lab, served, 2)


CHANGES: Mapping[str, dict[str, object]] = {
    "reload": {"version": 2},
    "replace": {"image": "fleetdeploy/standin:1.1"},
    "both": {"version": 4, "image": "fleetdeploy/standin:1.1"},
}


def kill_somewhere(project: Project, chance: random.Random) -> str:
    """Start a deploy and SIGKILL it at a random event, or up to half a second later; returns where that was.

    A deploy that ends before is fine too: then it was nearly done when the run before it was killed.
    """
    event, delay_s = chance.randrange(5, 45), chance.uniform(0, 0.5)
    before = project.runs()
    started = project.start("deploy")

    def comes_there() -> bool:
        return started.process.poll() is not None or (project.runs() > before and len(project.events()) >= event)

    wait_until(comes_there, f"event {event}", deadline_s=60)
    time.sleep(delay_s)
    started.signal(signal.SIGKILL)
    result = started.end()
    assert result.code in {-signal.SIGKILL, 0}, str(result)
    last = project.events()[-1]
    return f"event {event} + {delay_s:.2f} s: {last['kind']} {last.get('task', '')} {last.get('host', '')}"


@pytest.mark.fault("F1")
@pytest.mark.parametrize("change", rounds(["replace", "reload", "both"], in_ci=1))
def test_a_killed_run_is_made_good_by_the_next(lab: Lab, served: Project, change: str) -> None:
    """SIGKILL at two random points, then the same command: converged, no request lost, never two hosts out."""
    chance = random.Random(change)
    served.want(**CHANGES[change])  # type: ignore[arg-type]
    with most_out(lab) as out:
        places = [kill_somewhere(served, chance) for _ in range(2)]
        converges(lab, served, int(str(CHANGES[change].get("version", 1))))
    assert max(map(len, out)) <= 1, (places, out)
    for host in machines(lab):
        assert len(on(lab, host, "docker", "ps", "--quiet").split()) == 1


@pytest.mark.long
@pytest.mark.fault("F1")
def test_what_a_killed_run_drained_comes_back(lab: Lab, served: Project) -> None:
    """A host that was done but for the undrain is put back into its balancer by the next run, and nothing else is done.

    A person's drain has no marker of a run on the host, and stays.
    """
    for host in ("gpu1", "gpu2"):
        tell(lab, host, "drain")
    on(lab, "gpu1", "sh", "-c", f"echo 20260131T235900Z-0000 >{DIRECTORY}/drained")
    before = identities(lab)
    assert "an earlier run drained it" in served.run("plan").stdout
    served.deploy("--limit", "gpu1")
    done = [(event["host"], event["task"]) for event in served.events() if event["kind"] == "step_finished"]
    assert [task for task in done if task[1] != "preflight"] == [("gpu1", "undrain")]
    assert identities(lab) == before
    assert drained(lab) == []
    assert traffic(lab) == {"gpu1": {"UP"}, "gpu2": {"DRAIN"}, "gpu3": {"UP"}}


@pytest.mark.long
@pytest.mark.fault("F26")
def test_a_second_run_at_the_same_time_is_turned_away(lab: Lab, served: Project) -> None:
    """While a run is under way another one ends with exit 6 and without a wait, names the first, and harms nothing."""
    served.want(version=2)
    started = served.deploy_until(kind="plan_made")
    second = served.deploy(expect=6)
    assert started.process.poll() is None
    run = served.events()[0]["run"]
    assert f": run {run} of root, pid {started.process.pid}, since " in second.stderr
    assert "--wait-lock" in second.stderr
    waiting = served.start("deploy", "--wait-lock", "60s")
    assert started.end().code == 0
    patient = waiting.end()
    assert (patient.code, patient.last_line) == (0, "OK: 3 hosts, nothing to do")
    serves(lab, 2)
