"""One line a host and service, for fleets that no screen holds in blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from rich.text import Text

from fleetdeploy.domain.observed import Absent, ObservedService, Present, State, Traffic, Unknown
from fleetdeploy.domain.plan import Activation, HostPlan, Plan
from fleetdeploy.report.fleet_state import Members, key_refused_at, pools_of, services_of
from fleetdeploy.report.safe_text import safe, safe_line
from fleetdeploy.report.status.parts import (
    NO_DEBTS,
    container_of,
    lasting,
    models_of,
    of_the_fleet,
    plan_of,
    seen_of,
    served_of,
    up_s,
)
from fleetdeploy.report.wording import counted
from fleetdeploy.rollout.debt.ledger import Debt
from fleetdeploy.rollout.host.watching import told_watch

MOST_IN_BLOCKS = 5
"""Up to so many hosts fit a screen in blocks."""

HEADINGS = ("HOST", "SERVICE", "RELEASE", "UP", "TRAFFIC", "DRIFT", "SERVES")
NOTHING, NOT_KNOWN = "-", "?"


def table(plan: Plan, members: Members, owed: Mapping[str, Debt] = NO_DEBTS, *, most: int = 0) -> Iterator[Text]:
    """The fleet as it is, as by :func:`~fleetdeploy.report.status.blocks.lines`.

    ``-`` is what there is not, ``?`` what is not known. What may be long stands last, so that a narrow terminal costs
    none of the marks. With ``most``, no more lines than that are given: what is as it shall be is left out first.
    """
    refused = (
        Text(f"{name}: HOST KEY REFUSED: {'; '.join(refusal.message for refusal in host.refusals)}", style="red")
        for name, host in plan.hosts.items()
        if key_refused_at(host)
    )
    heads = [safe_line(line) for line in (*of_the_fleet(plan, members, owed), *refused)]
    if most and len(heads) > most // 2:
        heads = [*heads[: most // 2 - 1], _more(len(heads) - most // 2 + 1)]
    yield from heads
    rows = [row for host in plan.hosts.values() for row in _rows(host, members)]
    if not rows:
        return
    shown = [[safe(cell) for cell in row] for row in (HEADINGS, *rows)]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    headings, *lines = (
        Text(
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip(),
            style=_style(row) if number else "bold",
        )
        for number, row in enumerate(shown)
    )
    yield headings
    room = most - len(heads) - 1
    if not most or len(lines) <= room:
        yield from lines
        return
    # Sorting is stable: hosts stay in the inventory's order.
    kept = sorted(range(len(lines)), key=lambda number: not lines[number].style)[: max(room - 1, 1)]
    yield from (lines[number] for number in sorted(kept))
    yield _more(len(lines) - len(kept))


def _more(count: int) -> Text:
    return Text(f"... and {counted(count, 'more line')}", style="dim")


def _rows(host: HostPlan, members: Members) -> Iterator[tuple[str, ...]]:
    name = host.host.name
    if key_refused_at(host):
        yield (name, NOTHING, NOT_KNOWN, NOT_KNOWN, NOT_KNOWN, "key refused", NOT_KNOWN)
        return
    for service in services_of(host):
        seen = seen_of(host, service)
        yield (
            name,
            service,
            _release(seen),
            _up(host, seen),
            _traffic(host, service, members),
            _drift(host, service),
            _serves(host, service),
        )


def _release(seen: ObservedService) -> str:
    if isinstance(seen.release, Present):
        return seen.release.value.content_hash
    return NOT_KNOWN if isinstance(seen.release, Unknown) else NOTHING


def _up(host: HostPlan, seen: ObservedService) -> str:
    if isinstance(seen.container, Unknown):
        return NOT_KNOWN
    container = container_of(seen)
    if container is None:
        return NOTHING
    if not container.running:
        return container.status
    seconds = up_s(host, container)
    return NOT_KNOWN if seconds is None else lasting(seconds)


def _traffic(host: HostPlan, service: str, members: Members) -> str:
    pools = pools_of(host, service)
    reading = members.get(host.host.name, Absent())
    if not pools or isinstance(reading, Absent):
        return NOTHING
    if isinstance(reading, Unknown):
        return NOT_KNOWN
    by_pool = {member.pool: member.traffic.value for member in reading.value}
    return "/".join(dict.fromkeys(by_pool.get(pool, "no server") for pool in pools))


def _drift(host: HostPlan, service: str) -> str:
    """One mark, of what a person would look at first."""
    plan, seen = plan_of(host, service), seen_of(host, service)
    if host.refusals:
        return "refused"
    if told_watch(seen):
        return "watchdog"
    if plan is not None and plan.activation is not Activation.NOTHING:
        return str(plan.activation.value)
    if isinstance(seen.drained_by, Present):
        return "drained"
    return "not on disk" if plan is not None and plan.stage else NOTHING


def _serves(host: HostPlan, service: str) -> str:
    """``ranker:2 embedder:1 AVAILABLE, ranker:3 LOADING``; versions that ended well are left out beside others."""
    seen = seen_of(host, service)
    found, rest = list[tuple[State, str]](), list[str]()
    for model in models_of(host, service):
        reading = served_of(seen, model)
        if isinstance(reading, Present) and reading.value:
            gone = reading.value[0].state is not State.END
            kept = [item for item in reading.value if item.error or not (gone and item.state is State.END)]
            for state, items in groupby(kept, key=lambda item: item.state):
                found.append((state, f"{model}:{','.join(str(item.number) for item in items)}"))
        elif isinstance(reading, Unknown):
            rest.append(f"{model}:{NOT_KNOWN}")
        else:
            rest.append(f"{model}:{NOTHING}")
    by_state: dict[State, list[str]] = {}
    for state, text in found:
        by_state.setdefault(state, []).append(text)
    return ", ".join([*(f"{' '.join(texts)} {state.value}" for state, texts in by_state.items()), *rest]) or NOTHING


def _style(row: list[str]) -> str:
    cells = dict(zip(HEADINGS, row, strict=True))
    if cells["DRIFT"] in {"refused", "key refused"} or NOT_KNOWN in {cells["RELEASE"], cells["TRAFFIC"]}:
        return "red"
    fine = cells["DRIFT"] == NOTHING and cells["TRAFFIC"] in {NOTHING, Traffic.UP.value}
    return "" if fine else "yellow"
