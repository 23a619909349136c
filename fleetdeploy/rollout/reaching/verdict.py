"""From every host's end to the exit code and the last line of a person's own command."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState, RunOutcome
from fleetdeploy.rollout.naming import NAMED, named

OK, FAILED, UNREAD = 0, 4, 141


def judge(
    run: str,
    outcomes: Sequence[HostOutcome],
    *,
    interrupted: int,
    unread: bool,
    again: Callable[[Sequence[str]], str],
) -> RunOutcome:
    """4 where the command failed or a host could not be reached: what it did there is for a person to see. 128 and the
    number of the signal where one ended it, 141 where nobody read what it printed. ``again`` is the command line for
    these hosts, for all with none.
    """
    hosts = {item.host: item for item in outcomes}
    failed = [item.host for item in outcomes if item.state in FAILURES]
    left = [item.host for item in outcomes if item.state is HostState.SKIPPED]
    well = sum(item.state is HostState.OK for item in outcomes)
    of = f"{well} of {len(hosts)}" if well < len(hosts) else str(len(hosts))
    done = f"done on {of} host{'' if len(hosts) == 1 else 's'}"
    bad = f", not well on {named(failed)}" if failed else ""
    some = (*failed, *left)
    next_time = again(some if len(some) <= NAMED else ())
    if interrupted or unread:
        code = 128 + interrupted if interrupted else UNREAD
        rest = f"; continue with: {next_time}" if some else ""
        return RunOutcome(run, code, f"INTERRUPTED: {done}{bad}{rest}", hosts, next_time if some else "")
    if failed:
        text = f"FAILED: {named(failed)}; {done}; mend it, then: {next_time}"
        return RunOutcome(run, FAILED, text, hosts, next_time)
    return RunOutcome(run, OK, f"OK: {done}", hosts)
