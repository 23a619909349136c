"""A block a host: what was seen first, then what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text

from fleetdeploy.domain.observed import Absent, ObservedService, PoolMember, Present, Traffic, Unknown
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.gates.readiness import describe
from fleetdeploy.report.fleet_state import Members, key_refused_at, pools_of, services_of
from fleetdeploy.report.safe_text import safe_lines
from fleetdeploy.report.status.parts import (
    NO_DEBTS,
    drift_of,
    image_of,
    models_of,
    of_the_fleet,
    plan_of,
    seen_of,
    served_of,
    up_s,
    worth_telling,
)
from fleetdeploy.report.times import lasted
from fleetdeploy.report.wording import size
from fleetdeploy.rollout.debt.ledger import Debt
from fleetdeploy.rollout.host.watching import told_watch


def lines(
    plan: Plan, members: Members, owed: Mapping[str, Debt] = NO_DEBTS, *, every_version: bool = False
) -> Iterator[Text]:
    """The fleet as it is. ``members`` holds each host's servers as its balancer reports them, ``owed`` what hosts have
    missed. Without ``every_version``, versions that ended well are counted beside others.
    """
    yield from safe_lines(_lines(plan, members, owed, every_version=every_version))


def _lines(plan: Plan, members: Members, owed: Mapping[str, Debt], *, every_version: bool) -> Iterator[Text]:
    yield from of_the_fleet(plan, members, owed)
    told = {""}
    for name, host in plan.hosts.items():
        yield from _gpus(name, host)
        for service in services_of(host):
            yield from _service(host, service, members, every_version=every_version)
        for refusal in host.refusals:
            word = "HOST KEY REFUSED" if key_refused_at(host) else "REFUSED"
            for row in f"  {word}: {refusal.message}".split("\n"):
                yield Text(row, style="red")
            if (alike := _for_any_host(refusal.hint, host)) not in told:
                told.add(alike)
                yield Text(f"    {refusal.hint}")


def _for_any_host(hint: str, host: HostPlan) -> str:
    """The hint less what is the host's own, so that one that all hosts have is told once."""
    link = host.host.connection
    return hint.replace(f"-p {link.port or 22} {link.address}", "-p PORT HOST")


def _service(host: HostPlan, name: str, members: Members, *, every_version: bool) -> Iterator[Text]:
    plan, seen = plan_of(host, name), seen_of(host, name)
    yield Text(f"  {name}: release {_release(seen)}")
    yield Text(f"    container  {_container(host, seen)}")
    if isinstance(seen.container, Present):
        yield Text(
            f"    image      {' '.join(filter(None, (image_of(host, name), seen.container.value.image_id[:19])))}"
        )
    models = models_of(host, name)
    width = max(10, *map(len, models), 0)
    for model in models:
        yield Text(f"    {model:<{width}} {_served(seen, model, every_version=every_version)}")
    reading = members.get(host.host.name, Absent())
    if isinstance(reading, Present):
        for pool in pools_of(host, name):
            yield _traffic(pool, reading.value, host)
    if watch := told_watch(seen):
        yield Text(f"    watchdog   {watch.told}", style="yellow")
    for reason in drift_of(plan, seen):
        yield Text(f"    drift      {reason}", style="yellow")


def _release(seen: ObservedService) -> str:
    if isinstance(seen.release, Present):
        release = seen.release.value
        return release.id + (f", in place of {release.took_back}, which was taken back" if release.took_back else "")
    return f"unknown: {seen.release.reason}" if isinstance(seen.release, Unknown) else "none recorded"


def _container(host: HostPlan, seen: ObservedService) -> str:
    if isinstance(seen.container, Present):
        facts = seen.container.value
        up = up_s(host, facts)
        since = f" for {lasted(up)}, since {facts.started_at[:19].replace('T', ' ')}Z" if up is not None else ""
        restarts = f", {facts.restart_count} restarts" if facts.restart_count else ""
        return f"{facts.name} {facts.status}{since}{restarts}"
    return f"unknown: {seen.container.reason}" if isinstance(seen.container, Unknown) else "none"


def _served(seen: ObservedService, model: str, *, every_version: bool) -> str:
    reading = served_of(seen, model)
    if isinstance(reading, Present):
        told = reading.value if every_version else worth_telling(reading.value)
        gone = len(reading.value) - len(told)
        return describe(told) + (f" (and {gone} other{'s' * (gone > 1)} at END)" if gone else "")
    return f"unknown: {reading.reason}" if isinstance(reading, Unknown) else "not served"


def _traffic(pool: str, members: tuple[PoolMember, ...], host: HostPlan) -> Text:
    member = next((member for member in members if member.pool == pool), None)
    if member is None:
        server = host.host.balancer.server if host.host.balancer else host.host.name
        return Text(f"    balancer   {pool} ") + Text(f"has no server {server}", style="yellow")
    style = "green" if member.traffic is Traffic.UP else "yellow"
    return Text(f"    balancer   {pool} ") + Text(member.traffic.value, style=style)


def _gpus(name: str, host: HostPlan) -> Iterator[Text]:
    title = Text(name, style="bold")
    gpus = host.observed.gpus.value if isinstance(host.observed.gpus, Present) else ()
    if not gpus:
        yield title
        return
    yield title + Text(f"  {len(gpus)} x {gpus[0].name}", style="dim")
    cards = ", ".join(f"{gpu.index}: {size(gpu.memory_used_bytes)} of {size(gpu.memory_bytes)}" for gpu in gpus)
    yield Text(f"  GPU memory in use  {cards}", style="dim")
