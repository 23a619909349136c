"""Hosts whose release the others of their fleet have left behind, by what was seen of all of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from fleetdeploy.domain.observed import ObservedHost, Present, Release
from fleetdeploy.domain.plan import Plan


def behind(plan: Plan, names: Collection[str]) -> Mapping[str, str]:
    """Those of ``names`` that serve what none of the other hosts does any longer, and what each of them has and the
    others have. Where the others are unlike among themselves, who is like one of them is not behind.
    """
    seen: dict[str, ObservedHost | None] = {name: item.observed for name, item in plan.hosts.items()}
    seen |= plan.beyond
    others = [host for name, host in seen.items() if host is not None and name not in names]
    found = {}
    for name in names:
        for service, release in _releases(seen.get(name)):
            theirs = [other for host in others for has, other in _releases(host) if has == service]
            if theirs and release.content_hash not in {other.content_hash for other in theirs}:
                found[name] = f"{name} has release {release.id} of {service}, the others have {theirs[0].id}"
    return found


def _releases(host: ObservedHost | None) -> Iterator[tuple[str, Release]]:
    for name, service in host.services.items() if host is not None else ():
        if isinstance(service.release, Present):
            yield name, service.release.value
