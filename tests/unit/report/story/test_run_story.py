"""What a run's events tell: of whole rollouts on the simulated fleet, and of journals of other versions."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from rollout.fleets import NEW_IMAGE, V1, V2, new, settled, spoil
from simulation.controller import Run, deploy
from simulation.model_server import Quality

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.report.story.parts import Copy, Phase
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.rollout.journal import record
from fleetdeploy.rollout.journal.reading import Records
from fleetdeploy.rollout.journal.writing import Journal

THREE = ("gpu1", "gpu2", "gpu3")


def told(run: Run) -> RunStory:
    return RunStory.of(run.events)


def test_a_rollout_is_told_host_by_host() -> None:
    """Every host has its steps in order with their times, the wave it was in, and its outcome."""
    story = told(deploy(settled(*THREE), V2))
    assert {name: host.state for name, host in story.hosts.items()} == dict.fromkeys(THREE, "changed")
    for host in story.hosts.values():
        tasks = [span.task for span in host.spans if span.play == host.play]
        assert tasks == ["drain", "activate", "verify", "undrain"]
        assert all(span.ended_s is not None and span.ended_s >= span.started_s for span in host.spans)
        assert host.phase is Phase.DONE
        assert host.at is None
    assert [names for _, names in story.plays[1].waves] == [(name,) for name in THREE]
    assert (story.counts()["changed"], story.failures) == (3, ())


def test_capacity_is_told_whenever_it_changes() -> None:
    """From sample to sample other hosts are out, never fewer than the floor serve, and at the end all do."""
    story = told(deploy(settled(*THREE), V2))
    outs = [sample.out for sample in story.capacity]
    assert outs[0] == outs[-1] == ()
    assert set(THREE) <= {name for out in outs for name in out}
    assert all(before != after for before, after in itertools.pairwise(outs))
    assert all(sample.in_service >= sample.floor == 2 for sample in story.capacity)
    assert story.plays[1].may_be_out == 1
    assert story.plays[1].may_fail == 0


def test_new_hosts_are_not_in_service_before_they_serve() -> None:
    """A first deploy begins with nothing in service and needs nothing to stay there."""
    story = told(deploy(new(*THREE), V1))
    assert (story.capacity[0].in_service, story.capacity[0].floor) == (0, 0)
    assert (story.capacity[-1].in_service, story.capacity[-1].out) == (3, ())


def test_a_failure_has_its_reason_and_its_way_back() -> None:
    """The host that failed tells why and how it went back, and counts against the budget; the run says it stopped."""
    world = settled(*THREE)
    spoil(world, 2, Quality.WRONG)
    story = told(deploy(world, V2))
    (failed,) = story.failures
    host = story.hosts[failed]
    assert host.state == "reverted"
    assert any(span.undo for span in host.spans)
    assert any(span.failed for span in host.spans)
    assert host.troubles
    assert host.reason
    assert story.stopped
    assert any(note.kind == "rollout_stopped" for note in story.notes)


@pytest.mark.parametrize("wanted", [V2, NEW_IMAGE])
def test_at_every_moment_a_story_may_be_asked(wanted: object) -> None:
    """However far it has been told, a host is at most at one act, and nothing that was told is taken back."""
    events = deploy(settled(*THREE), wanted).events  # type: ignore[arg-type]
    story = RunStory()
    seen = 0
    for event in events:
        story.tell(event)
        for host in story.hosts.values():
            assert sum(span.ended_s is None for span in host.spans) <= 1
            assert (host.phase is Phase.DONE) == (host.finished_s is not None and host.at is None) or host.spans
        spans = sum(len(host.spans) for host in story.hosts.values())
        assert spans >= seen
        seen = spans


def test_an_old_run_is_told_as_it_was(tmp_path: Path) -> None:
    """Told again from its journal it is the same story."""
    run = deploy(settled(*THREE), V2)
    journal = Journal(tmp_path / record.JOURNAL, own=True)
    for event in run.events:
        journal(event)
    journal.close()
    records = Records(tmp_path / record.JOURNAL, run=run.events[0].run)
    assert RunStory.of(records) == told(run)


def test_a_copy_says_how_long_it_goes_on() -> None:
    """Bytes and rate give the time that is left; without a rate, or with one of the first kibibytes alone, nobody can
    tell. The step's end is the copy's.
    """
    story = RunStory()

    def tell(kind: Kind, **data: object) -> None:
        story.tell(Event(kind, 1.0, "r", host="gpu1", task="stage", data=data))

    tell(Kind.STEP_STARTED)
    mib = 1024 * 1024
    tell(Kind.COPY_PROGRESSED, model="m", version=2, done_bytes=mib - 1, total_bytes=100 * mib, bytes_per_s=22.0)
    host = story.hosts["gpu1"]
    assert host.copy == Copy("m", 2, mib - 1, 100 * mib)
    assert host.copy.left_s is None
    tell(Kind.COPY_PROGRESSED, model="m", version=2, done_bytes=25 * mib, total_bytes=100 * mib, bytes_per_s=5.0 * mib)
    assert host.copy == Copy("m", 2, 25 * mib, 100 * mib, 5.0 * mib)
    assert host.copy.left_s == 15.0
    tell(Kind.STEP_FINISHED)
    assert host.copy is None


def test_what_another_version_wrote_is_passed_over() -> None:
    """Kinds that nobody knows and data of other types neither stop the telling nor change what was told."""
    story = RunStory()
    strange: list[tuple[str, dict[str, object]]] = [
        ("from_tomorrow", {}),
        (Kind.PLAN_MADE, {"changed": 7, "expected_s": "long"}),
        (Kind.CAPACITY_CHANGED, {"hosts": "3", "floor": None}),
        (Kind.TRAFFIC_SAMPLED, {"pools": {"a": 3, "b": {"requests": True}}, "services": 4}),
        (Kind.TRAFFIC_SAMPLED, {"services": {"c": {"requests": 1}}}),
        (Kind.WAVE_STARTED, {"waves": "x"}),
        (Kind.RUN_FINISHED, {"exit_code": "0"}),
    ]
    for kind, data in strange:
        story.tell(record.Record(1, kind, 5.0, "r", data=data))
    assert (story.changing, story.expected_s, story.capacity, story.traffic) == ((), None, [], [])
    assert (story.ended_s, story.exit_code) == (5.0, None)


def test_traffic_is_told_pool_by_pool() -> None:
    """What a balancer counted since the sample before, with the time of an answer where it tells one."""
    pools = {"rest": {"requests": 10, "errors": 1, "answer_s": 0.5}, "grpc": {"requests": 3, "errors": 0}}
    story = RunStory.of([Event(Kind.TRAFFIC_SAMPLED, 2.0, "r", data={"pools": pools})])
    assert [(item.pool, item.requests, item.errors, item.answer_s) for item in story.traffic] == [
        ("rest", 10, 1, 0.5),
        ("grpc", 3, 0, None),
    ]


def test_traffic_of_servers_is_told_apart() -> None:
    """A service and a pool may have one name: each sample knows who counted."""
    counted = {"ranking": {"requests": 10, "errors": 0, "seconds": 5.0}}
    data = {"pools": counted, "services": counted}
    story = RunStory.of([Event(Kind.TRAFFIC_SAMPLED, 2.0, "r", data=data)])
    assert [(item.pool, item.by_servers) for item in story.traffic] == [("ranking", False), ("ranking", True)]


def test_the_runs_last_word_about_a_host_is_the_storys() -> None:
    """A host that was changed in one play and only looked at in the next is changed; the end says it for good."""
    story = RunStory()
    for state in ("changed", "ok"):
        story.tell(Event(Kind.HOST_FINISHED, 1.0, "r", host="gpu1", data={"state": state}))
    assert story.hosts["gpu1"].state == "changed"
    said = {"state": "failed", "reason": "no", "hint": "mend it", "mixed": True, "steps_ok": 2, "steps_changed": 3}
    story.tell(Event(Kind.RUN_FINISHED, 2.0, "r", message="FAILED", data={"exit_code": 4, "hosts": {"gpu1": said}}))
    host = story.hosts["gpu1"]
    assert (host.state, host.reason, host.hint, host.mixed, host.steps_ok, host.steps_changed) == tuple(said.values())
    assert (story.exit_code, story.last_line) == (4, "FAILED")
