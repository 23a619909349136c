"""Why hosts, and a run as a whole, would be refused. Hosts that are refused for the same stand together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rich.text import Text

from fleetdeploy.domain.forecast import RunRefusal
from fleetdeploy.domain.plan import Plan
from fleetdeploy.report.host_names import heading

_NAMES = 40
"""Columns for the names of hosts before a reason."""


def unreachable_lines(plan: Plan, *, word: str = "UNREACHABLE: ", every_name: bool = False) -> Iterator[Text]:
    """Hosts that could not be looked at, with the reason once for all that have the same."""
    hosts: dict[str, list[str]] = {}
    for name, reason in plan.unreachable.items():
        hosts.setdefault(reason, []).append(name)
    for reason, names in hosts.items():
        yield from _lines(names, word, reason, every_name=every_name)


def refusal_lines(plan: Plan, *, word: str = "REFUSED: ", every_name: bool = False) -> Iterator[Text]:
    """Every reason for which hosts are refused, once, with its hint below it."""
    hosts: dict[tuple[str, str], list[str]] = {}
    for refusal in plan.refusals:
        hosts.setdefault((refusal.message, refusal.hint), []).append(refusal.host)
    for (message, hint), names in hosts.items():
        yield from _lines(names, word, message, every_name=every_name)
        if hint:
            yield Text(f"    {hint}")


def run_refusal_lines(refusals: Iterable[RunRefusal], *, before: str = "", every_name: bool = False) -> Iterator[Text]:
    """Why the run would be refused."""
    for refusal in refusals:
        where = f"{refusal.where}: " if refusal.where else ""
        for row in f"{where}REFUSED: {refusal.message}".split("\n"):
            yield Text(f"{before}{row}", style="red")
        if every_name and not set(refusal.hosts) <= set(re.split(r"[ ,]+", refusal.message)):
            yield from map(Text, heading(refusal.hosts, before=f"{before}    all of them: ", every_name=True))
        if refusal.hint:
            yield Text(f"{before}    {refusal.hint}")


def _lines(names: list[str], word: str, message: str, *, every_name: bool) -> Iterator[Text]:
    """Names, the word and the message; what is longer than a line is printed in one, so that it can be searched."""
    first, *more = message.split("\n")
    *above, last = heading(names, after=f": {word}".rstrip(), width=_NAMES, every_name=every_name)
    for row in (*above, f"{last} {first}", *more):
        yield Text(row, style="red")
