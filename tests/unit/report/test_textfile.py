"""Metrics of a run, read back by Prometheus' own parser."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timezone
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleetdeploy.domain.freeze import Freeze, FreezeWindow
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.settings import News
from fleetdeploy.report import textfile
from fleetdeploy.report.ending import Ending
from fleetdeploy.report.story.parts import CapacitySample
from fleetdeploy.report.story.run_story import RunStory

from .endings import ended

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]
FREEZE = Freeze(FreezeWindow("0 18 * * fri", 3600, "UTC"), datetime(2026, 2, 9, 8, tzinfo=timezone.utc))


def samples(text: str) -> Samples:
    """Every sample by its name, less the prefix, and its labels, less the inventory's, which all of them have."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            labels = dict(sample.labels)
            assert labels.pop("inventory") == "inventories/prod"
            assert sample.timestamp is None, "the node exporter refuses files with times in them"
            found[sample.name.removeprefix("fleetdeploy_"), tuple(sorted(labels.items()))] = sample.value
    return found


def test_a_run_that_converged() -> None:
    """Attempt, run and success are now; hosts are counted by how it ended for them, also where that is none."""
    found = samples(textfile.text_of(ended(0, HostState.CHANGED, HostState.OK, debts=3)))
    sync = (("command", "sync"),)
    assert found["last_attempt_timestamp_seconds", sync] == 1012.5
    assert found["last_run_timestamp_seconds", sync] == 1012.5
    assert found["last_run_duration_seconds", sync] == 12.5
    assert found["last_run_exit_code", sync] == 0
    assert found["last_success_timestamp_seconds", ()] == 1012.5
    assert found["debts", ()] == 3
    assert found["freeze_active", ()] == 0
    hosts = {labels[0][1]: value for (name, labels), value in found.items() if name == "hosts"}
    assert hosts == {"ok": 1, "changed": 1, "reverted": 0, "failed": 0, "unreachable": 0, "skipped": 0}


def test_a_run_that_failed_keeps_the_last_success() -> None:
    """How long ago the fleet was last as it shall be is told through any number of failures."""
    good = textfile.text_of(ended(0, HostState.OK))
    bad = ended(3, HostState.OK, HostState.REVERTED)
    bad.ended_s = 5000.0
    found = samples(textfile.text_of(bad, before=textfile.text_of(bad, before=good)))
    assert found["last_success_timestamp_seconds", ()] == 1012.5
    assert found["last_run_timestamp_seconds", (("command", "sync"),)] == 5000.0
    assert found["last_run_exit_code", (("command", "sync"),)] == 3
    assert found["hosts", (("state", "reverted"),)] == 1


def test_an_attempt_that_was_turned_away_keeps_what_the_last_run_wrote() -> None:
    """Locked out, it knows nothing of the hosts: only that it was, and when."""
    before = textfile.text_of(ended(0, HostState.CHANGED))
    locked = ended(6)
    locked.ended_s = 9000.0
    then, now = samples(before), samples(textfile.text_of(locked, before=before))
    assert now.keys() == then.keys()
    changed = {name for name, value in now.items() if value != then[name]}
    sync = (("command", "sync"),)
    assert changed == {("last_attempt_timestamp_seconds", sync), ("last_attempt_exit_code", sync)}
    assert now["last_attempt_exit_code", sync] == 6


def test_a_freeze_is_told_with_its_end_and_then_no_more() -> None:
    """The end of a freeze that is over does not stay in the file."""
    frozen = textfile.text_of(ended(10, frozen=FREEZE, held_back=News.FROZEN))
    found = samples(frozen)
    assert (found["freeze_active", ()], found["freeze_until_timestamp_seconds", ()]) == (1, 1770624000)
    later = samples(textfile.text_of(ended(0, HostState.OK), before=frozen))
    assert later["freeze_active", ()] == 0
    assert ("freeze_until_timestamp_seconds", ()) not in later


def test_capacity_is_that_of_the_end_of_each_play() -> None:
    """Of each play the last count stands, with its floor."""
    story = RunStory()
    story.capacity += [
        CapacitySample(1.0, "Switch over", 4, ("gpu1",), 3), CapacitySample(2.0, "Switch over", 4, (), 3),
        CapacitySample(3.0, 'a "name"\\with\nall', 2, ("gpu1",), 1),
    ]  # fmt: skip
    found = samples(textfile.text_of(ended(0, HostState.CHANGED, story=story)))
    assert found["capacity_in_service", (("play", "Switch over"),)] == 4
    assert found["capacity_in_service", (("play", 'a "name"\\with\nall'),)] == 1
    assert found["capacity_floor", (("play", "Switch over"),)] == 3


def of(text: str, inventory: str) -> set[str]:
    """The metrics of this inventory, by their names and other labels."""
    return {
        " ".join([sample.name, *(value for key, value in sorted(sample.labels.items()) if key != "inventory")])
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels["inventory"] == inventory
    }


def other(*, at_s: float = 1012.5, inventory: str = "inventories/stage", **more: Any) -> Ending:
    """A `sync` of another inventory, by what a second line of the crontab does."""
    made = ended(0, HostState.CHANGED, debts=0, **more)
    made.inventory, made.ended_s = inventory, at_s
    return made


def test_inventories_stand_beside_each_other_in_one_file() -> None:
    """What one writes takes nothing of another's away, as often as they write; each metric has its head once, and all
    its series below it.
    """
    text = textfile.text_of(other(), before=textfile.text_of(ended(0, HostState.OK, debts=1)))
    both = of(text, "inventories/prod"), of(text, "inventories/stage")
    assert both[0]
    assert both[0] == both[1]
    for ending in (ended(6), other(at_s=5000.0), ended(3, HostState.FAILED), ended(6)):
        text = textfile.text_of(ending, before=text)
    assert (of(text, "inventories/prod"), of(text, "inventories/stage")) == both
    lines = text.splitlines()
    heads = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(heads) == len(set(heads))
    names = [line.split("{")[0].split()[0] for line in lines if not line.startswith("#")]
    assert [name for name, _ in groupby(names)] == heads
    assert len(lines) == len(set(lines))


def test_a_persons_command_leaves_the_timers_attempt(tmp_path: Path) -> None:
    """Each command has its own last attempt; of the last run, whose ever it was, there is one."""
    path = tmp_path / "fleet.prom"
    textfile.write(path, ended(3, HostState.FAILED))
    typed = ended(0, HostState.CHANGED)
    typed.command, typed.ended_s = "deploy", 2000.0
    textfile.write(path, typed)
    found = samples(path.read_text())
    attempts = {labels[0][1]: value for (name, labels), value in found.items() if name == "last_attempt_exit_code"}
    assert attempts == {"sync": 3, "deploy": 0}
    assert found["last_attempt_timestamp_seconds", (("command", "sync"),)] == 1012.5
    runs = {labels[0][1]: value for (name, labels), value in found.items() if name == "last_run_exit_code"}
    assert runs == {"deploy": 0}


def test_who_is_not_called_any_more_leaves_the_file() -> None:
    """An inventory, or a command, of which nothing was heard for weeks is gone with all that it had told."""
    now_s = 1012.5 + textfile.KEPT_S
    before = textfile.text_of(ended(0, HostState.OK))
    kept = textfile.text_of(other(at_s=now_s), before=before)
    assert of(kept, "inventories/prod") == of(before, "inventories/prod")
    assert not of(textfile.text_of(other(at_s=now_s + 1), before=before), "inventories/prod")
    typed = other(inventory="inventories/prod", at_s=now_s + 1)
    typed.command = "deploy"
    attempts = {name for name in of(textfile.text_of(typed, before=before), "inventories/prod") if "attempt" in name}
    assert {name.split()[1] for name in attempts} == {"deploy"}


@pytest.mark.parametrize("line", ["fleetdeploy_hosts{", "\x00\xff{", 'fleetdeploy_debts{inventory="\xff"} 1', "}{ 3",
                                  'fleetdeploy_capacity_floor{inventory="inventories/prod",play="\xff"} 1',
                                  'fleetdeploy_debts{inventory="inventories/prod"} 7 1000'])  # fmt: skip
def test_a_damaged_line_takes_no_other_fleet_with_it(tmp_path: Path, line: str) -> None:
    """The other lines stand; what cannot be read does not come back, and no series is there twice."""
    path, before = tmp_path / "fleet.prom", textfile.text_of(ended(0, HostState.OK, debts=1))
    path.write_bytes(f"{before}{line}\n".encode("latin-1"))
    textfile.write(path, other())
    text = path.read_text(encoding="utf-8")
    assert of(text, "inventories/prod") == of(before, "inventories/prod")
    assert 'fleetdeploy_debts{inventory="inventories/prod"} 1.0' in text.splitlines()
    inventories = {s.labels["inventory"] for family in text_string_to_metric_families(text) for s in family.samples}
    assert inventories == {"inventories/prod", "inventories/stage"}


@pytest.mark.parametrize("damage", ["not metrics at all {", 'fleetdeploy_hosts{state="ok} 3\n', "\x00\xff"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    """What cannot be read is as if it had not been there."""
    path = tmp_path / "fleet.prom"
    path.write_bytes(damage.encode("latin-1"))
    textfile.write(path, ended(0, HostState.OK))
    assert samples(path.read_text()) == samples(textfile.text_of(ended(0, HostState.OK)))


def test_it_is_put_in_place_in_one_step_for_everybody_to_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is synced before it is renamed, mode 0644 whatever the umask says, and nothing else is left there."""
    path, steps = tmp_path / "fleet.prom", list[str]()
    fsync, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda number: (steps.append("fsync"), fsync(number)))
    monkeypatch.setattr(Path, "replace", lambda old, new: (steps.append("rename"), replace(old, new)))
    before = os.umask(0o077)
    try:
        textfile.write(path, ended(0, HostState.OK))
    finally:
        os.umask(before)
    assert steps == ["fsync", "rename"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [item.name for item in tmp_path.iterdir()] == ["fleet.prom"]


def test_a_write_that_fails_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No half of a new one, and no rest beside it that the node exporter would read."""
    path = tmp_path / "fleet.prom"
    textfile.write(path, ended(0, HostState.OK))
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        textfile.write(path, ended(3, HostState.FAILED))
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["fleet.prom"]
