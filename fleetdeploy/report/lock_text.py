"""Leases and local locks as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from fleetdeploy.domain.lease import Lease
from fleetdeploy.report.safe_text import safe_lines
from fleetdeploy.rollout.locks.local import Note
from fleetdeploy.rollout.locks.view import Seen

_HEAD = ("HOST", "SERVICE", "OWNER", "RUN", "HELD FOR", "FREE IN", "NUMBER")


def lines(seen: Seen, here: Mapping[str, Note], *, broken: bool = False, width: int | None = None) -> Iterator[Text]:
    """A row a lease, then a row a host that a run on this machine has locked, then what could not be asked.

    ``broken``: these leases have just been broken. A table that is wider than ``width`` is told in words, a few short
    lines a row; None lets it be as wide as it is.
    """
    yield from safe_lines(_lines(seen, here, broken=broken, width=width))


def _lines(seen: Seen, here: Mapping[str, Note], *, broken: bool, width: int | None) -> Iterator[Text]:
    rows = [
        (host, service, lease.holder.owner, lease.holder.run, _time(lease.age_s), _time(lease.left_s), str(lease.fence))
        for (host, service), lease in seen.leases.items()
    ]
    rows += [
        (host, "(this machine)", f"{note.user}, pid {note.pid}", note.run, _time(note.age_s), "when it ends", "-")
        for host, note in here.items()
    ]
    if rows:
        yield from _table(rows, width)
    for (host, service), lease in seen.anew.items():
        yield Text(f"{host}: NOT BROKEN: {service} is leased by {lease.holder} by now", style="red")
    for host, why in seen.failed.items():
        yield Text(f"{host}: CANNOT BE ASKED: {why}", style="red")
    yield Text(_last_line(seen, here, broken=broken), style="bold")


def _table(rows: Sequence[tuple[str, ...]], width: int | None) -> Iterator[Text]:
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, strict=True)]
    if width is None or sum(widths) + 2 * (len(widths) - 1) <= width:
        for number, row in enumerate([_HEAD, *rows]):
            text = "  ".join(f"{cell:<{size}}" for cell, size in zip(row, widths, strict=True)).rstrip()
            yield Text(text, style="" if number else "bold")
        return
    for host, service, owner, run, held, free, fence in rows:
        yield Text(f"{host}  {service}", style="bold")
        yield Text(f"    {owner}")
        yield Text(f"    {run}")
        yield Text(f"    held for {held}, free {'' if free.startswith('when') else 'in '}{free}, number {fence}")


def _last_line(seen: Seen, here: Mapping[str, Note], *, broken: bool) -> str:
    word = "LOCKS"
    count = len(seen.leases)
    leases = "1 lease" if count == 1 else f"{count} leases"
    if broken:
        none = "no lease was broken" if seen.anew else "nobody held a lease"
        done = f"{leases} broken: the holder changes nothing more there" if count else none
    else:
        done = f"{leases} on hosts" if count or here else "nobody works on these hosts"
    unknown = f"; {len(seen.failed)} hosts cannot be asked" if len(seen.failed) > 1 else ""
    unknown = unknown or ("; 1 host cannot be asked" if seen.failed else "")
    return f"{word}: {done}{unknown}"


def as_json(seen: Seen, here: Mapping[str, Note], *, broken: bool = False) -> dict[str, object]:
    """The same as JSON values; times in seconds."""
    leases = [_row(host, service, lease) for (host, service), lease in seen.leases.items()]
    local = [
        {"host": host, "user": note.user, "pid": note.pid, "run": note.run, "held_for": round(note.age_s)}
        for host, note in here.items()
    ]
    found: dict[str, object] = {"broken" if broken else "leases": leases, "local": local, "failed": dict(seen.failed)}
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


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
