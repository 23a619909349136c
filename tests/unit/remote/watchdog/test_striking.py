"""What a watchdog takes back counts as never proven: it goes from the history, which rollbacks go by."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.remote.directory import watchdog
from fleetdeploy.remote.directory.records import history_line

from .machine import NEW, OLD, RUN, Machine

AGAIN = "20260129T235900Z-new"
"""The same content as ``NEW``, proven by an earlier run."""
SAID = "nobody confirmed it within 1 s"
STAYS = "releases/history cannot be changed, and may still name it"


def line(release_id: str) -> bytes:
    models = {"ranker": (1, 2)}
    return history_line(Release(release_id, "ranking", "run", models, {}, "", {})).encode() + b"\n"


def history(machine: Machine) -> Path:
    return machine.service / "releases/history"


def record(machine: Machine) -> Path:
    return machine.service / f"releases/{NEW}.json"


@pytest.fixture
def proven(machine: Machine) -> Machine:
    """A machine whose history ends with what nobody has confirmed yet."""
    return _proven(machine)


@pytest.fixture
def one_proven(one: Machine) -> Machine:
    return _proven(one)


def _proven(machine: Machine) -> Machine:
    history(machine).write_bytes(line(AGAIN) + line(OLD) + line(NEW))
    history(machine).chmod(0o600)
    record(machine).write_text("{}")
    return machine


def test_what_went_back_was_never_proven(proven: Machine) -> None:
    """Its line and its record go with it; those of its content that an earlier run had proven, and all others, stay."""
    proven.arm(after_s=1)
    assert proven.verdict() == Watch(WatchState.RESTORED, RUN, NEW, SAID)
    assert history(proven).read_bytes() == line(AGAIN) + line(OLD)
    assert history(proven).stat().st_mode & 0o777 == 0o600
    assert not record(proven).exists()
    assert (proven.service / f"releases/{OLD}.json").exists()
    proven.none_left()
    assert proven.kept() == ["verdict"]


def test_lines_that_are_damaged_are_left_to_who_counts_them(proven: Machine) -> None:
    """Bytes that are no text take no line of before with them."""
    damaged = b'\xff\0\0{"id":"' + OLD.encode() + b'"\n'
    history(proven).write_bytes(damaged + line(OLD) + line(NEW) + line(NEW)[:-1])
    proven.arm(after_s=1)
    assert proven.verdict().reason == SAID
    assert history(proven).read_bytes() == damaged + line(OLD)


def test_only_the_very_id_is_struck(proven: Machine) -> None:
    """An id that differs in one place where another one has a dot is another release's."""
    alike = "20260131T235900Z_new"
    dotted = alike.replace("_", ".")
    history(proven).write_bytes(line(alike) + line(dotted))
    proven.dog.arm(proven.release, run=RUN, release=dotted, after_s=1)
    assert proven.verdict().reason == SAID
    assert history(proven).read_bytes() == line(alike)


def test_what_it_goes_back_to_is_struck_from_nowhere(one_proven: Machine) -> None:
    """A release that is proven once more, and not confirmed, was proven before."""
    one_proven.dog.arm(one_proven.release, run=RUN, release=OLD, after_s=1)
    assert one_proven.verdict() == Watch(WatchState.RESTORED, RUN, OLD, SAID)
    assert history(one_proven).read_bytes() == line(AGAIN) + line(OLD) + line(NEW)
    assert (one_proven.service / f"releases/{OLD}.json").exists()


def test_without_a_history_none_is_made(one: Machine) -> None:
    """A host on which nothing was recorded yet has no history afterwards either."""
    one.arm(after_s=1)
    assert one.verdict().reason == SAID
    assert not history(one).exists()


def test_struck_once_it_may_be_done_again(one_proven: Machine) -> None:
    """To go back once more from the beginning finds nothing to strike, and takes nothing else."""
    for _ in range(2):
        one_proven.arm(after_s=1)
        assert one_proven.verdict().reason == SAID
        assert history(one_proven).read_bytes() == line(AGAIN) + line(OLD)


def stays_in_the_history(machine: Machine) -> None:
    """What served before serves and is recorded, started once, and the verdict says what is amiss."""
    machine.arm(after_s=1)
    assert machine.verdict() == Watch(WatchState.RESTORED, RUN, NEW, f"{SAID}; {STAYS}")
    assert machine.config() == "old\n\nend"
    assert (machine.service / "releases/current").read_text() == f"{OLD}\n"
    assert (machine.containers / "log").read_text().count("restart") == 1
    assert not [*(machine.service / "releases").glob("*.fleetdeploy-new.*")]
    machine.none_left()
    assert machine.kept() == ["verdict"]


def test_a_history_of_another_kind_stops_no_way_back(proven: Machine) -> None:
    """Where a folder stands in its place the release comes back all the same, and the verdict says what is amiss."""
    history(proven).unlink()
    history(proven).mkdir()
    stays_in_the_history(proven)


def test_a_history_that_leads_elsewhere_stops_no_way_back(proven: Machine) -> None:
    """Nothing is written through a symbolic link, and the verdict says that the line stays."""
    history(proven).rename(proven.home / "elsewhere")
    history(proven).symlink_to(proven.home / "elsewhere")
    stays_in_the_history(proven)
    assert history(proven).read_bytes() == line(AGAIN) + line(OLD) + line(NEW)


def test_a_history_that_cannot_be_replaced_stops_no_way_back(one_proven: Machine) -> None:
    """It stays whole where the new one cannot be put in its place."""
    stays = f'#!/bin/sh\ncase "$*" in *" {history(one_proven)}") exit 1 ;; *) exec /usr/bin/mv "$@" ;; esac\n'
    one_proven.program("mv", stays)
    stays_in_the_history(one_proven)
    assert history(one_proven).read_bytes() == line(AGAIN) + line(OLD) + line(NEW)


def test_what_can_be_struck_at_the_second_try_is_struck(one_proven: Machine) -> None:
    """Who sweeps the folder at that moment takes the new history away once, and no line stays for it."""
    once = f"{one_proven.home}/once"
    sweeps = f'case "$*" in *" {history(one_proven)}") mkdir {once} && exit 1 ;; esac'
    one_proven.program("mv", f'#!/bin/sh\n{sweeps} 2>/dev/null\nexec /usr/bin/mv "$@"\n')
    one_proven.arm(after_s=1)
    assert one_proven.verdict().reason == SAID
    assert Path(once).exists()
    assert history(one_proven).read_bytes() == line(AGAIN) + line(OLD)


def test_both_are_told_where_the_server_does_not_come_back_either(
    one_proven: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A verdict that it failed names the line that stays as well: the record is that of before."""
    monkeypatch.setattr(watchdog, "RESTORE_S", 4.0)
    history(one_proven).unlink()
    history(one_proven).mkdir()
    one_proven.release.models["ranker"] = (1, 3)  # type: ignore[index]
    one_proven.arm(after_s=1)
    found = one_proven.verdict()
    assert found.state is WatchState.FAILED
    assert found.reason == f"ranker 3 was not AVAILABLE again within 4 s; {STAYS}"
