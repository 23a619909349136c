"""A simulated fleet, its controllers and what has to be true of it after whatever happens (I1 to I13)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant
from simulation.controller import HERE, Run, deploy, plays
from simulation.debts import SimDebts
from simulation.rollback import back_plays, rollback
from simulation.wire import Killed, Trouble, changes
from simulation.world import POOLS, SERVICE, TakenOut, World

from fleetdeploy.domain.observed import VersionOnDisk
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.domain.service import DesiredService

from .fleet_checks import (
    Wrong,
    interleaved,
    kept_leases,
    left_out,
    let_in,
    not_told,
    not_true,
    retried_blindly,
    secrets_told,
    tell,
)
from .fleet_faults import FIRST, HOSTS, PLAIN, STRANGE, THERE, How, by_hand, maintenance, mend, ours_to_put_back
from .fleets import new


def _call(run: Run, trouble: Trouble) -> int:
    """Which of the run's calls the trouble was at, from 1; 0 where it came to none."""
    found = [at for at, (_, method) in enumerate(run.calls, 1) if trouble.count == "calls" or changes(method)]
    return found[trouble.at - 1] if trouble.at <= len(found) else 0


class FleetLife(RuleBasedStateMachine):
    """``wanted`` is what the inventory says now; ``withheld`` are hosts that a person drained in the balancer,
    ``maintained`` those that a person has in maintenance there, ``foreign`` what others have on the hosts, ``rotten``
    the versions that were cut short.
    """

    def __init__(self) -> None:
        super().__init__()
        self.world: World = new(*HOSTS)
        self.wanted: DesiredService = FIRST
        self.debts = {HERE: SimDebts(), THERE: SimDebts()}
        self.withheld: set[str] = set()
        self.maintained: set[str] = set()
        self.foreign: dict[tuple[str, str], str] = {}
        self.strange: set[str] = set()
        self.rotten: dict[tuple[str, int], VersionOnDisk] = {}
        self.too_many: list[TakenOut] = []
        self.wrong = Wrong()

    # One run

    def run(
        self,
        wanted: DesiredService,
        how: How = PLAIN,
        trouble: Trouble | None = None,
        *,
        back: bool = False,
        sinks: Sequence[Callable[..., None]] = (),
        alone: bool = True,
    ) -> Run | None:
        """One run, and what it says of itself; None for one that could say nothing. ``alone`` is whether no other run
        came between.
        """
        if how.mended:
            self.everything_is_mended()
        self.world.clock.skip(1.0)  # a run's id is its time
        before, seen, out = self.world.serves_all(), len(self.world.taken_out), self.world.balancer_down
        keys: dict[str, Any] = {
            "confirm_timeout_s": 30.0 if how.watched else 0.0,
            "on_failure": how.on_failure,
            "max_unavailable": Quantity(how.most),
        }
        options: dict[str, Any] = {
            "trouble": trouble,
            "owner": how.owner,
            "debts": self.debts[how.owner],
            "allow_unreachable": how.allow_unreachable,
            "sinks": sinks,
        }
        try:
            if back:
                run = rollback(self.world, wanted, run_plays=back_plays(HOSTS, **keys), **options)
            else:
                bound = plays(HOSTS, **keys)
                run = deploy(self.world, wanted, run_plays=bound, allow_remove=True, again=how.again, **options)
        except (Killed, ZeroDivisionError) as error:
            tell(f"ended by {error!r}")
            return None
        except AssertionError as error:
            self.wrong.add("I10", [error])
            return None
        finally:
            self.too_many += [item for item in self.world.taken_out[seen:] if len(item.others) >= how.most]
            self.wrong.add("I7", interleaved(self.world.acts))
            theirs = {host for host, _ in self.foreign}
            self.wrong.add(
                "I8", [f"{act}, where others have a name of ours" for act in self.world.acts if act[1] in theirs]
            )
        tell(f"{run.code}: {run.last_line}")
        self._judge(run, trouble)
        who = run.events[0].run if run.events else ""
        reached = not out and not self.world.balancer_down and not self.world.lies
        if all(host.reachable for host in self.world.hosts.values()) and reached:
            refused = run.calls[_call(run, trouble) - 1] if trouble and _call(run, trouble) else ("", "")
            self.wrong.add("I7", kept_leases(self.world, who, refused))
            if alone:
                self.wrong.add("I6", left_out(self.world, before, run, withheld=self.by_hand | self.debtors))
        if alone and not out and not self.world.balancer_down and not self.world.lies:
            self.wrong.add("I6", let_in(self.world, self.debts[how.owner], run))
        if alone:
            goal = None if back else wanted
            self.wrong.add("I9", not_true(self.world, before, goal, run, withheld=self.by_hand))
            self.wrong.add("I9", not_told(run, self.maintained))
        return run

    @property
    def by_hand(self) -> set[str]:
        """The hosts that a person keeps out."""
        return self.withheld | self.maintained

    @property
    def debtors(self) -> set[str]:
        """The hosts that somebody remembers to be out because they were away."""
        return {debt.host for debts in self.debts.values() for _, debt in debts.everybodys()}

    def _judge(self, run: Run, trouble: Trouble | None) -> None:
        self.wrong.add("I12", secrets_told(self.world, run))
        if trouble and trouble.kind == "drop":
            self.wrong.add("I11", retried_blindly(run, _call(run, trouble)))

    def second(self, wanted: DesiredService, how: How) -> None:
        """A run of another controller in the middle of this one: where a lease is held it changes nothing."""
        world, now_s = self.world, self.world.clock.monotonic_s()
        live = {
            name
            for name, host in world.hosts.items()
            if (lease := host.leases.get(SERVICE)) and (held := lease.seen(now_s + 1.0)) and held.live
        }
        kept = world.counted, world.acts, world.told_out
        self.run(wanted, how)
        self.wrong.add("I7", [f"{act}, which was held" for act in world.acts if act[1] in live])
        world.counted, world.acts, world.told_out = kept[0], [*kept[1], *world.acts], kept[2]

    # What has to be true

    def everything_is_mended(self) -> None:
        """No fault is left, nobody interferes, and an hour has passed."""
        self.finds_them_again()
        self.foreign_things_go()
        self.withheld_hosts_come_back()
        mend(self.world, self.rotten)
        self.rotten = {}
        for host in self.world.hosts.values():
            host.full = False
        self.world.lies, self.world.balancer_down = set(), False
        self.world.clock.skip(3_600)
        self.world.record()

    def finds_them_again(self) -> None:
        for host in self.world.hosts.values():
            host.reachable = True

    def foreign_things_go(self) -> None:
        for host, name in self.foreign:
            self.world.hosts[host].containers.pop(name, None)
        self.foreign = {}

    def withheld_hosts_come_back(self) -> None:
        for host in self.withheld:
            by_hand(self.world, host, out=False)
        self.withheld = set()
        for host in sorted(self.maintained):
            drained = [debt for debts in self.debts.values() for _, debt in debts.everybodys() if debt.drained]
            ours = ours_to_put_back(self.world, host) or host in {debt.host for debt in drained}
            # What a run left half-way is handed back as it was: nobody has proven it.
            maintenance(self.world, host, over="drain" if ours else "ready")
        self.maintained = set()

    def check_all(self) -> None:
        """All of them, for a sequence that is played again."""
        for _, check in inspect.getmembers(self, inspect.ismethod):
            if re.match(r"I\d+: ", check.__doc__ or "") and check.__name__ != "teardown":
                check()

    @invariant()
    def nobody_is_taken_out_beyond_what_is_allowed(self) -> None:
        """I1: who was drained while as many others were out as may be, and the run had been told so, was too many."""
        assert self.too_many == []

    @invariant()
    def every_version_directory_is_whole(self) -> None:
        """I2: a version directory is absent or complete, unless it rotted or is somebody else's."""
        for name, host in self.world.hosts.items():
            for number, item in host.directory(SERVICE).versions.get("ranker", {}).items():
                if number != STRANGE and (name, number) not in self.rotten:
                    assert sum(item.sizes_bytes.values()) == 200, (name, number)

    @invariant()
    def no_request_and_no_good_version_was_lost(self) -> None:
        """I3: nothing that served ended under traffic, or left memory before its successor had answered."""
        assert self.world.lost == [], self.world.lost

    @invariant()
    def the_last_good_versions_are_still_on_disk(self) -> None:
        """I4: the versions of the recorded release are there, and those of the one before it in the history, unless it
        is what a rollback left for good.
        """
        for name, host in self.world.hosts.items():
            files = host.directory(SERVICE)
            *before, now = files.history or [None]
            needed = [line for line in before[-1:] if now and line and now.took_back != line.content_hash]
            for line in filter(None, [*needed, now]):
                assert set(line.models["ranker"]) <= set(files.versions.get("ranker", {})), (name, line)

    @invariant()
    def no_healthy_host_is_left_out(self) -> None:
        """I6: after a run that ended by itself and reached everything, whoever answers gets requests."""
        assert self.wrong.of("I6") == [], self.wrong.of("I6")

    @invariant()
    def leases_end_and_runs_never_interleave(self) -> None:
        """I7: a run that ended holds nothing, no lease outlives its time, and who lost one changes nothing more."""
        assert self.wrong.of("I7") == []

    @invariant()
    def what_is_not_ours_is_as_it_was(self) -> None:
        """I8: foreign containers and files stay, and whom a person keeps out stays out."""
        assert self.wrong.of("I8") == []
        for (host, name), made in self.foreign.items():
            there = self.world.hosts[host].containers.get(name)
            assert there is not None, (host, name)
            assert (there.id, there.status) == (made, "exited")
        for host in self.strange:
            assert STRANGE in self.world.hosts[host].directory(SERVICE).versions["ranker"], host
        for host in self.withheld:
            assert all((pool, host) in self.world.drained for pool in POOLS), host
        for host in self.maintained:
            assert all((pool, host) in self.world.maintenance for pool in POOLS), host

    @invariant()
    def exit_codes_and_last_lines_are_true(self) -> None:
        """I9: the fleet bears out what each run said of itself."""
        assert self.wrong.of("I9") == []

    @invariant()
    def no_run_waits_without_a_deadline(self) -> None:
        """I10: nobody has waited longer than all deadlines of a run together."""
        assert self.wrong.of("I10") == []

    @invariant()
    def nothing_is_retried_before_it_was_read_back(self) -> None:
        """I11: after an answer that was lost, the host is looked at before the same is done again."""
        assert self.wrong.of("I11") == []

    @invariant()
    def secrets_are_told_nowhere(self) -> None:
        """I12: no event, outcome, record or label has the secret of the service's environment."""
        assert self.wrong.of("I12") == []

    @invariant()
    def a_plan_changes_nothing(self) -> None:
        """I13: to look makes no call that changes anything, and leaves every host as it was."""
        assert self.wrong.of("I13") == []
