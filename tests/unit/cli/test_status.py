"""``status``: what is served, what differs, what cannot be known, and the exit codes for each."""

from __future__ import annotations

from typing import Any

import pytest
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
    assert set(service["container"]) == {"name", "status", "image_id", "restarts"}
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
