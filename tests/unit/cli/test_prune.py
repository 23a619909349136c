"""``prune``: from the command line to the exit code."""

from __future__ import annotations

from pathlib import Path

from .conftest import Project


def test_prune_removes_what_nothing_needs_and_shows_it_first(project: Project) -> None:
    """With -C nothing changes; what serves and the last good release stay."""
    for number in (1, 2, 3):
        if number > 1:
            project.edit(f"versions: [{number - 1}]", f"versions: [{number}]")
        assert project.run("deploy", "-y").code == 0
    shown = project.run("prune", "--keep", "1", "-C")
    assert (shown.code, project.acts) == (0, [])
    assert "ranker/1" in shown.out
    done = project.run("prune", "--keep", "1")
    assert done.code == 0, done.err
    assert {act for act in project.acts if "remove_versions" in act} == {
        "gpu1 files.remove_versions",
        "gpu2 files.remove_versions",
    }
    assert [sorted(project.world.hosts[name].services["ranking"].versions["ranker"]) for name in ("gpu1", "gpu2")] == [
        [2, 3],
        [2, 3],
    ]
    assert "2 of 2 hosts pruned" in done.last_line
    assert "nothing to do" in project.run("prune", "--keep", "1").last_line


def test_prune_is_not_held_up_by_what_only_matters_when_something_is_activated(project: Project) -> None:
    """An inventory that wants something else does not keep old versions on the hosts."""
    assert project.run("deploy", "-y").code == 0
    project.edit("ranker: {source: models/ranker, versions: [1]", "ranker: {source: models/ranker, versions: [2]")
    done = project.run("prune")
    assert done.code == 0, done.err
    assert not [act for act in project.acts if "remove_versions" in act]
    assert Path(project.path / "state/runs").is_dir()
