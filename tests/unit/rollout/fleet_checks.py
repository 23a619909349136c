"""What one run did and said, held against the fleet that it has left behind."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from hypothesis import currently_in_test_context, note
from simulation.controller import Run
from simulation.wire import changes
from simulation.world import SERVICE, Serving, World, converged

from fleetdeploy.domain.events import Kind
from fleetdeploy.domain.outcome import FAILURES, HostState
from fleetdeploy.domain.service import DesiredService
from fleetdeploy.rollout.debt.ledger import Debts

from .fleet_faults import CANARY, EVERYTHING, FIRST
from .fleets import untrue

NOT_RETRIED_BLINDLY = frozenset(
    {
        "files.stage",
        "containers.create_and_start",
        "containers.rename",
        "containers.remove",
        "containers.stop",
        "containers.start",
        "watchdog.arm",
    }
)
UNTOUCHED = frozenset({2, 5, 6, 7})


def tell(text: str) -> None:
    """For whoever reads a sequence that failed; one that is played again tells nothing."""
    if currently_in_test_context():
        note(text)


@dataclass
class Wrong:
    """Everything found by the number of the invariant."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, invariant: str, items: Sequence[object]) -> None:
        self.found.setdefault(invariant, []).extend(map(str, items))
        for item in items:
            tell(f"{invariant} does not hold: {item}")

    def of(self, invariant: str) -> list[str]:
        return self.found.get(invariant, [])


def not_true(
    world: World, before: Mapping[str, Serving], wanted: DesiredService | None, run: Run, *, withheld: Collection[str]
) -> list[str]:
    """I9. What an earlier run or a fault has left, and this run told or never came to, is not this run's doing.

    Without ``wanted`` the run was to bring every host back to something that it has proven before.
    """
    ended = run.outcome.hosts if run.outcome else {}
    told = {name for name in before if name not in ended or ended[name].state not in {HostState.OK, HostState.CHANGED}}
    excused = set(withheld) | (told if run.code else set())
    wishes = [wanted] if wanted else list(EVERYTHING.values())
    per_wish = [{item.split(":")[0]: item for item in converged(world, wish)} for wish in wishes]
    nowhere = {name: per_wish[0][name] for name in world.hosts if all(name in missing for missing in per_wish)}
    found = [f"exit 0, but {item}" for name, item in nowhere.items() if run.code == 0 and name not in excused]
    kept_out = {event.host for event in run.events if event.kind is Kind.DEBT_MADE and event.data["drained"]}
    taken = {*withheld, *kept_out}
    before = {name: _before(world, name, now, run, by_hand=name in taken) for name, now in before.items()}
    for item in untrue(world, before, wanted or FIRST, run):
        if wanted is None and item.startswith("said to be switched over"):
            continue
        about_one = item.removeprefix("said to be switched over: ").split(" ", 1)[0].rstrip(":")
        danger = "hosts were out at once" in item or item in world.lost
        if not danger and about_one not in excused and not item.startswith("exit 0, but"):
            found.append(item)
    return found


def not_told(run: Run, maintained: Collection[str]) -> list[str]:
    """I9: hosts that a run left to whoever has them in maintenance, and did not say so."""
    met = {event.host for event in run.events if event.kind is Kind.STEP_FAILED and "in maintenance" in event.message}
    ended = run.outcome.hosts if run.outcome else {}
    return [
        f"{name} is {ended[name].state.value} and was left in maintenance: {run.last_line}"
        for name in met & set(maintained) & set(ended)
        if ended[name].state not in FAILURES
        or not re.search(rf"{name} left (drained or )?in maintenance", run.last_line)
    ]


def _before(world: World, name: str, before: Serving, run: Run, *, by_hand: bool) -> Serving:
    """What a host served before as a run may tell it: drained by an earlier one it may be put back by the way, taken
    out by a person meanwhile it is out, as it is where the run tells of a debt, and what an earlier one left unproven
    there is none that anybody goes back to, but the release on record.
    """
    now, release = world.serves(name), world.hosts[name].directory(SERVICE).release
    ended = run.outcome.hosts.get(name) if run.outcome else None
    # One on which the run was stopped is taken back as well, and called skipped.
    if ended and ended.state in {HostState.REVERTED, HostState.SKIPPED} and release is not None:
        recorded = tuple(sorted((model, tuple(numbers)) for model, numbers in release.models.items()))
        if (now.versions, now.image) == (recorded, release.container["image"]):
            return now
    return replace(before, traffic=now.traffic if by_hand else before.traffic or now.traffic)


def left_out(world: World, before: Mapping[str, Serving], run: Run, *, withheld: Collection[str]) -> list[str]:
    """I6: hosts that answer everything and get no requests, after a run that reached them all and changed something.

    ``withheld`` are those that a person keeps out, and those that owe something yet: they stay out, and it is told.
    """
    if run.outcome is None or run.code in UNTOUCHED:
        return []
    mixed = {name for name, item in run.outcome.hosts.items() if item.mixed}
    found = []
    for name in world.counted - mixed - set(withheld):
        now = world.serves(name)
        ended = run.outcome.hosts.get(name)
        # One that an earlier run left out, and to which this one did not come, is for the next.
        begun = any(host == name and not act.startswith("leases.") for _, host, act in world.acts)
        skipped = ended is not None and (ended.state is HostState.SKIPPED or not begun)
        # So is one that it found drained and left so, as nobody has proven what is there: it says whose drain that is.
        unproven = ended is not None and "stays drained as run " in ended.reason
        passed_over = (skipped or unproven) and not before[name].traffic
        touched = ended is not None and not ended.untouched and not passed_over
        whole = bool(now.versions) and all(numbers for _, numbers in now.versions)
        if whole and not now.traffic and touched:
            found.append(f"{name} is healthy and out after exit {run.code}: {run.last_line}")
    return found


def let_in(world: World, debts: Debts, run: Run) -> list[str]:
    """I6: hosts that this controller had drained as the others left them behind, and that get requests again, untold,
    after a run that did not reach them either.
    """
    if run.outcome is None or run.code in UNTOUCHED:
        return []
    away = {name for name, item in run.outcome.hosts.items() if item.state is HostState.UNREACHABLE}
    return [
        f"{debt.host} owes what run {debt.run} brought the others, and gets requests after: {run.last_line}"
        for _, debt in debts.everybodys()
        if debt.host in away and debt.drained and world.gets_requests(debt.host) and debt.host not in run.last_line
    ]


def kept_leases(world: World, who: str, refused: tuple[str, str]) -> list[str]:
    """I7: leases that a run which ended by itself still holds, and any that hold longer than their time. The call that
    was ``refused``, by host and method, may have been to let go of one.
    """
    now_s = world.clock.monotonic_s()
    found = []
    for name, host in world.hosts.items():
        lease = host.leases.get(SERVICE)
        seen = lease.seen(now_s) if lease else None
        if seen is None or not seen.live:
            continue
        if seen.holder.run == who and refused != (name, "leases.release"):
            found.append(f"{name} is still held by {who}")
        if seen.left_s > 61.0:
            found.append(f"{name} is held for {seen.left_s:g} s more")
    return found


def interleaved(acts: Sequence[tuple[str, str, str]]) -> list[str]:
    """I7: hosts on which one run changed something after another one had come between."""
    order: dict[str, list[str]] = {}
    for who, host, _ in acts:
        runs = order.setdefault(host, [])
        if not runs or runs[-1] != who:
            runs.append(who)
    return [f"{host}: {' then '.join(runs)}" for host, runs in order.items() if len(runs) > len(set(runs))]


def retried_blindly(run: Run, at: int) -> list[str]:
    """I11: after a call whose answer was lost, the same one again without a look at the host before it."""
    if not 0 < at <= len(run.calls):
        return []
    host, method = run.calls[at - 1]
    if method not in NOT_RETRIED_BLINDLY:
        return []
    for name, later in run.calls[at:]:
        if name == host and not changes(later) and not later.startswith("leases."):
            return []
        if (name, later) == (host, method):
            return [f"{host}: {method} again, although nobody knew whether it had been done"]
    return []


def secrets_told(world: World, run: Run) -> list[str]:
    """I12: where the secret of the service's environment can be read."""
    places: dict[str, object] = {
        "an event": run.events,
        "the outcome": (run.outcome, run.last_line, getattr(run.error, "hint", ""), getattr(run.error, "detail", "")),
    }
    for name, host in world.hosts.items():
        files = host.directory(SERVICE)
        places[f"{name}'s records"] = (files.release, files.records, files.history, files.config_text, files.watch)
        places[f"{name}'s labels"] = [item.labels for item in host.containers.values()]
    return [place for place, content in places.items() if CANARY in repr(content)]
