"""Which release each host goes back to: what was proven on it, and what a person asked for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fleetdeploy.config.syntax.suggest import nearest
from fleetdeploy.domain.observed import ObservedService, Present, ProvenRelease
from fleetdeploy.errors import InputError

MOST_SHOWN = 5
Key = tuple[str, str]
"""A host's name and a service's."""


@dataclass(frozen=True)
class Past:
    """What was proven of one service on one host, oldest first.

    ``current`` is the content hash of the release that is recorded as current, empty where none is. ``unfinished`` says
    that a rollback made it current and did not come to its end.
    """

    releases: tuple[ProvenRelease, ...]
    current: str = ""
    unfinished: bool = False


@dataclass(frozen=True)
class Goal:
    """The content hash to go back to; where it is empty, ``problem`` and ``hint`` say why there is none."""

    content: str = ""
    problem: str = ""
    hint: str = ""


def proven_here(observed: ObservedService) -> tuple[ProvenRelease, ...]:
    """What the host's history tells, oldest first, and the current release where the history does not end with it."""
    found = observed.history.value if isinstance(observed.history, Present) else ()
    if isinstance(observed.release, Present):
        current = observed.release.value
        if not found or found[-1].id != current.id:
            found = (*found, ProvenRelease(current.id, current.models, current.took_back))
    return found


def past_of(observed: ObservedService) -> Past:
    """A service's past as one look found it."""
    current = observed.release.value if isinstance(observed.release, Present) else None
    if current is None:
        return Past(proven_here(observed))
    # What the run that made it current has left: its marker, or its lease.
    left = isinstance(observed.drained_by, Present) or (
        isinstance(observed.lease, Present) and observed.lease.value.holder.run == current.run
    )
    return Past(proven_here(observed), current.content_hash, unfinished=bool(current.took_back) and left)


def taken_back(releases: Iterable[ProvenRelease]) -> Mapping[str, ProvenRelease]:
    """The content hashes that a rollback left and nobody has proven again since, with what came in their place."""
    left: dict[str, ProvenRelease] = {}
    for release in releases:
        left.pop(release.content_hash, None)
        if release.took_back:
            left[release.took_back] = release
    return left


def last_good(past: Past) -> str:
    """The content that was there last when the current one was proven for the first time, less what was taken back;
    empty where there is none.
    """
    order, left = [item.content_hash for item in past.releases], taken_back(past.releases)
    before = order[: order.index(past.current)] if past.current in order else order
    return next((content for content in reversed(before) if content not in left), "")


def goals(pasts: Mapping[Key, Past], wanted: str, aims: Mapping[Key, str] | None = None) -> Mapping[Key, Goal]:
    """Where each service goes back to; one that ``wanted`` does not stand for, on a host where another one does, is
    left out. Without ``wanted`` it is the last good release before the current one.

    ``aims`` are the contents that an earlier run found out and did not come to its end with. They hold, however far it
    came; the others are found out as if hosts with an aim were there.

    Raises InputError for a release that none has, or a name of several.
    """
    held = {key: Goal((aims or {})[key]) for key in pasts if key in (aims or {})}
    if len(held) == len(pasts):
        return held
    there = {
        key: replace(past, current=held[key].content, unfinished=True) if key in held else past
        for key, past in pasts.items()
    }
    return {**_found_out(there, wanted), **held}


def _found_out(pasts: Mapping[Key, Past], wanted: str) -> Mapping[Key, Goal]:
    by_service: dict[str, dict[Key, Past]] = {}
    for key, past in pasts.items():
        by_service.setdefault(key[1], {})[key] = past
    if not wanted:
        return {key: goal for part in by_service.values() for key, goal in _as_one(part, _before(part)).items()}
    found = _named(pasts, wanted)
    if not any(found.values()):
        close = nearest(wanted, {name for past in pasts.values() for item in past.releases for name in names_of(item)})
        raise InputError(f"no host has proven a release {wanted!r}", hint=f"did you mean {close!r}?" if close else "")
    served = {host for (host, _), contents in found.items() if contents}
    return {
        key: goal
        for part in by_service.values()
        for key, goal in _chosen(part, found, wanted).items()
        if goal.content or key[0] not in served
    }


def _before(pasts: Mapping[Key, Past]) -> Mapping[Key, Goal]:
    """One step back for one service on all of its hosts.

    A host that serves already what others go back to stays there, whatever it had before: so a rollback that ended
    half-way, and one after a rollout that did, brings all hosts to one release.
    """
    steps = {key: past.current if past.unfinished else last_good(past) for key, past in pasts.items()}
    aims = {content for key, content in steps.items() if content != pasts[key].current or pasts[key].unfinished}
    ahead = {key for key, past in pasts.items() if past.current not in aims}
    reached = {steps[key] for key in ahead} | {past.current for past in pasts.values() if past.unfinished}
    found = {}
    for key, past in pasts.items():
        if key not in ahead and past.current in reached:
            found[key] = Goal(past.current)
        elif key in ahead and steps[key]:
            found[key] = Goal(steps[key])
        elif key in ahead:
            found[key] = Goal("", f"nothing good was proven here before {_now(past)}")
        else:
            problem = f"{_now(past)} is neither what the other hosts leave nor what they go back to"
            found[key] = Goal("", problem, "name the release, or --limit the run")
    return found


def _as_one(pasts: Mapping[Key, Past], found: Mapping[Key, Goal]) -> Mapping[Key, Goal]:
    """``found``, refused on all hosts where it would bring hosts that have a release in common to different ones.

    Hosts of one service whose containers differ have releases of their own, and nothing in common.
    """
    there = {key: {past.current, *(item.content_hash for item in past.releases)} for key, past in pasts.items()}
    aims = {key: goal.content for key, goal in found.items() if goal.content}
    if not any(
        aims[one] != aims[two] and (pasts[one].current == pasts[two].current or aims[one] in there[two])
        for one in aims
        for two in aims
    ):
        return found
    rows: dict[str, list[str]] = {}
    for key, content in aims.items():
        newest = [item for item in pasts[key].releases if item.content_hash == content][-1:]
        rows.setdefault(described(newest), []).append(key[0])
    listed = "; ".join(f"{', '.join(hosts)} to {release}" for release, hosts in rows.items())
    problem = f"the last good releases differ from host to host: {listed}"
    return {key: Goal("", problem, "name the release") if goal.content else goal for key, goal in found.items()}


def _named(pasts: Mapping[Key, Past], wanted: str) -> Mapping[Key, frozenset[str]]:
    """The contents that ``wanted`` stands for on each host. A whole id or hash is no part of another one."""
    if "=" in wanted:
        return {key: frozenset(_newest_with(past, wanted)) for key, past in pasts.items()}
    whole = {key: _matching(past, lambda item: wanted in {item.id, item.content_hash}) for key, past in pasts.items()}
    if any(whole.values()):
        return whole
    return {key: _matching(past, lambda item: wanted in item.id) for key, past in pasts.items()}


def _matching(past: Past, fits: Callable[[ProvenRelease], bool]) -> frozenset[str]:
    return frozenset(item.content_hash for item in past.releases if fits(item))


def _newest_with(past: Past, wanted: str) -> Iterator[str]:
    """The release proven last of those that serve MODEL=VERSION, one that was not taken back first."""
    model, _, number = wanted.partition("=")
    fitting = [item for item in past.releases if number in map(str, item.models.get(model, ()))]
    left = taken_back(past.releases)
    fitting.sort(key=lambda item: item.content_hash not in left)  # keeps the order of the rest
    yield from (item.content_hash for item in fitting[-1:])


def _chosen(pasts: Mapping[Key, Past], found: Mapping[Key, frozenset[str]], wanted: str) -> Mapping[Key, Goal]:
    """For one service. A host may have proven what is meant in another run, under another id."""
    everywhere = frozenset(content for key in pasts for content in found[key])
    chosen = {}
    for key, past in pasts.items():
        contents = found[key] or everywhere & {item.content_hash for item in past.releases}
        if len(contents) > 1:
            listed = ", ".join(item.id for item in past.releases if item.content_hash in contents)
            raise InputError(
                f"{wanted!r} stands for several releases of {key[1]} on {key[0]}: {listed}", hint="name one"
            )
        problem = f"release {wanted} was never proven here"
        chosen[key] = Goal(*contents) if contents else Goal("", problem, "--limit the run to the others")
    return chosen


def _now(past: Past) -> str:
    ids = [item.id for item in past.releases if item.content_hash == past.current]
    return f"the current release {ids[-1]}" if ids else "no release is current"


def described(releases: Sequence[ProvenRelease]) -> str:
    """The newest releases with their versions, newest first."""
    newest = list({item.content_hash: item for item in releases}.values())[::-1]
    more = f" and {len(newest) - MOST_SHOWN} more" if len(newest) > MOST_SHOWN else ""
    shown = ", ".join(f"{item.id}{_versions(item)}" for item in newest[:MOST_SHOWN])
    return f"{shown}{more}" if shown else "nothing"


def _versions(release: ProvenRelease) -> str:
    models = "; ".join(f"{name} {', '.join(map(str, numbers))}" for name, numbers in release.models.items())
    return f" ({models})" if models else ""


def names_of(release: ProvenRelease) -> tuple[str, str]:
    """What stands for it alone, whatever else begins like it."""
    return release.id, release.content_hash


def offered(pasts: Mapping[Key, Past], possible: Mapping[Key, Collection[str]], command: Callable[[str], str]) -> str:
    """What the hosts of one service can go back to, by the contents that are ``possible`` on each: those that are so on
    every host, and as ``command`` says it the one that is the fewest steps back.
    """
    shared = [
        content
        for content in _ways(next(iter(pasts.values())))
        if all(content in possible[key] for key in pasts) and any(content != past.current for past in pasts.values())
    ]
    if not shared:
        rows: dict[str, list[str]] = {}
        for key, past in pasts.items():
            rows.setdefault(_listed(past, set(possible[key]) - {past.current}), []).append(key[0])
        listed = "; ".join(f"{', '.join(hosts)}: {text}" for text, hosts in rows.items())
        return f"no release is possible on every host; {listed}"
    past = next(iter(pasts.values()))
    left = {content for past in pasts.values() for content in taken_back(past.releases)}
    good = [content for content in shared if content not in left]
    nearest_one = f"; the nearest: `{command(good[0])}`" if good else ""
    return f"possible on every host: {_listed(past, shared)}{nearest_one}"


def _ways(past: Past) -> list[str]:
    """The contents that were proven, the last good one first, then those before it, then the others."""
    order = list(dict.fromkeys(item.content_hash for item in past.releases))
    at, left = order.index(past.current) if past.current in order else len(order), taken_back(past.releases)
    before = [content for content in reversed(order[:at]) if content not in left]
    return before + [content for content in reversed(order) if content not in before]


def _listed(past: Past, contents: Collection[str]) -> str:
    return described([item for item in past.releases if item.content_hash in contents])
