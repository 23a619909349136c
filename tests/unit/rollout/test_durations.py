"""How long steps take, by the journals of earlier runs: medians, bytes, and whatever may lie in that directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import deploy

from fleetdeploy.domain.plan import Activation
from fleetdeploy.rollout.foresight import past_runs
from fleetdeploy.rollout.foresight.durations import Durations, from_events, succeeded
from fleetdeploy.rollout.foresight.past_runs import durations_of
from fleetdeploy.rollout.journal import as_json, open_run
from fleetdeploy.rollout.work import Call, Work
from fleetdeploy.tasks import registry

from .fleets import V1, V2, new

MIB = 1024**2


def work(
    task: str, *, copied: int = 0, activation: Activation = Activation.RELOAD, text: str = "", **given: Any
) -> Work:
    """One step on the service ``ranking``."""
    stage = (SimpleNamespace(copy_bytes=copied),)
    plan = SimpleNamespace(desired=SimpleNamespace(name="ranking"), stage=stage, activation=activation)
    return Work(Call(registry()[task], SimpleNamespace(**given)), plan, text)  # type: ignore[arg-type]


def step(task: str, host: str, seconds: object, *, message: str = "", **data: object) -> dict[str, object]:
    """A line of a journal: a step that is finished."""
    return {
        "kind": "step_finished", "host": host, "task": task, "message": message,
        "data": {"seconds": seconds, "service": "ranking", **data},
    }  # fmt: skip


END: Mapping[str, object] = {"kind": "run_finished", "data": {"exit_code": 0}}


def known(*events: Mapping[str, object]) -> Durations:
    return from_events([events])


def test_the_median_of_the_host_then_that_of_the_fleet() -> None:
    """A slow host is known for it; a host that was never seen is expected to be like the others."""
    found = known(*(step("drain", "gpu1", seconds) for seconds in (10, 90, 20)), step("drain", "gpu2", 2))
    assert found.of(work("drain"), "gpu1") == 20
    assert found.of(work("drain"), "gpu2") == 2
    assert found.of(work("drain"), "gpu9") == 15
    assert found.of(work("undrain"), "gpu1") is None


def test_steps_that_are_not_alike_are_kept_apart() -> None:
    """A reload is no new container, one command is no other, and services are of different sizes."""
    found = known(
        step("activate", "gpu1", 2, activation="reload"),
        step("activate", "gpu1", 60, activation="replace"),
        step("activate", "gpu1", 9),
        step("run", "gpu1", 7, message="systemctl reload exporter"),
        {**step("drain", "gpu1", 5), "data": {"seconds": 5, "service": "other"}},
    )
    assert found.of(work("activate"), "gpu1") == 2
    assert found.of(work("activate", activation=Activation.REPLACE), "gpu1") == 60
    assert found.of(work("activate", activation=Activation.START), "gpu1") is None
    assert found.of(work("run", text="systemctl reload exporter"), "gpu1") == 7
    assert found.of(work("run", text="sync"), "gpu1") is None
    assert found.of(work("drain"), "gpu1") is None


def test_copying_goes_by_bytes() -> None:
    """Large copies scale with bytes a second, small ones take what small ones took; neither stands for the other."""
    large = known(step("stage", "gpu1", 10, copy_bytes=100 * MIB), step("stage", "gpu1", 40, copy_bytes=400 * MIB))
    assert large.of(work("stage", copied=1000 * MIB), "gpu1") == pytest.approx(100)
    small = known(step("stage", "gpu1", 1, copy_bytes=100))
    assert small.of(work("stage", copied=200), "gpu1") == 1
    assert small.of(work("stage", copied=1000 * MIB), "gpu1") is None
    untold = known(step("stage", "gpu1", 30))
    assert untold.of(work("stage", copied=1000 * MIB), "gpu1") == 30
    both = from_events([[step("stage", "gpu1", 1, copy_bytes=100)], [step("stage", "gpu2", 10, copy_bytes=100 * MIB)]])
    assert both.of(work("stage", copied=200 * MIB), "gpu1") == pytest.approx(20), (
        "the fleet knows what the host does not"
    )


def test_a_pause_takes_what_it_says() -> None:
    """Its seconds stand in the playbook; how long a person takes nobody knows."""
    assert known().of(work("pause", seconds=30.0), "gpu1") == 30
    assert known().of(work("pause", seconds=0.0, prompt="Go?"), "gpu1") is None


@pytest.mark.parametrize(
    "line",
    [
        step("drain", "gpu1", None), step("drain", "gpu1", True), step("drain", "gpu1", "5"), step("drain", "gpu1", -1),
        step("drain", "gpu1", float("nan")), step("drain", "gpu1", float("inf")), step("drain", "gpu1", 10**400),
        step("drain", "", 5), step("drain", "gpu1", 5, undo=True), step("drain", "gpu1", 5, service=3),
        {"kind": "step_finished"}, {**step("drain", "gpu1", 5), "kind": "step_started"},
        {"kind": "step_finished", "host": ["gpu1"], "task": {}, "data": []}, {},
    ],
)  # fmt: skip
def test_lines_of_another_shape_are_passed_over(line: Mapping[str, object]) -> None:
    """What is no finished step with a host, a task and seconds teaches nothing and breaks nothing."""
    assert known(line).of(work("drain"), "gpu1") is None
    assert known(line, step("drain", "gpu1", 4)).of(work("drain"), "gpu1") == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
SHAPED = st.fixed_dictionaries(
    {"kind": st.just("step_finished") | JSON, "host": st.just("gpu1") | JSON, "task": st.just("stage") | JSON},
    optional={
        "message": JSON,
        "data": JSON | st.dictionaries(st.sampled_from(["seconds", "service", "copy_bytes", "activation"]), JSON),
    },
)


@settings(deadline=None, max_examples=200)
@given(lines=st.lists(SHAPED, max_size=5))
def test_no_line_is_an_error(lines: list[dict[str, object]]) -> None:
    """Whatever JSON a journal holds, durations come of it, and none is negative."""
    succeeded(lines)
    for copied in (0, 10**12):
        seconds = from_events([lines]).of(work("stage", copied=copied), "gpu1")
        assert seconds is None or seconds >= 0


def write(runs: Path, name: str, *lines: Mapping[str, object] | bytes) -> Path:
    (runs / name).mkdir(parents=True)
    path = runs / name / "events.jsonl"
    path.write_bytes(
        b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
    )
    return path


def test_damaged_and_foreign_files_are_passed_over(tmp_path: Path) -> None:
    """A cut line, bytes that are no text, a pipe, a link, a directory: what is left is read all the same."""
    elsewhere = write(tmp_path / "2", "run", step("drain", "gpu1", 99), END)
    write(tmp_path, "20260101", b'{"kind": "step_finished", "ho', b"\xff step_finished \xff", b"[" * 9999,
                 b'"step_finished"' + b"[" * 9999, b"[1]", step("drain", "gpu1", 4), END)  # fmt: skip
    write(tmp_path, "20260102", step("drain", "gpu1", 99), {**END, "data": {"exit_code": 3}})
    write(tmp_path, "20260103", step("drain", "gpu1", 99))
    write(tmp_path, "20260104", step("drain", "gpu1", 99), {"kind": "run_finished", "data": 0})
    for name in ("20260105", "20260106", "20260107", "20260108"):
        (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / "20260105" / "events.jsonl")
    (tmp_path / "20260106" / "events.jsonl").symlink_to(elsewhere)
    (tmp_path / "20260107" / "events.jsonl").mkdir()
    (tmp_path / "a file").write_text("")
    assert durations_of(tmp_path).of(work("drain"), "gpu1") == 4
    assert durations_of(tmp_path / "missing").typical == {}
    assert durations_of(tmp_path / "a file").typical == {}


def test_only_the_newest_runs_count(tmp_path: Path) -> None:
    """Of many runs the last twenty that did something; those that did nothing are not among them."""
    for number in range(30):
        write(tmp_path, f"run{number:03}", step("drain", "gpu1", 99 if number < 10 else 4), END)
    for number in range(30, 60):
        write(tmp_path, f"run{number:03}", END)
    found = durations_of(tmp_path)
    assert found.of(work("drain"), "gpu1") == 4
    write(tmp_path, "run099", step("drain", "gpu2", 1), END)
    assert durations_of(tmp_path).of(work("drain"), "gpu2") == 1


def test_reading_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a long journal the beginning and its end are read; of all of them no more than a sum."""
    monkeypatch.setattr(past_runs, "RUN_BYTES", 4096)
    filler = {"kind": "step_progress", "message": "x" * 4096}
    write(tmp_path, "run1", step("drain", "gpu1", 4), *[filler] * 20, step("drain", "gpu1", 99), *[filler] * 20, END)
    assert durations_of(tmp_path).of(work("drain"), "gpu1") == 4
    monkeypatch.setattr(past_runs, "ALL_BYTES", 1)
    write(tmp_path, "run2", step("drain", "gpu1", 99))
    assert durations_of(tmp_path).typical == {}


def test_a_run_s_own_journal_is_understood(tmp_path: Path) -> None:
    """What this version writes it reads: every step of a deploy, with its bytes and its activation."""
    journal = open_run(tmp_path, "20260101T000000Z-0000")
    world = new("gpu1")
    world.hosts["gpu1"].load_s = 30.0
    assert deploy(world, V1, sinks=[journal]).code == 0
    journal(_ended(journal.path))
    journal.close()
    found = durations_of(tmp_path)
    assert found.of(work("stage", copied=200), "gpu1") is not None
    assert (found.of(work("activate", activation=Activation.START), "gpu9") or 0) >= 30
    assert found.of(work("activate"), "gpu1") is None
    data = [json.loads(line).get("data", {}) for line in journal.path.read_text().splitlines() if '"stage"' in line]
    assert [item["copy_bytes"] for item in data if "seconds" in item] == [200]


def _ended(path: Path) -> Any:
    """The event with which the command ends a run, as the simulation has none."""
    from fleetdeploy.domain.events import Event, Kind

    event = Event(Kind.RUN_FINISHED, 0.0, path.parent.name, data={"exit_code": 0})
    assert succeeded([json.loads(as_json(event))])
    return event


def test_a_second_deploy_has_durations(tmp_path: Path) -> None:
    """Runs add up: after a reload the reload is known as well."""
    world = new("gpu1")
    for number, wanted in enumerate((V1, V2)):
        journal = open_run(tmp_path, f"run{number}")
        assert deploy(world, wanted, sinks=[journal]).code == 0
        journal(_ended(journal.path))
        journal.close()
    assert durations_of(tmp_path).of(work("activate"), "gpu1") is not None
