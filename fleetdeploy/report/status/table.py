"""One line a host and service, for fleets that no screen holds in blocks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.text import Text

from fleetdeploy.domain.observed import Absent, ObservedService, Present, State, Traffic, Unknown
from fleetdeploy.domain.plan import Activation, HostPlan, Plan
from fleetdeploy.report.fleet_state import Members, key_refused_at, pools_of, services_of
from fleetdeploy.report.safe_text import safe, safe_line
from fleetdeploy.report.status.parts import (
    NO_DEBTS,
    container_of,
    models_of,
    of_the_fleet,
    plan_of,
    seen_of,
    served_of,
    up_s,
    worth_telling,
)
from fleetdeploy.report.times import lasted
from fleetdeploy.report.wording import counted
from fleetdeploy.rollout.debt.ledger import Debt
from fleetdeploy.rollout.host.watching import told_watch

MOST_IN_BLOCKS = 5
"""Up to so many hosts fit a screen in blocks."""

HEADINGS = ("HOST", "SERVICE", "RELEASE", "UP", "TRAFFIC", "DRIFT", "SERVES")
NOTHING, NOT_KNOWN = "-", "?"
_STATE = re.compile(rf" ({'|'.join(state.value for state in State)})\b")
_Cells = Mapping[str, str]
"""A row's cells by their headings."""


def table(
    plan: Plan, members: Members, owed: Mapping[str, Debt] = NO_DEBTS, *, most: int = 0, width: int = 0
) -> Iterator[Text]:
    """The fleet as it is, as by :func:`~fleetdeploy.report.status.blocks.lines`.

    ``-`` is what there is not, ``?`` what is not known. With ``width``, words and then columns are left out until the
    lines are no wider, or only host, drift and what is served are left. That stands last, as it may be long: what is
    too wide even so costs none of the marks. With ``most``, no more lines than that are given: what is as it shall be
    is left out first.
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
    cells = [dict(zip(HEADINGS, map(safe, row), strict=True)) for row in rows]
    styles = ["bold", *map(_style, cells)]
    headings, *lines = map(Text, _aligned(cells, width), styles)
    yield headings
    room = most - len(heads) - 1
    if not most or len(lines) <= room:
        yield from lines
        return
    # Sorting is stable: hosts stay in the inventory's order.
    kept = sorted(range(len(lines)), key=lambda number: not lines[number].style)[: max(room - 1, 1)]
    yield from (lines[number] for number in sorted(kept))
    yield _more(len(lines) - len(kept))


def _aligned(cells: Sequence[_Cells], width: int) -> list[str]:
    """The headings and the rows, each in one line."""
    columns = list(HEADINGS)
    found = _in_columns(cells, columns)
    if not width or max(map(cell_len, found)) <= width:
        return found
    cells = [{**row, "SERVES": _in_short(row["SERVES"])} for row in cells]
    elsewhere = len({row["SERVICE"] for row in cells}) > 1
    for leave in ("", "UP", "RELEASE", *(("TRAFFIC", "SERVICE") if elsewhere else ("SERVICE", "TRAFFIC"))):
        if leave == "TRAFFIC":
            cells = [{**row, "DRIFT": _of_both(row)} for row in cells]
        columns = [name for name in columns if name != leave]
        found = _in_columns(cells, columns)
        if max(map(cell_len, found)) <= width:
            break
    return found


def _in_short(served: str) -> str:
    """Without a word where all is AVAILABLE."""
    short = served.removesuffix(f" {State.AVAILABLE.value}")
    return served if _STATE.search(short) else short


def _of_both(row: _Cells) -> str:
    """What differs, or else that the host gets no requests, or not all of them."""
    return row["DRIFT"] if row["DRIFT"] != NOTHING or _gets_requests(row) else row["TRAFFIC"]


def _gets_requests(row: _Cells) -> bool:
    return row["TRAFFIC"] in {NOTHING, Traffic.UP.value}


def _in_columns(cells: Sequence[_Cells], columns: Sequence[str]) -> list[str]:
    shown = [columns, *([row[name] for name in columns] for row in cells)]
    widths = [max(map(cell_len, column)) for column in zip(*shown, strict=True)]
    return [
        "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]


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
    return NOT_KNOWN if seconds is None else lasted(seconds)


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
            for state, items in groupby(worth_telling(reading.value), key=lambda item: item.state):
                found.append((state, f"{model}:{','.join(str(item.number) for item in items)}"))
        elif isinstance(reading, Unknown):
            rest.append(f"{model}:{NOT_KNOWN}")
        else:
            rest.append(f"{model}:{NOTHING}")
    by_state: dict[State, list[str]] = {}
    for state, text in found:
        by_state.setdefault(state, []).append(text)
    return ", ".join([*(f"{' '.join(texts)} {state.value}" for state, texts in by_state.items()), *rest]) or NOTHING


def _style(row: _Cells) -> str:
    if row["DRIFT"] in {"refused", "key refused"} or NOT_KNOWN in {row["RELEASE"], row["TRAFFIC"]}:
        return "red"
    return "" if row["DRIFT"] == NOTHING and _gets_requests(row) else "yellow"
