"""``resume`` in a freeze window."""

from __future__ import annotations

import pytest

from ..resumes import MIDDLE, Shell, converged

pytestmark = pytest.mark.simulation


def test_it_waits_for_the_end_of_the_window(shell: Shell) -> None:
    """A deploy that was killed is not carried on in a window, unless somebody says why: now, whatever was said then."""
    shell.killed(MIDDLE, "deploy", "--during-freeze", "then")
    (shell.path / "fleetdeploy.yml").write_text('freeze: [{when: "0 0 * * thu", for: 6h, zone: UTC}]\n')
    refused = shell("resume")
    assert refused.code == 5
    assert "frozen until Thu 2026-01-01 06:00 UTC" in refused.err
    assert shell.acts == []
    assert shell("resume", "--during-freeze", "half is worse").code == 0
    assert shell.events()[0]["data"]["during_freeze"] == "half is worse"
    converged(shell)


def test_a_rollback_is_carried_on(shell: Shell) -> None:
    """Nobody is kept from going back, neither at once nor with a second try."""
    assert shell("deploy").code == 0
    (shell.path / "fleetdeploy.yml").write_text('freeze: [{when: "0 0 * * thu", for: 6h, zone: UTC}]\n')
    shell.killed(MIDDLE, "rollback")
    assert shell("resume").code == 0


def test_a_sync_is_carried_on(shell: Shell) -> None:
    """It is a run like a deploy, and does not wait for its splay again."""
    shell.own["sync"] = shell.own["deploy"]
    shell.killed(MIDDLE, "sync", "--splay", "1h")
    before = shell.world.clock.now_s()
    assert shell("resume").code == 0
    assert shell.world.clock.now_s() - before < 600
    converged(shell)
