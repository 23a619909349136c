"""A run that switches nothing over and was killed, as of ``prune``: carried on once, or settled by the same command."""

from __future__ import annotations

import pytest

from ..resumes import Shell

pytestmark = pytest.mark.simulation

PRUNE = ("prune", "-i", "inventory.yml", "--keep", "1", "-f", "1")
LATE = ("gpu2", "files.remove_versions")
"""gpu1 is done, as one host comes after the other."""


@pytest.fixture
def killed(shell: Shell) -> str:
    """The run that was killed: gpu1 has versions 2 and 3 left, gpu2 all of them."""
    assert shell("deploy").code == 0
    shell.project.edit("versions: [2]", "versions: [3]")
    assert shell("deploy").code == 0
    assert kept(shell) == [(1, 2, 3), (1, 2, 3)]
    shell.killed(LATE, *PRUNE)
    assert kept(shell) == [(2, 3), (1, 2, 3)]
    return shell.runs()[-1]


def kept(shell: Shell) -> list[tuple[int, ...]]:
    """The versions on each host."""
    return [tuple(sorted(host.services["ranking"].versions["ranker"])) for host in shell.world.hosts.values()]


def test_it_is_carried_on_once(shell: Shell, killed: str) -> None:
    """What it left is removed; then it is done with, and there is nothing to resume."""
    assert shell("resume").code == 0
    assert kept(shell) == [(2, 3), (2, 3)]
    carried_on = shell.runs()[-1]
    assert shell.events()[0]["data"]["resumes"] == [killed]
    again = shell("resume")
    assert (again.code, shell.acts) == (0, [])
    assert again.err.startswith(f"nothing to resume: run {carried_on} ended well: ")
    shown = shell.shown(carried_on)
    assert shown.out.splitlines()[1].endswith(f", carries on {killed}")
    assert shell.shown(carried_on, "--json").json["resumes"] == [killed]
    assert shell.shown(carried_on, "--json").json["verdict"] == "done"


def test_the_same_command_settles_it_and_one_of_fewer_hosts_does_not(shell: Shell, killed: str) -> None:
    """A later run that ended well has to have had all of its hosts, whatever the inventory said then."""
    assert shell(*PRUNE, "-l", "gpu1").code == 0
    shell.project.edit("gpu[1:2]", "gpu1")
    assert shell(*PRUNE).code == 0
    shell.project.edit("gpu1:", "gpu[1:2]:")
    shell.world.hosts["gpu2"].reachable = False
    assert shell("resume").code == 5
    shell.world.hosts["gpu2"].reachable = True
    assert kept(shell) == [(2, 3), (1, 2, 3)]
    assert shell(*PRUNE).code == 0
    assert kept(shell) == [(2, 3), (2, 3)]
    assert shell("resume").err.startswith("nothing to resume: run ")


def test_its_own_words_are_what_is_carried_on(shell: Shell, killed: str) -> None:
    """What serves by now is needed by now: the inventory may have changed since, as for any prune."""
    shell.project.edit("versions: [3]", "versions: [2]")
    assert shell("resume", killed).code == 0
    assert kept(shell) == [(2, 3), (2, 3)]


def test_a_part_of_a_deploy_is_carried_on_once(shell: Shell) -> None:
    """Also where its command cannot be told to be the same, as values of -e are kept nowhere."""
    shell.killed(("gpu2", "files.stage"), "deploy", "-t", "stage", "-e", "colour=red")
    assert shell("resume", "-e", "colour=red").code == 0
    again = shell("resume")
    assert (again.code, shell.acts) == (0, [])
    assert again.err.startswith("nothing to resume: run ")


def test_the_same_words_with_values_that_nobody_keeps_settle_nothing(shell: Shell) -> None:
    """Two commands with other values of -e may have been two things."""
    shell.killed(("gpu2", "files.stage"), "deploy", "-t", "stage", "-e", "colour=red")
    (killed,) = shell.runs()[-1:]
    assert shell("deploy", "-t", "stage", "-e", "colour=blue").code == 0
    assert f"resuming run {killed}" in shell("resume", "-e", "colour=red").err
