"""A command that is interrupted on a host which a killed one has left drained."""

from __future__ import annotations

import pytest
from simulation.model_server import Quality

from ..resumes import Shell

DRAIN = ("lb", "balancer.drain")


@pytest.fixture
def unproven(shell: Shell) -> Shell:
    """gpu1 is drained and has loaded version 2, which answers wrongly; its run was killed before it asked that."""
    for host in shell.world.hosts.values():
        host.quality["ranker", 2] = Quality.WRONG
    shell.killed(("gpu1", "serving.predict"), "deploy")
    assert shell.left_out() == ["gpu1"]
    return shell


def test_ctrl_c_while_resume_drains_exposes_nothing(unproven: Shell) -> None:
    """No request reaches what nobody has proven; the code is 130, and whose drain it still is can be read."""
    killed = unproven.runs()[-1]
    result = unproven.interrupted(DRAIN, "resume")
    assert (result.code, unproven.world.lost, unproven.left_out()) == (130, [], ["gpu1"])
    assert f"it stays drained as run {killed} left it: nobody has proven what is there" in result.out + result.err


def test_resume_after_that_brings_the_host_back(unproven: Shell) -> None:
    """What answers wrongly is found out, the host goes back to what it had proven, and gets its requests again."""
    assert unproven.interrupted(DRAIN, "resume").code == 130
    result = unproven("resume")
    assert result.last_line.startswith("FAILED: gpu1; gpu1 reverted, every host serves what it served before")
    assert (unproven.serves(), unproven.left_out()) == ({"gpu1": (1,), "gpu2": (1,)}, [])
    assert unproven.world.lost == []
