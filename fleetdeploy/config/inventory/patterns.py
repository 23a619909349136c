"""Ansible's host patterns, with Ansible's results: ``web:db``, ``web:&rack1``, ``all:!gpu03``, ``gpu*``,
``~gpu[0-9]+``, ``web[0]``, ``web[0:2]``, ``@file``; and ``gpu:memory>=40GiB``, which is ours.

See Ansible's guide "Patterns: targeting hosts and groups". Terms are taken in the order union, intersection,
exclusion, whatever their order in the text. Where Ansible warns and goes on (a name or glob that matches nothing,
also in an exclusion), the pattern is refused: a typo would widen or empty the target.
"""

from __future__ import annotations

import fnmatch
import re
import warnings
from collections.abc import Iterator

from fleetdeploy.config.inventory.gpu_selector import SELECTOR, hosts_with
from fleetdeploy.config.inventory.load import host_order
from fleetdeploy.config.inventory.ranges import is_ip
from fleetdeploy.config.inventory.regex_cost import Costly, check_regex
from fleetdeploy.config.syntax.suggest import nearest
from fleetdeploy.config.syntax.text_file import home_path, read_text
from fleetdeploy.domain.inventory import Inventory
from fleetdeploy.errors import InputError, PatternError

_SUBSCRIPT = re.compile(
    r"(?P<name>.+)\[(?:(?P<index>-?[0-9]{1,9})|(?P<first>[0-9]{1,9})(?P<between>[:-])(?P<last>[0-9]{0,9}))\]"
)
_BETWEEN_COLONS = re.compile(rf"[&!]?{SELECTOR.pattern}(?=\s*(?::|$))|(?:[^\s:\[\]]|\[[^\]]*\])+")
_GLOB = frozenset("*?[")
_CUTOFF = 0.65
"""So that every short name is not like `ungrouped`."""
_MOST_MEANT = 4
_LIST_LIMIT_BYTES = 4 * 1024 * 1024
_MOST_LINES = 50_000
_LONGEST_TERM = 4096


def select(inventory: Inventory, pattern: str, *, limit: str | None = None) -> tuple[str, ...]:
    """The hosts that ``pattern`` names, less those that ``limit`` does not name, in Ansible's order.

    Raises PatternError when a name in either does not exist, when a term matches nothing, or when no host is left.
    """
    chosen = _evaluate(inventory, pattern, "pattern")
    if limit is None:
        return chosen
    allowed = set(_evaluate(inventory, limit, "limit"))
    left = tuple(host for host in chosen if host in allowed)
    if not left:
        raise PatternError(
            f"no host is in both the pattern {pattern!r} and the limit {limit!r}",
            hint=f"the pattern stands for {_listed(chosen)}",
        )
    return left


def split(pattern: str) -> tuple[str, ...]:
    """The terms of a pattern: between commas if there are any, else between colons."""
    text = pattern.strip()
    if max(map(len, text.split(","))) > _LONGEST_TERM:
        raise PatternError(
            f"the pattern {text[:60]!r}... has a term of more than {_LONGEST_TERM:,} characters",
            hint="put commas between hosts, or write them into a file and name it as @FILE",
        )
    if "," in text:
        terms = text.split(",")
    elif is_ip(text) or text.startswith("@"):
        terms = [text]
    else:
        terms = [found[0] for found in _BETWEEN_COLONS.finditer(text)]
        if re.sub(r"[\s:]", "", text) != re.sub(r"[\s:]", "", "".join(terms)):
            raise PatternError(f"the pattern {pattern!r} has an unmatched bracket", hint="close or remove it")
    return tuple(term.strip() for term in terms if term.strip())


def _evaluate(inventory: Inventory, pattern: str, what: str) -> tuple[str, ...]:
    terms = tuple(_with_files(split(pattern)))
    unions = [term for term in terms if term[0] not in "&!"]
    if not terms:
        raise PatternError(f"the {what} is empty", hint="name hosts or groups; `all` stands for every host")
    result = dict.fromkeys(host for term in unions or ["all"] for host in _matches(inventory, term, pattern))
    for term in terms:
        if term[0] == "&":
            kept = set(_matches(inventory, _operand(term, pattern), pattern))
            result = {host: None for host in result if host in kept}
    for term in terms:
        if term[0] == "!":
            dropped = set(_matches(inventory, _operand(term, pattern), pattern))
            result = {host: None for host in result if host not in dropped}
    if not result:
        raise PatternError(
            f"the {what} {pattern!r} matches no host", hint="see what is there with `fleetdeploy inventory graph`"
        )
    return tuple(result)


def _operand(term: str, pattern: str) -> str:
    if len(term) < 2 or term[1] in "&!":
        raise PatternError(
            f"{term!r} in the pattern {pattern!r} is not followed by a name", hint="write `all:&group` or `all:!group`"
        )
    return term[1:]


def _with_files(terms: tuple[str, ...]) -> Iterator[str]:
    """The terms, with each ``@file`` replaced by the terms on the lines of that file."""
    for term in terms:
        if not term.startswith("@"):
            yield term
            continue
        path = home_path(term[1:])
        try:
            text = read_text(path, what="host list", limit_bytes=_LIST_LIMIT_BYTES)
        except InputError as error:
            raise PatternError(error.message, where=error.where, hint=error.hint) from None
        lines = text.splitlines()
        if len(lines) > _MOST_LINES:
            raise PatternError(
                f"a host list of more than {_MOST_LINES:,} lines", where=str(path), hint="name a group instead"
            )
        inner = [item for line in lines if line.strip()[:1] not in {"", "#"} for item in split(line)]
        if not inner:
            raise PatternError("the host list is empty", where=str(path), hint="one host or pattern a line")
        if any(item.startswith("@") for item in inner):
            raise PatternError("a host list cannot name another one", where=str(path), hint="write the hosts down")
        yield from inner


def _matches(inventory: Inventory, term: str, pattern: str) -> tuple[str, ...]:
    """The hosts of one term, without its ``&`` or ``!``."""
    if SELECTOR.fullmatch(term):
        return hosts_with(inventory, term, order=host_order(inventory.groups, "all"))
    if term.startswith("~"):
        return _named(inventory, term, _regex(term[1:]), pattern)
    found = _SUBSCRIPT.fullmatch(term)
    if not found:
        return _named(inventory, term, _glob(term), pattern)
    if found["between"] == "-":
        raise PatternError(
            f"{term!r} in the pattern {pattern!r}: ranges are not written with `-`",
            hint=f"write {found['name']}[{found['first']}:{found['last']}]",
        )
    hosts = _named(inventory, found["name"], _glob(found["name"]), pattern)
    if found["index"]:
        index = int(found["index"])
        chosen = hosts[index:][:1] if -len(hosts) <= index else ()
    else:
        chosen = hosts[int(found["first"]) : int(found["last"]) + 1 if found["last"] else None]
    if not chosen and hosts:
        raise PatternError(
            f"{term!r} in the pattern {pattern!r} selects none of the {len(hosts)} hosts of {found['name']!r}",
            hint="indexes count from 0, and the end of a range is included",
        )
    return chosen


def _named(inventory: Inventory, term: str, matcher: re.Pattern[str], pattern: str) -> tuple[str, ...]:
    """The hosts of all matching groups, and all matching hosts, as Ansible collects them."""
    groups = [name for name in inventory.groups if matcher.match(name)]
    found = dict.fromkeys(host for name in groups for host in host_order(inventory.groups, name))
    is_plain = not term.startswith("~") and not _GLOB & set(term)
    if not groups or not is_plain:
        found.update(dict.fromkeys(name for name in inventory.hosts if matcher.match(name)))
    if not groups and not found:
        problem = "is neither a group nor a host" if is_plain else "matches no group and no host"
        hint = (is_plain and _meant(inventory, term)) or f"groups: {', '.join(inventory.groups)}"
        inside = f" (in the pattern {pattern!r})" if term != pattern else ""
        raise PatternError(f"{term!r} {problem}{inside}", hint=hint)
    return tuple(found)


def _meant(inventory: Inventory, term: str) -> str:
    """Hosts before groups: whoever takes a suggestion for granted must not get more hosts than they named.

    A word without a number that is more like a group than like any host was not meant as one host: both are named.
    """
    labels: dict[str, list[str]] = {}
    for name in inventory.hosts:
        labels.setdefault(name.partition(".")[0].lower(), []).append(name)
    hosts, label, group = labels.get(term.lower(), []), "", ""
    if not hosts:
        label = nearest(term, labels, cutoff=_CUTOFF)
        close = nearest(term, inventory.hosts, cutoff=_CUTOFF)
        hosts = [close] if close else labels.get(label, [])
        group = nearest(term, inventory.groups, cutoff=_CUTOFF)
        if hosts and (re.search("[0-9]", term) or nearest(term, [label or close, group]) != group):
            group = ""
    meant = [f"{group!r}{' (a group)' if hosts else ''}"] if group else []
    meant += map(repr, hosts[:_MOST_MEANT])
    return f"did you mean {' or '.join(meant)}?" if meant else ""


def _glob(term: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(term))


def _regex(text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            # Python warns about sets such as `[[`, which a later version may read in another way.
            warnings.simplefilter("ignore", FutureWarning)
            compiled = re.compile(text)
        check_regex(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise PatternError(
            f"~{text} is not a regular expression: {error}", hint="note that `:` and `,` end a term"
        ) from None
    except Costly as error:
        raise PatternError(
            f"~{text} might never come to an end: {error}",
            hint="repeat single letters or sets only, as in ~gpu[0-9]+; a glob such as gpu* often does",
        ) from None
    return compiled


def _listed(hosts: tuple[str, ...], most: int = 8) -> str:
    more = f" and {len(hosts) - most} more" if len(hosts) > most else ""
    return ", ".join(hosts[:most]) + more
