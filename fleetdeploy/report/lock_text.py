"""Leases and local locks as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import wrap

from rich.text import Text

from fleetdeploy.domain.lease import Lease
from fleetdeploy.report.safe_text import safe_lines
from fleetdeploy.report.times import lasted
from fleetdeploy.report.wording import counted
from fleetdeploy.rollout.locks.local import Note
from fleetdeploy.rollout.locks.view import Seen

FORMAT = 1
"""The version of the JSON. A key that goes, or means something else, is a new one."""
_HEAD = ("HOST", "SERVICE", "OWNER", "RUN", "HELD FOR", "FREE IN", "NUMBER")


def lines(seen: Seen, here: Mapping[str, Note], *, broken: bool = False, width: int | None = None) -> Iterator[Text]:
    """A row a lease, then hosts that a run on this machine has locked without a lease, then what could not be asked.

    ``broken``: these leases have just been broken. A table that is wider than ``width`` is told run by run; None lets
    it be as wide as it is.
    """
    yield from safe_lines(_lines(seen, here, broken=broken, width=width))


def _lines(seen: Seen, here: Mapping[str, Note], *, broken: bool, width: int | None) -> Iterator[Text]:
    leased = {(host, lease.holder.run) for (host, _), lease in seen.leases.items()}
    only_here = {host: note for host, note in here.items() if (host, note.run) not in leased}
    rows = [
        (
            host,
            service,
            lease.holder.owner,
            lease.holder.run,
            lasted(lease.age_s),
            lasted(lease.left_s),
            str(lease.fence),
        )
        for (host, service), lease in seen.leases.items()
    ]
    rows += [
        (host, "(this machine)", f"{note.user}, pid {note.pid}", note.run, lasted(note.age_s), "when it ends", "-")
        for host, note in only_here.items()
    ]
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    if rows and width is not None and sum(widths) + 2 * (len(widths) - 1) > width:
        yield from _by_run(seen, only_here, width)
    elif rows:
        for number, row in enumerate([_HEAD, *rows]):
            text = "  ".join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True)).rstrip()
            yield Text(text, style="" if number else "bold")
    for (host, service), lease in seen.anew.items():
        yield Text(f"{host}: NOT BROKEN: {service} is leased by {lease.holder} by now", style="red")
    for host, why in seen.failed.items():
        yield Text(f"{host}: CANNOT BE ASKED: {why}", style="red")
    yield Text(_last_line(seen, here, broken=broken), style="bold")


def _by_run(seen: Seen, here: Mapping[str, Note], width: int) -> Iterator[Text]:
    """Who it is, then a line a lease, and the hosts that are only locked here together."""
    names = {lease.holder.run: lease.holder.owner for lease in seen.leases.values()}
    names |= {
        note.run: f"{note.user}, pid {note.pid} on this machine" for note in here.values() if note.run not in names
    }
    for run, owner in names.items():
        yield Text(f"run {run} of {owner}", style="bold")
        held = {place: lease for place, lease in seen.leases.items() if lease.holder.run == run}
        longest = [max(map(len, column), default=0) for column in zip(*held, strict=True)]
        for place, lease in held.items():
            where = "  ".join(f"{name:<{size}}" for name, size in zip(place, longest, strict=True))
            long = f"held for {lasted(lease.age_s)}, free in {lasted(lease.left_s)}, number {lease.fence}"
            fits = len(where) + len(long) + 4 <= width
            yield from map(Text, [f"  {where}  {long}"] if fits else [f"  {where.rstrip()}", f"      {long}"])
        if locked := [host for host, note in here.items() if note.run == run]:
            text = f"locked on this machine until it ends: {', '.join(locked)}"
            yield from map(Text, wrap(text, width, initial_indent="  ", subsequent_indent="      "))


def _last_line(seen: Seen, here: Mapping[str, Note], *, broken: bool) -> str:
    if broken:
        none = "no lease was broken" if seen.anew else "nobody held a lease"
        count = counted(len(seen.leases), "lease")
        done = f"{count} broken: the holder changes nothing more there" if seen.leases else none
    else:
        runs = {lease.holder.run for lease in seen.leases.values()} | {note.run for note in here.values()}
        hosts = {host for host, _ in seen.leases} | set(here)
        works = "works" if len(runs) == 1 else "work"
        done = f"{counted(len(runs), 'run')} {works} on {counted(len(hosts), 'host')}"
        done = done if runs else "nobody works on these hosts"
    unknown = f"; {counted(len(seen.failed), 'host')} cannot be asked" if seen.failed else ""
    return f"LOCKS: {done}{unknown}"


def as_json(seen: Seen, here: Mapping[str, Note], *, broken: bool = False) -> dict[str, object]:
    """The same as JSON values; times in seconds."""
    leases = [_row(host, service, lease) for (host, service), lease in seen.leases.items()]
    local = [
        {"host": host, "user": note.user, "pid": note.pid, "run": note.run, "held_for": round(note.age_s)}
        for host, note in here.items()
    ]
    found: dict[str, object] = {"format": FORMAT, "broken" if broken else "leases": leases}
    found |= {"local": local, "failed": dict(seen.failed)}
    if broken:
        found["anew"] = [_row(host, service, lease) for (host, service), lease in seen.anew.items()]
    return found


def _row(host: str, service: str, lease: Lease) -> dict[str, object]:
    return {
        "host": host,
        "service": service,
        "owner": lease.holder.owner,
        "run": lease.holder.run,
        "held_for": round(lease.age_s),
        "free_in": round(lease.left_s),
        "number": lease.fence,
    }
