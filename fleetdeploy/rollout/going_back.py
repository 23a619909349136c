"""From what hosts have proven to the targets of a rollback: histories looked at and records read, before anything is
touched. What stands against it on any host becomes a refusal, so that all of it is told at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ObservedService, Unknown
from fleetdeploy.domain.plan import HostPlan, Refusal
from fleetdeploy.domain.protocols import Fleet
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import HostError, InputError, LockHeld
from fleetdeploy.planning.recorded import standing_refusals
from fleetdeploy.planning.rollback import Goal, Key, Past, goals, offered, past_of
from fleetdeploy.rollout.naming import named
from fleetdeploy.rollout.one_way_back import Found, Request, build
from fleetdeploy.rollout.side_by_side import side_by_side
from fleetdeploy.rollout.targets import Free, Target, Targets

MOST_TRIED = 10
"""Of the releases that a host has proven the newest are held against it, to tell which of them are possible."""


@dataclass(frozen=True)
class GoingBack:
    """``aims`` are the content hashes that hosts go back to; ``notes`` are for a person, a line each."""

    targets: Targets
    aims: Mapping[Key, str]
    notes: tuple[str, ...]


def going_back(
    hosts: Targets, fleet: Fleet, request: Request, *, check: Free = lambda _host, _observed: None
) -> GoingBack:
    """The targets of a rollback of ``hosts``, which have nothing to be done yet.

    A host that cannot be looked at stays so: whoever observes the targets finds that out again. Raises InputError where
    what was asked for stands for no release, or for several, and LockHeld, by ``check``, for a host of another run.
    """
    found = side_by_side(
        partial(_look, fleet=fleet, request=request, check=check),
        [target.host for target in hosts.by_name.values()],
        forks=request.forks,
        at_once=LockHeld,
    )
    pasts = {(item.host.name, name): past_of(seen) for item in found for name, seen in _readable(item)}
    _check_services(pasts, request)
    unasked = [item.host.name for item in found if item.observed is None]
    try:
        # Where no host could be asked nothing is known of the release; why that is so is told by who observes them.
        aims = goals(pasts, request.wanted, request.aims) if len(unasked) < len(found) else {}
    except InputError as error:
        offers = _offers(found, pasts, fleet, request)
        asked = f"{named(unasked)} could not be asked" if unasked else ""
        told = [error.hint, *(f"{name}: {text}" for name, text in offers.items()), asked]
        hint = "\n    ".join(filter(None, told))
        raise InputError(error.message, hint=hint) from error

    def build_all(item: Found) -> None:
        _build(item, {name: goal for (host, name), goal in aims.items() if host == item.host.name}, fleet, request)

    side_by_side(build_all, found, forks=request.forks)
    offers = _offers(found, pasts, fleet, request) if any(item.barred for item in found) else {}
    refusals = {
        item.host.name: (
            *item.refusals,
            *(replace(why, hint="; ".join(filter(None, [why.hint, offers[name]]))) for name, why in item.barred),
        )
        for item in found
    }

    def undecided(plan: HostPlan) -> tuple[Refusal, ...]:
        return (*refusals.get(plan.host.name, ()), *standing_refusals(plan), *hosts.undecided(plan))

    targets = replace(
        hosts,
        by_name={item.host.name: Target(item.host, tuple(item.desired)) for item in found},
        allow_remove=True,
        again=True,
        undecided=undecided,
    )
    return GoingBack(targets, {key: goal.content for key, goal in aims.items() if goal.content}, tuple(_notes(found)))


def _look(host: Host, *, fleet: Fleet, request: Request, check: Free) -> Found:
    found = Found(host)
    try:
        found.observed = fleet.session(host).observe(_meant(host, request))
    except HostError as error:
        found.refuse(f"it could not be looked at: {error.message}", error.hint)
        return found
    check(host, found.observed)
    return found


def _meant(host: Host, request: Request) -> list[ServiceWish]:
    return [wish for wish in host.services if not request.services or wish.name in request.services]


def _readable(item: Found) -> Iterator[tuple[str, ObservedService]]:
    """The services whose past is known; the others are refused."""
    for name, seen in item.observed.services.items() if item.observed else ():
        if seen.history_damaged:
            item.notes.append((name, f"{seen.history_damaged} damaged lines of its history were passed over"))
        unknown = [
            f"{what} of service {name!r} could not be read: {reading.reason}"
            for what, reading in (("the history", seen.history), ("the release record", seen.release))
            if isinstance(reading, Unknown)
        ]
        for text in unknown:
            item.refuse(text, "see `status` and retry")
        if not unknown:
            yield name, seen


def _check_services(pasts: Mapping[Key, object], request: Request) -> None:
    """One step back means nothing where several services could take it: only one of them may be what is wrong."""
    names = sorted({service for _, service in pasts})
    if len(names) > 1 and not request.wanted and not request.services:
        raise InputError(
            f"several services could go back: {', '.join(names)}",
            hint="name a release, or the services that are meant with --service",
        )


def _build(item: Found, aims: Mapping[str, Goal], fleet: Fleet, request: Request) -> None:
    """The desired services of one host, and everything that stands against them."""
    wishes = {wish.name: wish for wish in item.host.services}
    for name, goal in aims.items():
        if not goal.content:
            item.bar(name, f"service {name!r}: {goal.problem}", goal.hint)
        else:
            build(item, wishes[name], goal.content, fleet, request)


def _offers(found: Sequence[Found], pasts: Mapping[Key, Past], fleet: Fleet, request: Request) -> Mapping[str, str]:
    """By service, what its hosts can go back to: every release is tried as if it had been named."""
    possible: dict[Key, frozenset[str]] = {}

    def try_all(item: Found) -> None:
        for wish in item.host.services:
            if past := pasts.get((item.host.name, wish.name)):
                contents = dict.fromkeys(release.content_hash for release in reversed(past.releases))
                possible[item.host.name, wish.name] = frozenset(
                    content
                    for content in islice(contents, MOST_TRIED)
                    if _is_possible(item, wish, content, fleet, request)
                )

    side_by_side(try_all, found, forks=request.forks)
    names = dict.fromkeys(service for _, service in pasts)
    return {
        name: offered({key: past for key, past in pasts.items() if key[1] == name}, possible, request.command)
        for name in names
    }


def _is_possible(item: Found, wish: ServiceWish, content: str, fleet: Fleet, request: Request) -> bool:
    tried = Found(item.host, item.observed)
    build(tried, wish, content, fleet, replace(request, wanted=content))
    return not tried.barred


def _notes(found: Sequence[Found]) -> Iterator[str]:
    """What is alike on several hosts in one line."""
    rows: dict[tuple[str, str], list[str]] = {}
    for item in found:
        for note in item.notes:
            rows.setdefault(note, []).append(item.host.name)
    for (service, text), hosts in rows.items():
        yield f"{named(hosts)}: {service}: {text}"
