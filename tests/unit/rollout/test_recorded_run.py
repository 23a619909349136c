"""What can be read of a run from its directory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from simulation.controller import deploy
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.rollout.journal import open_run, reading
from fleetdeploy.rollout.journal.record import JOURNAL, line_of
from fleetdeploy.rollout.journal.recorded_run import RecordedRun, RunState

from .fleets import V1, V2, new, settled, spoil
from .stories import END, RUN, STORY, record, write


def test_an_unfinished_run_tells_how_far_each_host_came(tmp_path: Path) -> None:
    """For each host the last step that is done and the one that nobody knows the end of, with play, wave and times."""
    run = RecordedRun.read(write(tmp_path, *STORY))
    assert (run.id, run.state, run.exit_code, run.last_line, run.records) == (RUN, RunState.UNFINISHED, None, "", 13)
    assert (run.command, run.started["hosts"]) == ("fleetdeploy deploy", ["gpu1", "gpu2", "gpu3"])
    assert (run.started_s, run.ended_s, run.plays, run.torn, run.damage) == (
        100.0,
        112.0,
        ("Switch over",),
        False,
        None,
    )
    one, two, three = run.hosts.values()
    assert one.finished is not None
    assert (one.finished.task, one.finished.service, one.finished.wave) == ("activate", "ranking", 1)
    assert (one.finished.n, one.finished.started_s, one.finished.ended_s) == (9, 108.0, 109.0)
    assert (one.state, one.begun, one.first_s, one.last_s) == ("changed", None, 101.0, 110.0)
    assert two.begun is not None
    assert (two.begun.task, two.begun.play, two.begun.wave, two.begun.ended_s) == ("drain", "Switch over", 2, None)
    assert (two.finished, two.state) == (None, "")
    assert (three.name, three.begun, three.first_s) == ("gpu3", None, None)


def test_a_finished_run_has_its_exit_code_and_its_last_line(tmp_path: Path) -> None:
    """They are the ones that the command ended with."""
    run = RecordedRun.read(write(tmp_path, *STORY, END))
    assert (run.state, run.exit_code, run.last_line) == (RunState.FINISHED, 0, "OK: 1 of 3 hosts changed")
    run.check_whole()


def test_a_failure_and_the_way_back_are_told(tmp_path: Path) -> None:
    """The step that failed and why, and of what is taken back what was done last."""
    back = (
        record(Kind.STEP_FAILED, "gpu2", "drain", "the balancer said no", service="ranking"),
        record(Kind.REVERT_STARTED, "gpu2", message="the balancer said no"),
        record(Kind.STEP_STARTED, "gpu2", "drain", "undo drain it", undo=True),
    )
    two = RecordedRun.read(write(tmp_path, *STORY, *back)).hosts["gpu2"]
    assert two.failed is not None
    assert two.begun is not None
    assert (two.failed.task, two.failed.failed, two.failed.n) == ("drain", "the balancer said no", 13)
    assert (two.begun.undo, two.begun.task, two.returning) == (True, "drain", True)
    ended = record(Kind.STEP_FINISHED, "gpu2", "drain", "undo drain it", undo=True)
    over = record(Kind.HOST_FINISHED, "gpu2", message="the balancer said no", state="reverted")
    two = RecordedRun.read(write(tmp_path / "2", *STORY, *back, ended, over)).hosts["gpu2"]
    assert two.finished is not None
    assert (two.finished.undo, two.begun, two.state, two.returning) == (True, None, "reverted", False)


def test_kinds_of_a_newer_version_are_kept(tmp_path: Path) -> None:
    """What only a newer version knows is no damage, and everything around it is understood."""
    directory = write(tmp_path, *STORY)
    path = directory / JOURNAL
    last = json.loads(path.read_bytes().splitlines()[-1])
    strange = Event("lease_renewed", 1.0, RUN, "gpu9")  # type: ignore[arg-type]
    line, shown = line_of(strange, n=last["n"] + 1, prev=last["hash"])
    end, _ = line_of(END, n=last["n"] + 2, prev=shown)
    path.write_bytes(path.read_bytes() + line + end)
    run = RecordedRun.read(directory)
    assert (run.kinds, run.state, run.damage) == ({"lease_renewed"}, RunState.FINISHED, None)
    assert [item.kind for item in reading.Records(path, run=RUN)][-2:] == ["lease_renewed", "run_finished"]


@pytest.mark.simulation
@pytest.mark.parametrize("wanted", [V1, V2])
def test_a_run_that_was_killed_anywhere_can_be_read(tmp_path: Path, wanted: object) -> None:
    """Of every real run, also a killed one, each act on a host is known to be done, to have failed or to be open."""
    start = new if wanted is V1 else settled
    for at in (1, 15, 25, 35, 500):
        world = start("gpu1", "gpu2")
        spoil(world, 2, Quality.NO_VARIABLES)
        run = f"run-T{world.clock.monotonic_s():08.0f}"
        journal = open_run(tmp_path / str(at), run)
        try:
            deploy(world, wanted, trouble=Trouble("kill", at), sinks=[journal])  # type: ignore[arg-type]
        except Killed:
            assert at < 500
        journal.close()
        found = RecordedRun.read(journal.path.parent)
        events = [json.loads(line) for line in journal.path.read_bytes().splitlines()]
        assert (found.records, found.damage, found.state) == (len(events), None, RunState.UNFINISHED)
        for name, host in found.hosts.items():
            told = {"step_started", "step_finished", "step_failed"}
            acts = [event for event in events if event.get("host") == name and event["kind"] in told]
            open_now = bool(acts) and acts[-1]["kind"] == "step_started"
            assert (host.begun is not None) == open_now, (at, name, acts)
