"""Releases that failed lately, by the journals of earlier runs: who comes by every few minutes leaves them alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.domain.observed import hash_in
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.plan import Activation, HostPlan
from fleetdeploy.rollout.journal.recorded_run import RecordedHost, RecordedRun, RecordedRuns, RunState
from fleetdeploy.rollout.verdict import FAILED, MIXED, OK, SOME_SKIPPED

LONGEST_S = 6 * 3600.0
"""A mended disk or driver is found by the same day, without anybody's help."""
_FAILED = frozenset({HostState.FAILED.value, HostState.REVERTED.value})
_NOTHING_NEW = frozenset({Activation.NOTHING, Activation.VERIFY})


@dataclass(frozen=True)
class Setback:
    """A release that failed when it was tried last: in this run, on these hosts, at this Unix time. ``gap_s`` is how
    long before it had failed the time before; 0 where it had not.
    """

    run: str
    hosts: tuple[str, ...]
    ended_s: float
    gap_s: float = 0.0

    def over_s(self, first_s: float) -> float:
        """When it may be tried again, as Unix time: ``first_s`` later, and each time twice as long as it was left
        alone before.
        """
        return self.ended_s + min(max(first_s, 2 * self.gap_s), max(first_s, LONGEST_S))


def new_releases(host: HostPlan) -> dict[str, str]:
    """What this host is to be brought, the hash of its content by service."""
    return {
        service.desired.name: hash_in(service.release_id)
        for service in host.services
        if service.activation not in _NOTHING_NEW
    }


def setback_of(runs: Path, hosts: Collection[HostPlan], *, now_s: float) -> Setback | None:
    """How what these hosts are to be brought failed last; None where it did not, or went well since then."""
    wanted = {pair for host in hosts for pair in new_releases(host).items()}
    last: Setback | None = None
    for run in RecordedRuns.acting(runs) if wanted else ():
        if run.ended_s is None or run.ended_s < now_s - 3 * LONGEST_S:
            break
        tried = {name for name, services in run.releases.items() if wanted & set(services.items())}
        if run.state is not RunState.FINISHED or not tried:
            continue
        if run.exit_code in {OK, SOME_SKIPPED}:
            break
        failed = tuple(name for name in sorted(tried) if _failed(run, name, wanted))
        if run.exit_code not in {FAILED, MIXED} or not failed:
            continue
        if last is not None:
            return Setback(last.run, last.hosts, last.ended_s, gap_s=max(0.0, last.ended_s - run.ended_s))
        last = Setback(run.id, failed, run.ended_s)
    return last


def _failed(run: RecordedRun, name: str, wanted: Collection[tuple[str, str]]) -> bool:
    """Whether the host failed, and by a service that is wanted so again, as far as its step tells the service."""
    host = run.hosts.get(name)
    if host is None or host.state not in _FAILED:
        return False
    return any(pair in wanted for pair in _services(host, run.releases[name]).items())


def _services(host: RecordedHost, releases: Mapping[str, str]) -> Mapping[str, str]:
    service = host.failed.service if host.failed else ""
    return {service: releases[service]} if service in releases else releases
