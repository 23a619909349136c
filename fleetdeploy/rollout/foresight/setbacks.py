"""Releases that failed lately, by the journals of earlier runs: who comes by every few minutes leaves them alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from fleetdeploy.domain.observed import hash_in
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.plan import Activation, HostPlan
from fleetdeploy.planning.host import out_of_service
from fleetdeploy.rollout.journal.recorded_run import RecordedHost, RecordedRun, RunState
from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns
from fleetdeploy.rollout.verdict import FAILED, MIXED

LONGEST_S = 6 * 3600.0
"""A mended disk or driver is found by the same day, without anybody's help."""
_CLOCKS_S = 60.0
"""By more than that a run that has ended has not ended in the future: the clock was set back since then."""
_FAILED = frozenset({HostState.FAILED.value, HostState.REVERTED.value})
_NOTHING_NEW = frozenset({Activation.NOTHING, Activation.VERIFY})


@dataclass(frozen=True)
class Setback:
    """Releases that failed when they were tried last: in this run, on these hosts, at this Unix time; ``what`` are
    their services with the hash of their content. ``gap_s`` is how long before they had failed the time before; 0 where
    they had not.
    """

    run: str
    hosts: tuple[str, ...]
    ended_s: float
    what: frozenset[tuple[str, str]] = frozenset()
    gap_s: float = 0.0

    def over_s(self, first_s: float) -> float:
        """When it may be tried again, as Unix time: ``first_s`` later, and each time twice as long as it was left
        alone before.
        """
        return self.ended_s + min(max(first_s, 2 * self.gap_s), max(first_s, LONGEST_S))

    def holds(self, host: HostPlan) -> bool:
        """Whether the host has to wait: it would be brought what failed, and failed itself or is in service without it.

        One that is out, is drained by a run or owes the release waits for nothing else than to be brought there.
        """
        if self.what.isdisjoint(new_releases(host).items()):
            return False
        seen = [service.observed for service in host.services]
        waits = any(service.owes for service in seen) or out_of_service(host.host, seen, balancer_tells=False)
        return host.host.name in self.hosts or not waits


def new_releases(host: HostPlan) -> dict[str, str]:
    """What this host is to be brought, the hash of its content by service."""
    return {
        service.desired.name: hash_in(service.release_id)
        for service in host.services
        if service.activation not in _NOTHING_NEW
    }


def setback_of(runs: Path, hosts: Collection[HostPlan], *, now_s: float) -> Setback | None:
    """How what these hosts are to be brought failed last. None where it did not, or the newest run that tried it did
    not fail by it: it went well, or was killed or interrupted, and what it left half done is to be finished.
    """
    wanted = {pair for host in hosts for pair in new_releases(host).items()}
    last: Setback | None = None
    for run in RecordedRuns.acting(runs) if wanted else ():
        if run.ended_s is None or run.ended_s < now_s - 3 * LONGEST_S:
            break
        tried = {name for name, services in run.releases.items() if wanted & set(services.items())}
        if not tried or run.ended_s > now_s + _CLOCKS_S:
            continue
        if run.state is not RunState.FINISHED or run.exit_code not in {FAILED, MIXED}:
            break
        failed = {name: what for name in sorted(tried) if (what := wanted & _failed(run, name))}
        if not failed:
            continue
        if last is not None:
            return replace(last, gap_s=max(0.0, last.ended_s - run.ended_s))
        last = Setback(run.id, tuple(failed), run.ended_s, frozenset().union(*failed.values()))
    return last


def _failed(run: RecordedRun, name: str) -> set[tuple[str, str]]:
    """What the host failed with, as far as its step tells the service; nothing where it did not fail."""
    host = run.hosts.get(name)
    return set(_services(host, run.releases[name]).items()) if host is not None and host.state in _FAILED else set()


def _services(host: RecordedHost, releases: Mapping[str, str]) -> Mapping[str, str]:
    service = host.failed.service if host.failed else ""
    return {service: releases[service]} if service in releases else releases
