"""What is believed of a journal that was cut, changed, swapped or never was one: no more than its beginning."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.errors import InputError
from fleetdeploy.rollout.journal import Journal, reading
from fleetdeploy.rollout.journal.record import JOURNAL, _hash, line_of
from fleetdeploy.rollout.journal.recorded_run import RecordedRun, RunState
from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

from .stories import RUN, STORY, believed, holding, read, write, written


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


@pytest.mark.parametrize("content", [b"", b"{", b'{"n": 1, "time_s": 17'])
def test_a_run_without_a_record_is_in_no_list(tmp_path: Path, content: bytes) -> None:
    """It began nothing, so that nobody is told of it, nor stopped by it; found by its name it is blank."""
    known = write(tmp_path, *STORY)
    ghost = tmp_path / "20990101T000000Z-ab12"
    ghost.mkdir()
    (ghost / JOURNAL).write_bytes(content)
    assert [run.id for run in RecordedRuns.list(tmp_path)] == [known.name]
    assert [run.id for run in RecordedRuns.acting(tmp_path)] == [known.name]
    assert RecordedRuns.find(tmp_path, ghost.name).is_blank
    assert not RecordedRuns.find(tmp_path, known.name).is_blank


@pytest.mark.parametrize("content", [b"\0" * 4096, b"no journal", b'{"n": 2, "time_s": 17'])
def test_what_is_no_beginning_of_a_journal_may_have_been_one(tmp_path: Path, content: bytes) -> None:
    """Of it nobody says that it began nothing: it is listed as damaged."""
    directory = tmp_path / RUN
    directory.mkdir()
    (directory / JOURNAL).write_bytes(content)
    (run,) = RecordedRuns.list(tmp_path)
    assert run.damage is not None
    assert run.damage.message == "damaged at record 1: it is no beginning of a journal"
    assert not run.is_blank


def test_the_journal_of_another_run_is_not_believed(tmp_path: Path) -> None:
    """A journal that was copied into the directory of another run tells nothing about that one."""
    other = write(tmp_path, *STORY, run="20260102T000000Z-ab12")
    mine = tmp_path / RUN
    mine.mkdir()
    shutil.copy(other / JOURNAL, mine)
    damage = RecordedRun.read(mine).damage
    assert damage is not None
    assert damage.message == "damaged at record 1: it is of run 20260102T000000Z-ab12"


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
