"""What `sync` says of a run that is refused, the first time and every five minutes after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Project
from .test_sync import metrics
from .test_sync_news import third

pytestmark = pytest.mark.simulation


def refused(project: Project, *words: str, code: int = 5) -> str:
    """What such a `sync` says, some minutes after the one before."""
    project.world.clock.skip(300)
    result = project.run("sync", *words)
    assert (result.code, result.out, project.acts) == (code, "", [])
    return result.err


def test_a_refusal_is_told_once(project: Project) -> None:
    """What a person took back is in one mail: until it says something else, or the run was not refused in between."""
    project.run("sync")
    project.edit("versions: [1]", "versions: [2]")
    project.world.clock.skip(300)
    assert project.run("sync").code == 0
    project.world.clock.skip(300)
    assert project.run("rollback").code == 0
    first = refused(project)
    assert "was taken back" in first
    assert "--again" in first
    assert [refused(project) for _ in range(2)] == ["", ""]
    project.world.hosts["gpu2"].reachable = False
    other = refused(project)
    assert "gpu1" in other
    assert refused(project) == ""
    project.world.hosts["gpu2"].reachable = True
    assert refused(project) == first
    assert refused(project) == ""
    project.edit("versions: [2]", "versions: [1]")
    project.world.clock.skip(300)
    assert project.run("sync").code == 0
    project.edit("versions: [1]", "versions: [2]")
    assert refused(project) == first


def test_whatever_is_different_in_a_refusal_is_told(project: Project) -> None:
    """Of several lines not the first alone counts: another host below it is news."""
    project.run("sync")
    both = ["gpu1", "gpu2"]
    project.world.hosts[both[0]].reachable = False
    assert "gpu2" not in refused(project, "--require-all")
    project.world.hosts[both[1]].reachable = False
    assert all(name in refused(project, "--require-all") for name in both[:1])
    assert refused(project, "--require-all") == ""


def test_a_fleet_that_waits_for_a_person_says_so_once(project: Project) -> None:
    """Above --max-hosts it is exit 9 every time, and one mail; a release more or less is another command's matter."""
    assert "2 hosts would change" in refused(project, "--max-hosts", "1", code=9)
    assert refused(project, "--max-hosts", "1", code=9) == ""


@pytest.mark.parametrize("how", ["-v", "--json"])
def test_who_asks_is_told_of_a_refusal_again(project: Project, how: str) -> None:
    """A person who looks, and a program that reads, get the whole answer every time."""
    refused(project, "--max-hosts", "1", code=9)
    for _ in range(2):
        result = project.run("sync", "--max-hosts", "1", how)
        assert result.code == 9
        assert "2 hosts would change" in result.err + result.out


def test_another_command_is_told_of_the_same_refusal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one of two lines in a crontab said is not said for the other."""
    assert refused(project, "--max-hosts", "1", code=9)
    monkeypatch.setattr("sys.argv", ["fleetdeploy", "sync", "-l", "all"])
    assert refused(project, "--max-hosts", "1", "-l", "all", code=9)


def test_metrics_and_people_learn_of_a_refusal_that_is_not_printed(project: Project) -> None:
    """That it is no news on the terminal does not make it well: the attempt has its exit code."""
    path = str(project.path / "fd.prom")
    for number in range(2):
        err = refused(project, "--max-hosts", "1", "--textfile", path, code=9)
        assert bool(err) is (number == 0)
        assert metrics(Path(path))["last_attempt_exit_code sync"] == 9


def test_a_model_that_is_not_acceptable_is_told_every_time(project: Project) -> None:
    """Input that is wrong is in every mail until it is mended, also where only the hosts show that it is."""
    project.run("sync")
    (project.path / "models/ranker/1/more").write_text("other content under the same number")
    said = [refused(project, code=7) for _ in range(2)]
    assert said[0] == said[1]
    assert "gpu1" in said[0]


def test_why_a_host_is_away_stands_with_the_refusal_that_it_is_the_reason_of(project: Project) -> None:
    """A fleet that is stuck for want of one host says what is wrong with it: once, and in the first mail there is."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    project.world.hosts["gpu2"].reachable = False
    first = refused(project)
    assert "gpu2: unreachable: " in first
    assert "gpu2 out of service already, and max_unavailable is 1: gpu1 cannot be taken out as well" in first
    assert first.index("unreachable: ") < first.index("out of service already")
    assert first.count("unreachable: ") == 1
    assert refused(project) == ""


def test_a_host_that_goes_away_behind_a_refusal_is_news(project: Project) -> None:
    """What was said of the refusal is said in one line, and once for as long as the host is away."""
    assert refused(project, "--max-hosts", "1", code=9)
    project.edit("gpu[1:2]", "gpu[1:3]")
    third(project.world).reachable = False
    said = refused(project, "--max-hosts", "1", code=9)
    assert said.startswith("gpu3: unreachable: ")
    assert said.splitlines()[1] == "2 hosts would change, and at most 1 may without a person"
    assert refused(project, "--max-hosts", "1", code=9) == ""


def test_with_require_all_a_host_that_is_away_is_said_once(project: Project) -> None:
    """The refusal names it already."""
    project.world.hosts["gpu2"].reachable = False
    assert refused(project, "--require-all").count("unreachable: ") == 1
