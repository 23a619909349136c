"""From every host's outcome to the run's exit code and its last line."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState, RunOutcome

OK, FAILED, MIXED, SOME_SKIPPED, HELD = 0, 3, 4, 8, 9


def judge(
    run: str,
    hosts: Mapping[str, HostOutcome],
    *,
    allowed: Collection[str],
    interrupted: int,
    again: str,
    taken_back: Collection[str] = (),
    stopped: str = "",
    held: bool = False,
) -> RunOutcome:
    """The run's outcome.

    ``allowed`` are hosts that were unreachable before the run began and that it was told to go on without,
    ``interrupted`` is a signal number or 0, ``again`` the command that continues the run, ``taken_back`` the hosts that
    went well and were reverted with those that failed, ``stopped`` why the run ended early, ``held`` that a person did
    not agree to its going on. Exit code 3 is kept for the case that every touched host is back on what it served
    before; a host that was changed and stays so while another failed makes the fleet mixed. So does a failure after all
    of them were switched over: nothing is back, and a person is needed.
    """
    mixed = [name for name, item in hosts.items() if item.mixed]
    failed = [name for name, item in hosts.items() if item.state in FAILURES and name not in allowed]
    changed = [name for name, item in hosts.items() if item.state is HostState.CHANGED]
    activated = [name for name, item in hosts.items() if item.activated]
    reverted = [name for name, item in hosts.items() if item.state is HostState.REVERTED]
    left_out = [name for name, item in hosts.items() if item.state is HostState.SKIPPED]
    blame = _names(own) if (own := [name for name in failed if name not in taken_back]) else stopped
    behind = [name for name in (*failed, *left_out) if name not in activated]
    if mixed:
        code = MIXED
        text = (
            f"FAILED: {_names(mixed)}: not known to serve what it served before; "
            f"look with `fleetdeploy status`, mend it, then: {again}"
        )
    elif interrupted:
        code = 128 + interrupted
        also = f", failed {_names(failed)}" if failed else ""
        switched = f"{_names(activated)} switched over" if activated else "nothing was switched over"
        text = f"INTERRUPTED: {switched}{also}; continue with: {again}"
    elif held and not failed:
        code = HELD
        switched = f"{_names(activated)} switched over" if activated else "nothing was switched over"
        text = f"HELD: {stopped}; {switched}; go on with: {again}"
    elif behind and activated:
        code = MIXED
        text = f"FAILED: {blame}; the fleet is mixed: {_names(activated)} changed; mend it, then: {again}"
    elif behind:
        code = FAILED
        state = f"{_names(reverted)} reverted, " if reverted else ""
        lost = any(hosts[name].state is HostState.UNREACHABLE for name in failed)
        every = "every host that was touched" if lost else "every host"
        text = f"FAILED: {blame}; {state}{every} serves what it served before"
    elif failed:
        code = MIXED
        text = f"FAILED: {_names(failed)}, after every host was switched over; mend it, then: {again}"
    else:
        skipped = [name for name in hosts if name in allowed]
        total = "1 host" if len(hosts) == 1 else f"{len(hosts)} hosts"
        done = f"{len(changed)} of {total} changed" if changed else f"{total}, nothing to do"
        code = SOME_SKIPPED if skipped else OK
        text = f"PARTLY: {done}, skipped as unreachable: {_names(skipped)}" if skipped else f"OK: {done}"
    return RunOutcome(run, code, text, hosts)


def _names(hosts: list[str]) -> str:
    shown = ", ".join(hosts[:5]) or "nothing"
    return f"{shown} and {len(hosts) - 5} more" if len(hosts) > 5 else shown
