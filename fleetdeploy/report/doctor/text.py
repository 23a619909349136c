"""A line a host, under it what is wrong with it alone, and then once each what several hosts have alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from fleetdeploy.domain.checkup import Finding, Health
from fleetdeploy.report.doctor.verdict import ORDER, Diagnosis, health_of, tally
from fleetdeploy.report.host_names import COLUMNS, shortened
from fleetdeploy.report.safe_text import safe_lines
from fleetdeploy.report.wording import counted

MANY = 20
"""With more hosts than that, those with the same verdict share a line."""
_WORDS = {Health.BAD: "problem", Health.UNKNOWN: "unknown", Health.WARN: "warning", Health.OK: "ok"}
_STYLES = {Health.BAD: "red", Health.UNKNOWN: "magenta", Health.WARN: "yellow", Health.OK: "green"}
_INDENT = 11
HERE = "this machine"


def lines(found: Diagnosis, *, verbose: bool = False) -> Iterator[Text]:
    """Everything but the last line, each sentence whole: whoever prints it breaks it. ``verbose`` shows what is fine as
    well, and hides nothing behind numbers.
    """
    yield from safe_lines(_lines(found, verbose=verbose))


def _lines(found: Diagnosis, *, verbose: bool) -> Iterator[Text]:
    width = max(map(len, (HERE, *found.hosts)))
    yield _verdict(HERE, found.controller, width, verbose=verbose)
    yield from _under(found.controller, verbose=verbose)
    shared = {} if verbose else _shared(found.hosts)
    if verbose or len(found.hosts) <= MANY:
        for name, findings in found.hosts.items():
            yield _verdict(name, findings, width, verbose=verbose)
            own = [item for item in findings if item not in shared]
            yield from _under(own, verbose=verbose, host=name)
    else:
        yield from _together(found.hosts, shared)
    for names, findings in _by_hosts(shared).items():
        everywhere = len(names) == len(found.hosts)
        yield Text("")
        yield Text(f"on all {len(names)} hosts" if everywhere else _named(names), style="bold")
        for finding in findings:
            yield from _finding(finding, "HOST")
    if shared:
        yield Text("")


def _by_hosts(shared: Mapping[Finding, Sequence[str]]) -> Mapping[tuple[str, ...], list[Finding]]:
    """Findings of the very same hosts stand under one heading."""
    found: dict[tuple[str, ...], list[Finding]] = {}
    for finding, names in shared.items():
        found.setdefault(tuple(names), []).append(finding)
    return found


def _named(names: Sequence[str]) -> str:
    head = f"on {counted(len(names), 'host')}: "
    return head + shortened(names, COLUMNS - len(head))


def _together(hosts: Mapping[str, Sequence[Finding]], shared: Mapping[Finding, Sequence[str]]) -> Iterator[Text]:
    """Hosts with findings of their own have lines of their own; the others are counted by their verdict."""
    alike: dict[tuple[Health, str], list[str]] = {}
    width = max(map(len, (HERE, *hosts)))
    for name, findings in hosts.items():
        own = [item for item in findings if item not in shared and _worth(item)]
        if own:
            yield _verdict(name, findings, width, verbose=False)
            yield from _under(own, verbose=False, host=name)
        else:
            alike.setdefault((health_of(findings), tally(findings)), []).append(name)
    for (health, told), names in sorted(alike.items(), key=lambda item: (*ORDER, Health.OK).index(item[0][0])):
        head = f"{counted(len(names), 'host')}"
        yield Text(f"{head:<{width}}  ", style="bold") + Text(told, style=_STYLES[health])
        each = health is not Health.OK and len(names) <= MANY
        yield Text("  " + (", ".join(names) if each else shortened(names, COLUMNS - 2)), style="dim")


def _verdict(name: str, findings: Sequence[Finding], width: int, *, verbose: bool) -> Text:
    aside = sum(item.aside and item.health is Health.UNKNOWN for item in findings)
    more = f" ({counted(aside, 'detail')} not known{'' if verbose else ': -v'})" if aside else ""
    told = tally(findings)
    return Text(f"{name:<{width}}  ", style="bold") + Text(told, style=_STYLES[health_of(findings)]) + Text(more, "dim")


def _shared(hosts: Mapping[str, Sequence[Finding]]) -> dict[Finding, list[str]]:
    """What two hosts or more have word for word; the worst first, then what most have."""
    found: dict[Finding, list[str]] = {}
    for name, findings in hosts.items():
        for item in dict.fromkeys(findings):
            if _worth(item):
                found.setdefault(item, []).append(name)
    several = [(item, names) for item, names in found.items() if len(names) > 1]
    return dict(sorted(several, key=lambda pair: (ORDER.index(pair[0].health), -len(pair[1]))))


def _worth(item: Finding) -> bool:
    return item.health is not Health.OK and not item.aside


def _under(findings: Sequence[Finding], *, verbose: bool, host: str = "HOST") -> Iterator[Text]:
    order = (*ORDER, Health.OK)
    for item in sorted(findings, key=lambda item: order.index(item.health)):
        if verbose or _worth(item):
            yield from _finding(item, host)


def _finding(item: Finding, host: str) -> Iterator[Text]:
    """The sentence, why it matters, and the fix, each a line of its own, so that the last can be copied."""
    yield Text("  ") + Text(f"{_WORDS[item.health]:<{_INDENT - 2}}", style=_STYLES[item.health]) + Text(item.what)
    if item.why:
        yield Text(" " * _INDENT + item.why, style="dim")
    if item.fix and item.health is not Health.OK:
        yield Text(" " * _INDENT + f"> {item.fix.replace('{host}', host)}", style="cyan")
