"""Faults of what a rollout leans on: the registry before it, the balancer beside it, the old release behind it."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleetdeploy.lab import assembly
from fleetdeploy.lab.fleet import Lab
from tests.fleet.faults.means import dropped
from tests.fleet.onlooker import admin_state, docker_state, drained, identities, identity, machines, serves, traffic
from tests.fleet.project import CONTAINER, PLAYBOOK, Project
from tests.fleet.test_deploy_interrupted import converges


@pytest.mark.fault("F14")
def test_an_image_that_cannot_be_had_stops_before_the_first_drain(lab: Lab, served: Project) -> None:
    """With a registry that answers nobody each host says so in time, and no host was drained or touched."""
    registry = f"{lab.host('lb').address}:5000"
    served.want(version=2, image=f"{registry}/standin@sha256:{'ab' * 32}")
    served.edit("stage, pull_image]", "stage, pull_image: {timeout: 3s}]", file=PLAYBOOK)
    told, before = admin_state(lab), {host: docker_state(lab, host) for host in machines(lab)}
    with dropped(lab, "lb", "INPUT --protocol tcp --dport 5000"):
        result = served.deploy("--json", expect=3)
    assert {host: docker_state(lab, host) for host in machines(lab)} == before
    assert admin_state(lab) == told
    assert not any(event.get("task") == "drain" for event in served.events())
    assert set(result.states().values()) == {"failed"}, str(result)
    assert result.last_line == "FAILED: gpu1, gpu2, gpu3; every host serves what it served before"
    assert "whether the host reaches its registry" in result.stderr
    for host in machines(lab):
        assert f"{host}  pull_image FAILED: " in result.stderr
    serves(lab, 1)
    served.want(image="fleetdeploy/standin:1.1")
    converges(lab, served, 2)


class Liar(socketserver.StreamRequestHandler):
    """Says yes to every change, makes none, and tells the truth when it is asked."""

    lab: Lab

    def handle(self) -> None:
        command = self.rfile.readline().decode()
        answer = "" if command.startswith("set server") else self.lab.balancer_command(command.strip())
        self.wfile.write(f"{answer}\n".encode())


@contextmanager
def lying_balancer(lab: Lab, project: Project) -> Iterator[None]:
    """The inventory names the socket of a liar, which lies beside HAProxy's own."""
    real = assembly.admin_socket(lab.paths, assembly.balancer_of(lab.record))
    place, liar = real.with_name("liar.sock"), type("_Liar", (Liar,), {"lab": lab})
    with socketserver.ThreadingUnixStreamServer(str(place), liar) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        project.edit("/run/haproxy/admin.sock", "/run/haproxy/liar.sock")
        try:
            yield
        finally:
            project.edit("/run/haproxy/liar.sock", "/run/haproxy/admin.sock")
            server.shutdown()
            place.unlink()


@pytest.mark.fault("F27")
def test_a_balancer_that_says_yes_and_does_nothing(lab: Lab, served: Project) -> None:
    """A host that is not seen drained is not touched, whatever the balancer answered: exit 3, and all serve on."""
    served.want(version=2)
    served.edit("    - drain:\n", "    - drain: {timeout: 2s}\n", file=PLAYBOOK)
    before, told = identities(lab), admin_state(lab)
    with lying_balancer(lab, served):
        result = served.deploy("--json", expect=3)
    assert "gpu1 was not drained in time (ranking_rest: up, " in result.stderr
    assert not any(event.get("task") == "activate" for event in served.events())
    assert (identities(lab), admin_state(lab)) == (before, told)
    serves(lab, 1)
    converges(lab, served, 2)


@pytest.mark.fault("F34")
def test_a_way_back_that_fails_is_told_and_keeps_the_host_out(lab: Lab, served: Project) -> None:
    """Where the old container has gone the host cannot go back: exit 4 with its name, it gets no request, nobody else
    is begun; once the reason is mended the next run brings it back.
    """
    served.want(version=2, image="fleetdeploy/standin:1.1")
    others = {host: identity(lab, host) for host in ("gpu2", "gpu3")}
    gone = json.dumps(["sh", "-c", f"docker rm --force {CONTAINER}.previous && exit 7"])
    line = "    - verify: {timeout: 5m, golden: true, min_healthy_time: 0s}"
    served.edit(line, f"    - run: {{argv: {gone}, changes: false}}\n{line}", file=PLAYBOOK)
    result = served.deploy("--json", expect=4)
    assert "is no longer on the host" in result.stderr
    assert result.last_line.startswith("FAILED: gpu1"), str(result)
    assert {host: identity(lab, host) for host in others} == others
    assert traffic(lab) == {"gpu1": {"DRAIN"}, "gpu2": {"UP"}, "gpu3": {"UP"}}
    assert drained(lab) == ["gpu1"]
    served.edit(f"    - run: {{argv: {gone}, changes: false}}\n{line}", line, file=PLAYBOOK)
    converges(lab, served, 2)
