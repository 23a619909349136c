"""Where a rollback takes each host: found out once, and held to by whoever carries the run on.

Hosts whose containers differ have releases of their own, so that no single name says where all of them go; and a host
that is back already must not be taken for one that has yet to go.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.errors import PlanOutdated

if TYPE_CHECKING:
    from fleetdeploy.planning.rollback import Key

Aims = Mapping[str, Mapping[str, str]]
"""Of each host of a run the content hashes that its services go back to: none yet for one that could not be asked."""


def of_runs(runs: Path, ids: Sequence[str]) -> Aims:
    """Those of the first of these runs that kept any; an older version, and a run that touched nothing, kept none."""
    from fleetdeploy.cli.changing import wishes

    return next(filter(None, (wishes.aims_of(runs / run) for run in ids)), {})


def given(arguments: argparse.Namespace) -> Aims:
    """Those of the run that is carried on; empty where none is."""
    found: Aims = getattr(arguments, "aims", {})
    return found


def need_resume(arguments: argparse.Namespace, aims: Aims) -> bool:
    """Whether no command line says where all hosts go: one step back is another one for a host that is back, and where
    one goes that could not be asked is not known yet.
    """
    found = contents(aims)
    return not arguments.release and (len(found) > 1 or (bool(found) and not all(aims.values())))


def by_key(aims: Aims) -> Mapping[Key, str]:
    """The same by host and service."""
    return {(host, service): content for host, of_host in aims.items() for service, content in of_host.items()}


def joined(earlier: Aims, hosts: Collection[str], found: Mapping[Key, str]) -> Aims:
    """Those of a run about these hosts: what is known from earlier stays, also for a host that it could not ask."""
    known: dict[str, dict[str, str]] = {name: {} for name in hosts}
    for (host, service), content in {**found, **by_key(earlier)}.items():
        known[host][service] = content
    return known


def contents(aims: Aims) -> frozenset[str]:
    """All content hashes that hosts go back to."""
    return frozenset(by_key(aims).values())


def check_hosts(arguments: argparse.Namespace, hosts: Mapping[str, Collection[str]]) -> None:
    """That a run which is carried on is still about the same hosts, here with the names of their services.

    Raises PlanOutdated with what differs.
    """
    from fleetdeploy.rollout.naming import named

    then = given(arguments)
    gone = [name for name in then if name not in hosts]
    gone += [f"{service} on {name}" for name, service in by_key(then) if service not in hosts.get(name, {service})]
    new = [name for name in hosts if name not in then]
    if not then or not (gone or new):
        return
    told = [f"{named(gone)} no longer there"] if gone else []
    told += [f"{named(new)} new"] if new else []
    raise PlanOutdated(
        f"the hosts of this rollback have changed since run {arguments.resumed_runs[0]} began: {'; '.join(told)}",
        hint="nothing was touched; give it the hosts that it had, or begin anew and name the release: "
        "fleetdeploy rollback RELEASE",
    )
