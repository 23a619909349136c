"""What can be read of a run from its directory, whatever has become of it."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.controller import deploy
from simulation.model_server import Quality
from simulation.wire import Killed, Trouble

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.errors import InputError
from fleetdeploy.rollout.journal import Journal, open_run, reading
from fleetdeploy.rollout.journal.record import JOURNAL, Record, _hash, line_of
from fleetdeploy.rollout.journal.recorded_run import RecordedRun, RecordedRuns, RunState

from .fleets import V1, V2, new, settled, spoil

RUN = "20260101T000000Z-ab12"


def record(kind: Kind, host: str = "", task: str = "", message: str = "", **data: object) -> Event:
    return Event(kind, 100.0, RUN, host, task, message, data)


STORY = (
    record(Kind.RUN_STARTED, message="fleetdeploy deploy", hosts=["gpu1", "gpu2", "gpu3"]),
    record(Kind.HOST_OBSERVED, "gpu1"),
    record(Kind.PLAN_MADE, changed=["gpu1", "gpu2"]),
    record(Kind.PLAY_STARTED, message="Switch over", hosts=["gpu1", "gpu2"]),
    record(Kind.WAVE_STARTED, wave=1, waves=2, hosts=["gpu1"]),
    record(Kind.STEP_STARTED, "gpu1", "drain", "drain it", service="ranking"),
    record(Kind.STEP_PROGRESS, "gpu1", "drain", "one request left"),
    record(Kind.STEP_FINISHED, "gpu1", "drain", "drain it", service="ranking", seconds=2.0),
    record(Kind.STEP_STARTED, "gpu1", "activate", "reload", service="ranking"),
    record(Kind.STEP_FINISHED, "gpu1", "activate", "reload", service="ranking"),
    record(Kind.HOST_FINISHED, "gpu1", state="changed"),
    record(Kind.WAVE_STARTED, wave=2, waves=2, hosts=["gpu2"]),
    record(Kind.STEP_STARTED, "gpu2", "drain", "drain it", service="ranking"),
)
END = record(Kind.RUN_FINISHED, message="OK: 1 of 3 hosts changed", exit_code=0)


def write(runs: Path, *events: Event, run: str = RUN) -> Path:
    """The directory of a run with these events."""
    journal = open_run(runs, run)
    for at, event in enumerate(events):
        journal(Event(event.kind, 100.0 + at, run, event.host, event.task, event.message, event.data))
    journal.close()
    return journal.path.parent


@cache
def written() -> bytes:
    """The journal of the story and its end."""
    with tempfile.TemporaryDirectory() as place:
        return (write(Path(place), *STORY, END) / JOURNAL).read_bytes()


@contextmanager
def holding(content: bytes) -> Iterator[Path]:
    """The directory of a run whose journal has this content."""
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place) / RUN
        directory.mkdir()
        (directory / JOURNAL).write_bytes(content)
        yield directory


def read(content: bytes) -> RecordedRun:
    with holding(content) as directory:
        return RecordedRun.read(directory)


def believed(content: bytes) -> list[Record]:
    with holding(content) as directory:
        return list(reading.Records(directory / JOURNAL, run=RUN))


# What a run was


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
        run = f"run-T{world.clock.monotonic_s():.0f}"
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


# What has become of it


def test_every_truncation_leaves_what_was_whole() -> None:
    """Cut at any byte: every whole line is used, a part of one is torn and not used, and nothing is damaged."""
    content = written()
    with holding(content) as directory:
        for at in reversed(range(len(content) + 1)):
            os.truncate(directory / JOURNAL, at)
            run = RecordedRun.read(directory)
            assert run.damage is None
            assert run.records == content[:at].count(b"\n")
            assert run.torn == (not content[:at].endswith(b"\n") and at > 0)


def test_no_record_after_a_flipped_bit_is_believed() -> None:
    """Any byte that is another one: what stands before it is as it was, what it is in and what follows is not used."""
    content = written()
    whole = believed(content)
    with holding(content) as directory, (directory / JOURNAL).open("r+b", buffering=0) as file:
        for at in range(len(content)):
            os.pwrite(file.fileno(), bytes([content[at] ^ 1 << at % 8]), at)
            records = reading.Records(directory / JOURNAL, run=RUN)
            before = content[:at].count(b"\n")
            assert list(records) == whole[:before], at
            if records.torn:
                assert at == len(content) - 1
            else:
                assert records.damage is not None
                assert records.damage.message.startswith(f"damaged at record {before + 1}: ")
            os.pwrite(file.fileno(), content[at : at + 1], at)


def test_what_damage_hides_is_not_known() -> None:
    """A run whose journal is damaged is neither finished nor unfinished, unless its end stands before the damage."""
    content = written()
    assert read(content.replace(b"gpu3", b"gpu4", 1)).state is RunState.UNKNOWN
    assert read(content[:-2] + b"x\n").state is RunState.UNKNOWN
    assert read(content + b"x\n").state is RunState.FINISHED


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda lines: [*lines[:4], *lines[5:]], "damaged at record 5: it does not follow"),
        (lambda lines: [*lines[:4], lines[5], lines[4], *lines[6:]], "damaged at record 5: it does not follow"),
        (lambda lines: [*lines[:5], *lines[4:]], "damaged at record 6: it does not follow"),
        (lambda lines: [*lines[:4], b"", *lines[4:]], "damaged at record 5: its hash"),
        (lambda lines: [*lines[:4], b"{}", *lines[4:]], "damaged at record 5: its hash"),
        (lambda lines: lines[4:], "damaged at record 1: it does not follow"),
        (lambda lines: [*lines, *lines], "damaged at record 15: it does not follow"),
        (lambda lines: [lines[0] + b" ", *lines[1:]], "damaged at record 1: its hash"),
        (lambda lines: [lines[0] + b"\r", *lines[1:]], "damaged at record 1: its hash"),
    ],
)
def test_lines_that_were_moved_are_damage(change: Callable[[list[bytes]], list[bytes]], told: str) -> None:
    """A line that was taken out, put in, doubled or changed places is found where it should have been."""
    run = read(b"".join(line + b"\n" for line in change(written().splitlines())))
    assert run.damage is not None
    assert run.damage.message.startswith(told)
    assert f"records 1 to {run.records} are used" in run.damage.hint or run.records == 0
    with pytest.raises(InputError) as caught:
        run.check_whole()
    assert caught.value.message.startswith(told)
    assert caught.value.where.endswith(JOURNAL)
    assert caught.value.hint


@pytest.mark.parametrize(
    "fields",
    [
        '"n": 2, "kind": "x", "run": "{run}", "time_s": 1', '"n": true, "kind": "x", "run": "{run}", "time_s": 1',
        '"n": 1.0, "kind": "x", "run": "{run}", "time_s": 1',
        '"n": 1, "kind": 3', '"n": 1, "kind": ""', '"n": 1, "kind": "x", "run": []',
        '"n": 1, "kind": "x", "run": "20260102"', '"n": 1, "kind": "x", "run": "{run}", "time_s": "now"',
        '"n": 1, "kind": "x", "run": "{run}", "time_s": true', '"n": 1, "kind": "x", "run": "{run}", "time_s": NaN',
        '"n": 1, "kind": "x", "run": "{run}", "time_s": 1e999', '"n": 1, "kind": "x", "run": "{run}"',
        '"n": 1, "kind": "x", "run": "{run}", "time_s": 1, "data": []', '"n": 1' + '"x": [' * 5000,
        '"n": 1, "kind": "x", "run": "{run}", "time_s": 1, "host": null', f'"n": {"9" * 5000}',
    ],
)  # fmt: skip
def test_a_line_that_somebody_hashed_is_still_held_to_its_shape(fields: str) -> None:
    """A right hash makes no record of what has no number, kind, run or time of ours."""
    body = ("{" + fields.replace("{run}", RUN) + ', "prev": ""').encode()
    run = read(body + f', "hash": "{_hash(body)}"}}\n'.encode())
    assert run.damage is not None
    assert run.records == 0


STRANGE = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=st.lists(
        st.tuples(
            st.sampled_from([*Kind, "newer"]), st.sampled_from(["", "gpu1", "gpu2"]), st.sampled_from(["", "drain"]),
            st.dictionaries(
                st.sampled_from(["hosts", "wave", "exit_code", "state", "service", "undo", "seconds"]), STRANGE
            ),
        ),
        max_size=12,
    )
)  # fmt: skip
def test_no_story_is_an_error(lines: list[tuple[Kind, str, str, dict[str, object]]]) -> None:
    """Records in any order, with any data, make a run; all of them are counted."""
    content, prev = b"", ""
    for n, (kind, host, task, data) in enumerate(lines, 1):
        line, prev = line_of(Event(kind, 1.0, RUN, host, task, "", data), n=n, prev=prev)
        content += line
    run = read(content)
    assert (run.records, run.damage, run.torn) == (len(lines), None, False)
    assert {host for _, host, _, _ in lines if host} <= set(run.hosts) | {""} or any(
        kind is Kind.RUN_STARTED for kind, *_ in lines
    )


@settings(max_examples=200)
@given(
    st.binary(max_size=400)
    | st.builds(
        lambda at, to, put: written()[:at] + put + written()[to:],
        st.integers(0, 4000), st.integers(0, 4000), st.binary(max_size=9),
    )
)  # fmt: skip
def test_whatever_bytes_are_there_only_the_beginning_is_believed(content: bytes) -> None:
    """Of any bytes at all, what is used is a beginning of what was written, and no error comes of them."""
    found = believed(content)
    assert found == believed(written())[: len(found)]
    assert read(content).records == len(found)


def test_a_journal_of_no_bytes_is_a_run_that_did_nothing() -> None:
    """A run that was killed before its first record is unfinished, and neither torn nor damaged."""
    run = read(b"")
    assert (run.records, run.state, run.torn, run.damage, dict(run.hosts)) == (0, RunState.UNFINISHED, False, None, {})


def test_the_journal_of_another_run_is_not_believed(tmp_path: Path) -> None:
    """A journal that was copied into the directory of another run tells nothing about that one."""
    other = write(tmp_path, *STORY, run="20260102T000000Z-ab12")
    mine = tmp_path / RUN
    mine.mkdir()
    shutil.copy(other / JOURNAL, mine)
    damage = RecordedRun.read(mine).damage
    assert damage is not None
    assert damage.message == "damaged at record 1: it is of run 20260102T000000Z-ab12"


def test_reading_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line or a file that is too long is damage; no more than a line of it is held at a time."""
    content = written()
    monkeypatch.setattr(reading, "LINE_BYTES", 1000)
    run = read(content + b"x" * 5000)
    assert run.damage is not None
    assert run.damage.message == "damaged at record 15: longer than 1000 bytes"
    assert not run.torn
    monkeypatch.setattr(reading, "JOURNAL_BYTES", content.index(b"\n") + 1)
    run = read(content)
    assert run.damage is not None
    assert run.damage.message == "damaged at record 2: the journal is too long"


def test_a_sparse_gigabyte_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    """A file of a gigabyte without a line's end is given up after its first megabytes."""
    directory = write(tmp_path, *STORY)
    os.truncate(directory / JOURNAL, 1024**3)
    run = RecordedRun.read(directory)
    assert run.records == len(STORY)
    assert run.damage is not None
    assert "longer than" in run.damage.message


def no_pipe(path: Path) -> None:
    os.mkfifo(path)


def no_directory(path: Path) -> None:
    path.mkdir()


def no_link(path: Path) -> None:
    path.symlink_to(write(path.parents[1] / "elsewhere", *STORY) / JOURNAL)


@pytest.mark.parametrize("make", [no_pipe, no_directory, no_link])
def test_what_is_no_file_is_an_error_with_a_place_and_never_waits(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """A pipe, a directory or a link in place of a journal is refused, and a list of runs tells it and goes on."""
    directory = tmp_path / "runs" / "20260103T000000Z-ab12"
    directory.mkdir(parents=True)
    make(directory / JOURNAL)
    with pytest.raises(InputError, match="record 1 of the journal cannot be read") as caught:
        RecordedRun.read(directory)
    assert caught.value.where == str(directory / JOURNAL)
    assert caught.value.hint
    write(tmp_path / "runs", *STORY)
    bad, good = RecordedRuns.list(tmp_path / "runs")
    assert (bad.state, good.state) == (RunState.UNKNOWN, RunState.UNFINISHED)
    assert bad.damage is not None
    assert "cannot be read" in bad.damage.message


# Many runs


def test_runs_are_listed_newest_first_among_whatever_else_is_there(tmp_path: Path) -> None:
    """Directories without a journal and files of others are passed over; damaged and torn runs are listed as such."""
    for number in range(1, 5):
        write(tmp_path, *STORY, *[END] * (number % 2), run=f"2026010{number}T000000Z-aa")
    path = tmp_path / "20260102T000000Z-aa" / JOURNAL
    path.write_bytes(path.read_bytes() + b'{"n"')
    path = tmp_path / "20260103T000000Z-aa" / JOURNAL
    path.write_bytes(path.read_bytes().replace(b"ranking", b"RANKING", 1))
    (tmp_path / "20260105T000000Z-aa").mkdir()
    (tmp_path / "a file").write_text("")
    (tmp_path / "20260106T000000Z-aa").symlink_to("nowhere")
    found = list(RecordedRuns.list(tmp_path))
    assert [(run.id[7], run.state.value, run.torn, run.damage is None) for run in found] == [
        ("4", "unfinished", False, True), ("3", "unknown", False, False),
        ("2", "unfinished", True, True), ("1", "finished", False, True),
    ]  # fmt: skip
    assert list(RecordedRuns.list(tmp_path / "missing")) == []
    assert list(RecordedRuns.list(tmp_path / "a file")) == []


def test_the_latest_unfinished_run(tmp_path: Path) -> None:
    """The newest that is not known to have ended; one that never began is none."""
    assert RecordedRuns.latest_unfinished(tmp_path) is None
    write(tmp_path, *STORY, run="20260101T000000Z-aa")
    write(tmp_path, *STORY, run="20260102T000000Z-aa")
    write(tmp_path, *STORY, END, run="20260103T000000Z-aa")
    write(tmp_path, run="20260104T000000Z-aa")
    found = RecordedRuns.latest_unfinished(tmp_path)
    assert found is not None
    assert found.id == "20260102T000000Z-aa"
    path = tmp_path / "20260103T000000Z-aa" / JOURNAL
    path.write_bytes(b"x\n")
    found = RecordedRuns.latest_unfinished(tmp_path)
    assert found is not None
    assert found.damage is not None


def test_a_run_is_found_by_its_id_or_the_beginning_of_it(tmp_path: Path) -> None:
    """A beginning that several have, none has or that is empty is an error with the next thing to type."""
    for run in ("20260101T000000Z-aa", "20260101T000000Z-aabb", "20260202T000000Z-cc"):
        write(tmp_path, *STORY, run=run)
    assert RecordedRuns.find(tmp_path, "20260101T000000Z-aa").id == "20260101T000000Z-aa"
    assert RecordedRuns.find(tmp_path, "202602").id == "20260202T000000Z-cc"
    with pytest.raises(InputError, match="2 runs begin with '202601': 20260101T000000Z-aabb, 20260101T000000Z-aa"):
        RecordedRuns.find(tmp_path, "202601")
    with pytest.raises(InputError, match="there is no run '20260202T000000Z-dd'") as caught:
        RecordedRuns.find(tmp_path, "20260202T000000Z-dd")
    assert "did you mean '20260202T000000Z-cc'?" in caught.value.hint
    with pytest.raises(InputError, match="there is no run ''"):
        RecordedRuns.find(tmp_path, "")
    with pytest.raises(InputError, match=r"there is no run '\.\./x'"):
        RecordedRuns.find(tmp_path, "../x")
    with pytest.raises(InputError) as caught:
        RecordedRuns.find(tmp_path / "none", "2026")
    assert "no run has been recorded below" in caught.value.hint


def test_a_file_of_events_is_no_run_s_journal(tmp_path: Path) -> None:
    """What several runs appended to tells the first of them only."""
    directory = tmp_path / RUN
    directory.mkdir()
    for _ in range(2):
        journal = Journal(directory / JOURNAL)
        journal(STORY[0])
        journal.close()
    run = RecordedRun.read(directory)
    assert run.records == 1
    assert run.damage is not None
