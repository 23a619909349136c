"""A ``sync`` that was killed is carried on as it was begun, whatever the settings say by now."""

from __future__ import annotations

import pytest

from ..resumes import MIDDLE, Shell, converged

pytestmark = pytest.mark.simulation

SYNC = ("sync", "-i", "inventory.yml")


def settings(shell: Shell, text: str) -> None:
    (shell.path / "fleetdeploy.yml").write_text(text)


@pytest.mark.parametrize("now", ["sync: {limit: gpu1}\n", "sync: {playbook: playbooks/looks.yml}\n"])
def test_settings_of_now_do_not_narrow_what_was_begun(shell: Shell, now: str) -> None:
    """The host that was in the middle is finished, and put back into its balancer."""
    (shell.path / "playbooks" / "looks.yml").write_text("- hosts: gpu\n  tasks: [preflight, stage]\n")
    shell.killed(MIDDLE, *SYNC)
    assert shell.left_out() == ["gpu2"]
    settings(shell, now)
    assert shell("resume").code == 0
    converged(shell)


@pytest.mark.parametrize("now", ["", "sync: {limit: gpu2}\n"])
def test_what_settings_said_then_is_what_is_carried_on(shell: Shell, now: str) -> None:
    """A run that was for one host stays for that one, and its command says so."""
    settings(shell, "sync: {limit: gpu1, playbook: playbooks/deploy.yml}\n")
    shell.killed(("gpu1", "serving.reload"), *SYNC)
    assert shell.left_out() == ["gpu1"]
    settings(shell, now)
    resumed = shell("resume", "-v")
    assert resumed.code == 0, resumed
    assert (shell.serves(), shell.left_out()) == ({"gpu1": (2,), "gpu2": (1,)}, [])
    (shown, *_) = shell.shown(shell.runs()[-1]).out.splitlines()
    assert "fleetdeploy sync playbooks/deploy.yml --limit gpu1 --state-dir state" in shown
