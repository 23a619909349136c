"""From every host's outcome to the run's exit code and its last line."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState, RunOutcome
from fleetdeploy.rollout.naming import named

OK, FAILED, MIXED, SOME_SKIPPED, HELD = 0, 3, 4, 8, 9
CHANGED = "changed"


def judge(
    run: str,
    hosts: Mapping[str, HostOutcome],
    *,
    allowed: Collection[str],
    interrupted: int,
    again: str,
    stopped: str = "",
    held: bool = False,
    pending: Collection[str] = (),
    deed: str = CHANGED,
    exposed: Sequence[str] = (),
) -> RunOutcome:
    """The run's outcome.

    ``allowed`` are hosts that were unreachable before the run began and that it was told to go on without,
    ``interrupted`` is a signal number or 0, ``again`` the command that continues the run, ``stopped`` why the run
    ended early, ``held`` that a person did not agree to its going on, ``pending`` the hosts that need more than the
    tasks that were chosen do, ``deed`` what the run does to a host, in one word, ``exposed`` the hosts that could not
    be reached and may still get requests with what they served before. Exit code 3 is kept for the case that every
    touched host is back on what it served before; a host that was changed and stays so while another failed makes the
    fleet mixed. So does a failure after all of them were switched over: nothing is back, and a person is needed.
    """
    mixed = [name for name, item in hosts.items() if item.mixed]
    failed = [name for name, item in hosts.items() if item.state in FAILURES and name not in allowed]
    changed = [name for name, item in hosts.items() if item.state is HostState.CHANGED]
    activated = [name for name, item in hosts.items() if item.activated]
    reverted = [name for name, item in hosts.items() if item.state is HostState.REVERTED]
    left_out = [name for name, item in hosts.items() if item.state is HostState.SKIPPED]
    blame = named(own) if (own := [name for name in failed if not hosts[name].taken_back]) else stopped
    behind = [name for name in (*failed, *left_out) if name not in activated]
    kept = [name for name, item in hosts.items() if item.taken_back and item.state is HostState.CHANGED]
    if mixed:
        code = MIXED
        text = (
            f"FAILED: {named(mixed)}: not known to serve what it served before"
            + (f", {named(kept)} {deed} and not taken back; " if kept else "; ")
            + f"look with `fleetdeploy status`, mend it, then: {again}"
        )
    elif interrupted:
        code = 128 + interrupted
        also = f", failed {named(failed)}" if failed else ""
        switched = f"{named(activated)} switched over" if activated else "nothing was switched over"
        text = f"INTERRUPTED: {switched}{also}; continue with: {again}"
    elif held and not failed:
        code = HELD
        switched = f"{named(activated)} switched over" if activated else "nothing was switched over"
        text = f"HELD: {stopped}; {switched}; go on with: {again}"
    elif behind and activated:
        code = MIXED
        text = f"FAILED: {blame}; the fleet is mixed: {named(activated)} {deed}; mend it, then: {again}"
    elif behind:
        code = FAILED
        state = f"{named(reverted)} reverted, " if reverted else ""
        # Of hosts that were not touched nobody says that they serve: one of them may be why it stopped.
        lost = not failed or any(hosts[name].state is HostState.UNREACHABLE for name in failed)
        every = "every host that was touched" if lost else "every host"
        undone = "" if deed == CHANGED else f"nothing was {deed}; "
        text = f"FAILED: {blame}; {undone}{state}{every} serves what it served before"
    elif failed or (stopped and activated):
        code = MIXED
        what = named(failed) if failed else stopped
        text = f"FAILED: {what}, after every host was switched over; mend it, then: {again}"
    elif stopped:
        code = FAILED
        text = f"FAILED: {stopped}; every host serves what it served before"
    else:
        skipped = [name for name in hosts if name in allowed]
        total = "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
        done = f"{len(changed)} of {total} {deed}" if changed else f"{total}, nothing to do"
        if pending:
            done += f"{'' if changed else ' with these tasks'}; {len(pending)} {_need(pending)} tasks not chosen"
        code = SOME_SKIPPED if skipped else OK
        text = f"PARTLY: {done}, skipped as unreachable: {named(skipped)}" if skipped else f"OK: {done}"
    if exposed and code in {MIXED, SOME_SKIPPED}:
        late = [name for name in exposed if name in hosts and hosts[name].taken_back]
        early = [name for name in exposed if name not in late]
        text += f"; {named(early)} may still get requests with what {_it(early)} served before" if early else ""
        text += f"; {named(late)} may still get requests, and could not be taken back" if late else ""
    return RunOutcome(run, code, text, hosts)


def _it(hosts: Collection[str]) -> str:
    return "it" if len(hosts) == 1 else "they"


def _need(hosts: Collection[str]) -> str:
    return "needs" if len(hosts) == 1 else "need"
