"""A release that failed: `sync` leaves it alone for a while, and longer each time; a person never has to wait."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from simulation.model_server import Quality
from simulation.wire import Killed, Wire

from fleetdeploy.rollout.foresight.setbacks import Setback

from .conftest import Project, Result
from .test_sync import metrics

pytestmark = pytest.mark.simulation


@pytest.fixture
def broken(project: Project) -> Project:
    """Version 1 is served; version 2 is wanted, and loads nowhere."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    for host in project.world.hosts.values():
        host.quality["ranker", 2] = Quality.UNLOADABLE
    return project


def mend(project: Project) -> None:
    """Version 2 loads from now on."""
    for host in project.world.hosts.values():
        host.quality.clear()


def sync(project: Project, *more: str, after_s: float = 0) -> Result:
    """A timer's run, so much later."""
    project.world.clock.skip(after_s)
    return project.run("sync", *more)


def tries(project: Project, *, every_s: float, for_s: float) -> list[float]:
    """When a timer that comes by so often tried it, in seconds since its first run."""
    began_s, tried = project.world.clock.now_s(), list[float]()
    while project.world.clock.now_s() < began_s + for_s:
        at_s = project.world.clock.now_s()
        if project.run("sync").code == 3:
            tried.append(at_s - began_s)
        project.world.clock.skip(max(0.0, every_s - (project.world.clock.now_s() - at_s)))
    return tried


def test_what_failed_is_told_once_and_left_alone(broken: Project) -> None:
    """The first run fails and says why; the next ones are silent, exit 10 and change nothing, until that is over."""
    assert sync(broken).code == 3
    for _ in range(3):
        quiet = sync(broken, after_s=120)
        assert (quiet.code, quiet.out, quiet.err) == (10, "", "")
        assert broken.acts == []
    assert sync(broken, after_s=300).code == 3


def test_each_time_it_waits_twice_as_long(broken: Project) -> None:
    """A timer that comes every five minutes tries it after ten minutes, then twenty, then forty."""
    times = tries(broken, every_s=300, for_s=3 * 3600)
    pauses = [later - sooner for sooner, later in pairwise(times)]
    assert len(pauses) >= 3
    assert 600 <= pauses[0] <= 900
    assert all(2 * before <= after <= 2 * before + 300 for before, after in pairwise(pauses))


def test_it_is_tried_by_the_same_day() -> None:
    """However long it has failed, six hours are the longest pause, and what the settings say if that is longer."""
    assert Setback("r", ("gpu1",), 1000.0).over_s(600) == 1600
    assert Setback("r", ("gpu1",), 1000.0, gap_s=4 * 3600).over_s(600) == 1000 + 6 * 3600
    assert Setback("r", ("gpu1",), 1000.0, gap_s=4 * 3600).over_s(86400) == 1000 + 86400


def test_who_asks_is_told_until_when_and_why(broken: Project) -> None:
    """With -v it names host, run and time, which is that at which it is tried; metrics and --json tell of the wait."""
    run = re.search(r"\d{8}T\d{6}Z-\w+", sync(broken).err)
    told = sync(broken, "-v", after_s=60)
    assert told.code == 10
    found = re.search(
        r"waiting until (.+)Z, as this release failed on (\w+) in run (\S+): 2 hosts would change", told.err
    )
    assert found, told.err
    assert run, "the run that failed says which it was"
    assert found[3] == run[0]
    result = sync(broken, "--json", "--textfile", str(broken.path / "fd.prom"))
    assert result.json["exit_code"] == 10
    assert metrics(broken.path / "fd.prom")["last_attempt_exit_code sync"] == 10
    until_s = datetime.fromisoformat(found[1]).replace(tzinfo=timezone.utc).timestamp()
    assert sync(broken, after_s=until_s - broken.world.clock.now_s() - 5).code == 10
    assert sync(broken, after_s=10).code == 3


@pytest.mark.parametrize("way", ["deploy", "--retry-after", "settings"])
def test_nobody_has_to_wait(broken: Project, way: str) -> None:
    """A person's deploy, --retry-after 0 and the settings try it at once."""
    assert sync(broken).code == 3
    mend(broken)
    if way == "settings":
        (broken.path / "fleetdeploy.yml").write_text("sync: {retry_after: 0}\n")
    result = (
        broken.run("deploy") if way == "deploy" else sync(broken, *(["--retry-after", "0"] if way[0] == "-" else []))
    )
    assert result.last_line == "OK: 2 of 2 hosts changed"


def test_another_release_is_not_held_back(broken: Project) -> None:
    """Who changes the inventory has what it says now at the next run."""
    assert sync(broken).code == 3
    broken.edit("versions: [2]", "versions: [3]")
    assert sync(broken, after_s=60).last_line == "OK: 2 of 2 hosts changed"


def test_a_person_who_failed_is_a_failure_too(broken: Project) -> None:
    """The timer does not try at once what a deploy has just failed with."""
    assert broken.run("deploy").code == 3
    assert sync(broken, after_s=60).code == 10


def test_what_went_well_since_then_is_forgotten(broken: Project) -> None:
    """A release that failed once, and was rolled out later, is nothing to wait for."""
    assert sync(broken).code == 3
    mend(broken)
    assert sync(broken, "--retry-after", "0", after_s=60).code == 0
    broken.edit("versions: [2]", "versions: [1]")
    assert sync(broken, after_s=60).code == 0
    broken.edit("versions: [1]", "versions: [2]")
    assert sync(broken, after_s=60).last_line == "OK: 2 of 2 hosts changed"


def test_a_drained_host_comes_back_all_the_same(broken: Project) -> None:
    """A host that is only to be put back is put back, and the last line tells of the ones that wait."""
    assert sync(broken).code == 3
    (broken.path / "host_vars").mkdir()
    (broken.path / "host_vars/gpu2.yml").write_text("services: {ranking: {models: {ranker: {versions: [1]}}}}\n")
    broken.world.take_out("gpu2")
    broken.world.hosts["gpu2"].directory("ranking").drained_by = "20251231T000000Z-dead"
    result = sync(broken, after_s=60)
    assert result.code == 10
    assert re.fullmatch(r"WAITING until .+Z: gpu2 done, 1 more would change", result.last_line), result.err
    assert broken.world.in_service("gpu2")


def test_what_a_killed_run_left_half_done_is_finished(broken: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person's deploy after the failures, killed with a host drained, is carried on at the next run."""
    assert sync(broken).code == 3
    mend(broken)
    call = Wire.call

    def ended(wire: Wire, host: str, method: str, act: Any, **options: Any) -> Any:
        if method == "serving.reload":
            raise Killed
        return call(wire, host, method, act, **options)

    broken.world.clock.skip(60)
    with monkeypatch.context() as patched:
        patched.setattr(Wire, "call", ended)
        with pytest.raises(Killed):
            broken.run("deploy")
    assert not all(map(broken.world.in_service, broken.world.hosts))
    assert sync(broken, after_s=120).code == 0
    assert {item.versions for item in broken.world.serves_all().values()} == {(("ranker", (2,)),)}
    assert all(map(broken.world.in_service, broken.world.hosts))


def test_a_repair_of_something_else_does_not_wait(broken: Project) -> None:
    """A host of another release whose container has ended is repaired while the one that failed waits."""
    assert sync(broken).code == 3
    (broken.path / "host_vars").mkdir()
    (broken.path / "host_vars/gpu2.yml").write_text("services: {ranking: {models: {ranker: {versions: [1]}}}}\n")
    for container in broken.world.hosts["gpu2"].containers.values():
        container.process, container.status = None, "exited"
    result = sync(broken, after_s=60)
    assert result.code == 10
    assert re.fullmatch(r"WAITING until .+Z: gpu2 done, 1 more would change", result.last_line), result.err
    assert broken.world.in_service("gpu2")
    assert not any(act.startswith("gpu1 serving") for act in broken.acts)


def test_a_host_that_is_out_does_not_wait_for_what_failed_elsewhere(broken: Project) -> None:
    """One that serves nothing has nothing to lose by the release; it waits as well once it has failed there."""
    assert sync(broken).code == 3
    for container in broken.world.hosts["gpu2"].containers.values():
        container.process, container.status = None, "exited"
    broken.world.hosts["gpu2"].quality.clear()
    result = sync(broken, after_s=60)
    assert result.code == 10
    assert "gpu2 done, 1 more would change" in result.last_line
    assert broken.world.serves("gpu2").versions == (("ranker", (2,)),)


def test_a_clock_that_was_set_back_holds_nothing(broken: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that ends in the future is no reason to wait until then."""
    assert sync(broken).code == 3
    mend(broken)
    clock, now_s = broken.world.clock, broken.world.clock.now_s
    monkeypatch.setattr(clock, "now_s", lambda: now_s() - 30 * 86400)
    assert sync(broken).last_line == "OK: 2 of 2 hosts changed"


def test_a_host_that_was_lost_is_no_failure_of_the_release(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who could not be reached any more in the middle of it is tried again at the next run."""
    assert project.run("deploy").code == 0
    project.edit("versions: [1]", "versions: [2]")
    world, call = project.world, Wire.call

    def lost(wire: Wire, host: str, method: str, act: Any, **options: Any) -> Any:
        if host == "gpu1" and method == "serving.reload":
            world.hosts["gpu1"].reachable = False
        return call(wire, host, method, act, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Wire, "call", lost)
        assert sync(project).code == 4
    world.hosts["gpu1"].reachable = True
    assert sync(project, after_s=120).last_line == "OK: 2 of 2 hosts changed"


def test_journals_that_cannot_be_read_hold_nobody_back(broken: Project) -> None:
    """Damage in one is as if it were not there."""
    assert sync(broken).code == 3
    journals = sorted((broken.path / "state/runs").glob("*/events.jsonl"), key=lambda path: path.parent.name)
    _spoil(journals[-1])
    assert sync(broken, after_s=60).code == 3


def _spoil(journal: Path) -> None:
    lines = journal.read_text().splitlines()
    first = json.loads(lines[0])
    lines[0] = json.dumps({**first, "run": "another"})
    journal.write_text("\n".join(lines) + "\n")
