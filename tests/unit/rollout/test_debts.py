"""Hosts that could not be reached while others were switched over: remembered, kept out, and made good."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from simulation.controller import Run, deploy, plays, sim_host
from simulation.wire import Killed, Trouble
from simulation.world import POOLS, SERVICE, World, converged

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.inventory import Connection
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.errors import InputError, LeaseLost
from fleetdeploy.rollout.debt.drains import Drains
from fleetdeploy.rollout.debt.ledger import Debt, Debts, address_of
from fleetdeploy.rollout.locks.leases import LeaseKeeper

from .fleets import V1, V2, V3, dangers, settled
from .test_failures import states

pytestmark = pytest.mark.simulation
THREE = ("gpu1", "gpu2", "gpu3")
TWO_OUT = plays(THREE, max_unavailable=Quantity(2))


@pytest.fixture
def debts(tmp_path: Path) -> Debts:
    return Debts(tmp_path / "debts")


def without(world: World, host: str, debts: Debts, **how: object) -> Run:
    """A run that goes on without a host."""
    world.hosts[host].reachable = False
    return deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=TWO_OUT, **how)  # type: ignore[arg-type]


def drained(world: World) -> set[str]:
    return {server for _, server in world.drained}


def test_a_host_gone_without_is_remembered_and_kept_out(debts: Debts) -> None:
    """It is drained in its balancer behind its back, told, and exit 8 stays: all reachable hosts are done."""
    world = settled(*THREE)
    run = without(world, "gpu2", debts)
    assert (run.code, run.last_line) == (8, "PARTLY: 2 of 3 hosts changed, skipped as unreachable: gpu2")
    assert drained(world) == {"gpu2"}
    (made,) = [event for event in run.events if event.kind is Kind.DEBT_MADE]
    assert (made.host, made.data["drained"], made.data["exposed"]) == ("gpu2", True, False)
    debt = debts.of(sim_host("gpu2"))
    assert debt is not None
    assert (debt.host, debt.run, debt.drained) == ("gpu2", made.run, True)
    assert debt.pools == {SERVICE: POOLS}
    assert "no route to host" in debt.why
    assert dangers(world, most_out=2) == []


def test_the_next_run_brings_it_there_before_it_gets_requests(debts: Debts) -> None:
    """Once it is back it is brought to the current release, whatever that is by then, put back, and owes nothing."""
    world = settled(*THREE)
    without(world, "gpu2", debts)
    world.hosts["gpu2"].reachable = True
    exposed = list[tuple[int, ...]]()

    def look(_: Event) -> None:
        if world.gets_requests("gpu2"):
            exposed.append(dict(world.serves("gpu2").versions)["ranker"])

    run = deploy(world, V3, debts=debts, sinks=[look])
    assert run.code == 0
    assert set(exposed) == {(3,)}
    assert converged(world, V3) == []
    assert debts.of(sim_host("gpu2")) is None
    assert [event.host for event in run.events if event.kind is Kind.DEBT_SETTLED] == ["gpu2"]
    assert deploy(world, V3, debts=debts).acts == []


def test_a_host_that_needs_nothing_but_its_requests_gets_them(debts: Debts) -> None:
    """Where the release that it serves is wanted again, the debt is no more than being put back."""
    world = settled(*THREE)
    without(world, "gpu2", debts)
    world.hosts["gpu2"].reachable = True
    run = deploy(world, {"gpu1": V2, "gpu2": V1, "gpu3": V2}, debts=debts)
    assert run.code == 0
    assert [act for act in run.acts if act.startswith(("gpu", "lb"))] == [
        "lb balancer.undrain",
        "gpu2 files.clear_drained",
    ]
    assert drained(world) == set()
    assert debts.of(sim_host("gpu2")) is None


def test_a_host_lost_in_the_middle_owes_as_well(debts: Debts) -> None:
    """One that goes away after others were switched over stops the rollout, exit 4, and is kept out."""
    world = settled(*THREE)

    def lose(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, "undrain", "gpu1"):
            world.hosts["gpu2"].reachable = False

    run = deploy(world, V2, debts=debts, sinks=[lose])
    assert run.code == 4
    assert states(run)["gpu2"] is HostState.UNREACHABLE
    assert drained(world) == {"gpu2"}
    world.hosts["gpu2"].reachable = True
    assert deploy(world, V2, debts=debts).code == 0
    assert converged(world, V2) == []
    assert dangers(world) == []


def test_where_nobody_was_switched_over_nobody_owes(debts: Debts) -> None:
    """A host that is away while the others have all they need is left as it is, in its balancer."""
    world = settled(*THREE)
    world.hosts["gpu1"].reachable = False
    run = deploy(world, V1, debts=debts, allow_unreachable=True)
    assert run.code == 8
    assert drained(world) == set()
    assert list(debts.everybodys()) == []


def test_nobody_is_kept_out_beyond_the_capacity(debts: Debts) -> None:
    """With more out than may be, a lost host that still gets requests keeps them, and the last line says so: exit 8."""
    world = settled(*THREE)

    def another(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, "undrain", "gpu3"):
            world.drained |= {(pool, "gpu1") for pool in POOLS}

    bound = plays(THREE, max_unavailable=Quantity(2), min_available=Quantity(1))
    world.hosts["gpu2"].reachable = False
    run = deploy(world, V2, debts=debts, allow_unreachable=True, run_plays=bound, sinks=[another])
    assert run.code == 8
    assert drained(world) == {"gpu1", "gpu2"}, "gpu2 counted among the two that may be out already"
    full = settled(*THREE)
    full.hosts["gpu2"].reachable = False

    def two_more(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, "undrain", "gpu3"):
            full.drained |= {(pool, name) for pool in POOLS for name in ("gpu1", "gpu3")}

    ledger = Debts(debts.directory.parent / "full")
    run = deploy(full, V2, debts=ledger, allow_unreachable=True, run_plays=TWO_OUT, sinks=[two_more])
    assert run.code == 8
    assert run.last_line.endswith("; gpu2 may still get requests with what it served before")
    assert "gpu2" not in drained(full)
    assert [debt.drained for _, debt in ledger.everybodys()] == [False]


def test_a_drain_that_is_not_confirmed_is_told(debts: Debts) -> None:
    """The entry says that the host is not drained, and the last line that it may get requests."""
    world = settled(*THREE)

    def lie(event: Event) -> None:
        if (event.kind, event.task, event.host) == (Kind.STEP_FINISHED, "undrain", "gpu3"):
            world.lies = {"drain"}

    run = without(world, "gpu2", debts, sinks=[lie])
    assert run.code == 8
    assert run.last_line == (
        "PARTLY: 2 of 3 hosts changed, skipped as unreachable: gpu2; "
        "gpu2 may still get requests with what it served before"
    )
    debt = debts.of(sim_host("gpu2"))
    assert debt is not None
    assert not debt.drained
    world.lies, world.hosts["gpu2"].reachable = set(), True
    assert deploy(world, V2, debts=debts).code == 0
    assert debts.of(sim_host("gpu2")) is None


def test_what_cannot_be_remembered_is_not_drained(debts: Debts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an entry nobody would put the host back: where none can be written it keeps its requests."""

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Debts, "write", full)
    world = settled(*THREE)
    run = without(world, "gpu2", debts)
    assert run.code == 8
    assert "may still get requests" in run.last_line
    assert drained(world) == set()


def test_a_host_that_stays_away_owes_once(debts: Debts) -> None:
    """Further runs without it leave its entry as it was, and say nothing new."""
    world = settled(*THREE)
    without(world, "gpu2", debts)
    first = debts.of(sim_host("gpu2"))
    run = deploy(world, V3, debts=debts, allow_unreachable=True, run_plays=TWO_OUT)
    assert run.code == 8
    assert debts.of(sim_host("gpu2")) == first
    assert not any(event.kind is Kind.DEBT_MADE for event in run.events)


def test_killed_anywhere_the_debt_is_made_good(debts: Debts, tmp_path: Path) -> None:
    """Whatever call a run without a host died at, the next one finds the host, brings it there and puts it back."""
    world = settled(*THREE)
    calls = without(world.copy(), "gpu2", debts).calls
    wrong = []
    for at in range(1, len(calls) + 1):
        again, ledger = world.copy(), Debts(tmp_path / str(at))
        with pytest.raises(Killed):
            without(again, "gpu2", ledger, trouble=Trouble("kill", at))
        again.hosts["gpu2"].reachable = True
        run = deploy(again, V2, debts=ledger)
        found = [*converged(again, V2), *(debt.host for _, debt in ledger.everybodys()), *dangers(again)]
        if run.code or found or deploy(again, V2, debts=ledger).acts:
            wrong.append((at, calls[at - 1], run.last_line, found))
    assert wrong == []


def test_killed_anywhere_while_it_pays_it_pays_later(debts: Debts) -> None:
    """Whatever call the run died at that makes good what a host owes, the next one ends it, a third does nothing."""
    world = settled(*THREE)
    without(world, "gpu2", debts)
    world.hosts["gpu2"].reachable = True
    path, _ = next(debts.everybodys())
    text = path.read_text()
    calls = deploy(world.copy(), V2, debts=debts).calls
    wrong = []
    for at in range(1, len(calls) + 1):
        path.write_text(text)
        again = world.copy()
        with pytest.raises(Killed):
            deploy(again, V2, debts=debts, trouble=Trouble("kill", at))
        run = deploy(again, V2, debts=debts)
        found = [*converged(again, V2), *dangers(again)]
        if run.code or found or debts.of(sim_host("gpu2")) or deploy(again, V2, debts=debts).acts:
            wrong.append((at, calls[at - 1], run.last_line, found))
    assert wrong == []


# The files


DEBT = Debt("gpu2", "gpu2:22", "run-1", "2026-01-31T00:00:00+00:00", "no route", True, "haproxy", {"s": ("a", "b")})


def test_an_entry_is_private_and_reads_back(debts: Debts) -> None:
    """One file a host, mode 0600, JSON that a person can read; nothing is left beside it."""
    debts.write(DEBT)
    ((path, read),) = debts.everybodys()
    assert read == DEBT == debts.of(sim_host("gpu2"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text())["why"] == "no route"
    assert list(debts.directory.iterdir()) == [path]


def test_a_write_that_was_cut_off_is_no_entry(debts: Debts) -> None:
    """A temporary file that a kill left behind is nobody's debt, and in nobody's way."""
    debts.write(DEBT)
    (debts.directory / ".abc.new").write_text('{"host": ')
    assert [debt for _, debt in debts.everybodys()] == [DEBT]


def test_an_entry_goes_by_the_address(debts: Debts) -> None:
    """A host is known by how SSH reaches it, whatever its name and case; another port is another host."""
    debts.write(replace(DEBT, address=address_of(sim_host("gpu2"))))
    renamed = replace(sim_host("other"), connection=Connection("GPU2", port=22))
    assert Drains(debts).by(renamed) == "run-1"
    assert Drains(debts).by(replace(renamed, connection=Connection("gpu2", port=2222))) == ""
    debts.forget(renamed)
    assert list(debts.everybodys()) == []


def test_an_entry_of_an_older_place_counts_until_it_is_paid(debts: Debts) -> None:
    """What a state directory remembers is read, changed by an entry in the one place, and forgotten for good."""
    old = Debts(debts.directory.parent / "older")
    old.write(DEBT)
    both = Debts(debts.directory, old.directory)
    assert both.of(sim_host("gpu2")) == DEBT == next(both.everybodys())[1]
    both.write(replace(DEBT, why="still away"))
    assert [debt.why for _, debt in both.everybodys()] == ["still away"]
    assert (old.of(sim_host("gpu2")), Drains(both).by(sim_host("gpu2"))) == (DEBT, "run-1")
    both.forget(sim_host("gpu2"))
    assert list(both.everybodys()) == list(old.everybodys()) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": 1}', '{"host": "a", "pools": 3}', "\x00"])
def test_a_damaged_entry_is_refused_not_forgotten(debts: Debts, text: str) -> None:
    """What cannot be read may be a host that is drained: the run is refused with the file's name."""
    debts.write(DEBT)
    ((path, _),) = debts.everybodys()
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        debts.of(sim_host("gpu2"))
    assert caught.value.where == str(path)


def test_who_lost_a_hosts_lease_does_not_take_it_out(debts: Debts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run has a host that this one does not reach: its balancer is left to that run, and that is told."""

    def check(_: LeaseKeeper, name: str) -> None:
        if name == "gpu2":
            raise LeaseLost("somebody took over", where=name)

    monkeypatch.setattr(LeaseKeeper, "check", check)
    world = settled(*THREE)
    run = without(world, "gpu2", debts)
    assert drained(world) == set()
    (made,) = [event for event in run.events if event.kind is Kind.DEBT_MADE]
    assert made.data["exposed"]
    assert "somebody took over" in made.message
