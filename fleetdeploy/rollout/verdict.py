"""From every host's outcome to the run's exit code and its last line."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fleetdeploy.domain.outcome import FAILURES, HostOutcome, HostState, RunOutcome

OK, FAILED, MIXED, SOME_SKIPPED = 0, 3, 4, 8


def judge(
    run: str, hosts: Mapping[str, HostOutcome], *, allowed: Collection[str], interrupted: int, again: str
) -> RunOutcome:
    """The run's outcome.

    ``allowed`` are hosts that were unreachable before the run began and that it was told to go on without,
    ``interrupted`` is a signal number or 0, ``again`` the command that continues the run. Exit code 3 is kept for the
    case that every touched host is back on what it served before; a host that was changed and stays so while another
    failed makes the fleet mixed.
    """
    mixed = [name for name, item in hosts.items() if item.mixed]
    failed = [name for name, item in hosts.items() if item.state in FAILURES and name not in allowed]
    changed = [name for name, item in hosts.items() if item.state is HostState.CHANGED]
    activated = [name for name in changed if hosts[name].activated]
    reverted = [name for name, item in hosts.items() if item.state is HostState.REVERTED]
    left_out = [name for name, item in hosts.items() if item.state is HostState.SKIPPED]
    if mixed:
        code = MIXED
        text = f"FAILED: {_names(mixed)}: not known to serve what it served before; look at `fleetdeploy status`"
    elif interrupted:
        code = 128 + interrupted
        text = f"INTERRUPTED: changed {_names(changed)}; continue with: {again}"
    elif (failed or left_out) and activated:
        code = MIXED
        text = f"FAILED: {_names(failed)}; the fleet is mixed: {_names(activated)} changed; mend it, then: {again}"
    elif failed or left_out:
        code = FAILED
        state = f"{_names(reverted)} reverted, " if reverted else ""
        text = f"FAILED: {_names(failed)}; {state}every host serves what it served before"
    else:
        skipped = [name for name in hosts if name in allowed]
        done = f"{len(changed)} of {len(hosts)} hosts changed" if changed else f"{len(hosts)} hosts, nothing to do"
        code = SOME_SKIPPED if skipped else OK
        text = f"PARTLY: {done}, skipped as unreachable: {_names(skipped)}" if skipped else f"OK: {done}"
    return RunOutcome(run, code, text, hosts)


def _names(hosts: list[str]) -> str:
    shown = ", ".join(hosts[:5]) or "nothing"
    return f"{shown} and {len(hosts) - 5} more" if len(hosts) > 5 else shown
