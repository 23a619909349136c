"""From what hosts have proven to the targets of a rollback: histories looked at and records read, before anything is
touched. What stands against it on any host becomes a refusal, so that all of it is told at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ContainerFacts, ObservedHost, ObservedService, Present, Release, Unknown
from fleetdeploy.domain.plan import HostPlan, Refusal
from fleetdeploy.domain.protocols import Fleet, HostSession
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import LABEL_SPEC, DesiredService, GoldenRequest, ModelWish, ServiceWish, spec_hash
from fleetdeploy.errors import HostError, InputError, LockHeld
from fleetdeploy.planning.recorded import (
    Golden,
    as_refusals,
    desired_of,
    lacking_secrets,
    problems_of,
    secrets_of,
    spec_of,
    standing_refusals,
    unrecorded,
)
from fleetdeploy.planning.rollback import Goal, Key, goals, past_of, proven_here
from fleetdeploy.rollout.naming import named
from fleetdeploy.rollout.side_by_side import side_by_side
from fleetdeploy.rollout.targets import Free, Target, Targets
from fleetdeploy.tfserving.golden import for_version


@dataclass(frozen=True)
class Request:
    """What a rollback was asked for.

    ``wanted`` is a release, or empty for the last good one; ``services`` are those that are meant, none for all.
    ``golden`` has the golden requests of a model; ``secret`` makes a secret of a value that a container on a host has.
    """

    wanted: str
    forks: int
    golden: Golden
    secret: Callable[[str], Secret]
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class GoingBack:
    """``releases`` are the content hashes that hosts go back to; ``notes`` are for a person, a line each."""

    targets: Targets
    releases: frozenset[str]
    notes: tuple[str, ...]


@dataclass
class _Found:
    """What is known of one host so far."""

    host: Host
    observed: ObservedHost | None = None
    desired: list[DesiredService] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, message: str, hint: str) -> None:
        self.refusals.append(Refusal(self.host.name, message, hint))


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
    aims = goals(pasts, request.wanted)

    def build(item: _Found) -> None:
        _build(item, {name: goal for (host, name), goal in aims.items() if host == item.host.name}, fleet, request)

    side_by_side(build, found, forks=request.forks)
    refusals = {item.host.name: tuple(item.refusals) for item in found}

    def undecided(plan: HostPlan) -> tuple[Refusal, ...]:
        return (*refusals.get(plan.host.name, ()), *standing_refusals(plan), *hosts.undecided(plan))

    targets = replace(
        hosts,
        by_name={item.host.name: Target(item.host, tuple(item.desired)) for item in found},
        allow_remove=True,
        again=True,
        undecided=undecided,
    )
    return GoingBack(targets, frozenset(goal.content for goal in aims.values() if goal.content), tuple(_notes(found)))


def _look(host: Host, *, fleet: Fleet, request: Request, check: Free) -> _Found:
    found = _Found(host)
    try:
        found.observed = fleet.session(host).observe(_meant(host, request))
    except HostError as error:
        found.refuse(f"it could not be looked at: {error.message}", error.hint)
        return found
    check(host, found.observed)
    return found


def _meant(host: Host, request: Request) -> list[ServiceWish]:
    return [wish for wish in host.services if not request.services or wish.name in request.services]


def _readable(item: _Found) -> Iterator[tuple[str, ObservedService]]:
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


def _build(item: _Found, aims: Mapping[str, Goal], fleet: Fleet, request: Request) -> None:
    """The desired services of one host, and everything that stands against them."""
    wishes = {wish.name: wish for wish in item.host.services}
    for name, goal in aims.items():
        if not goal.content:
            item.refuse(f"service {name!r}: {goal.problem}", goal.hint)
            continue
        assert item.observed is not None
        try:
            _build_service(item, item.observed, wishes[name], goal.content, fleet.session(item.host), request)
        except HostError as error:
            item.refuse(f"service {name!r}: {error.message}", error.hint)


def _build_service(
    item: _Found, facts: ObservedHost, wish: ServiceWish, content: str, session: HostSession, request: Request
) -> None:
    seen = facts.services[wish.name]
    current = seen.release.value if isinstance(seen.release, Present) else None
    stays = current is not None and current.content_hash == content
    release = current if stays else _record_of(seen, content, session, wish)
    left = "" if current is None else current.took_back if stays else current.content_hash
    if release and current and not stays and not request.wanted:
        found = unrecorded(seen, current, release)
        if found:
            hint = "resume that run first, or name the release to go back to"
            item.refuse(f"service {wish.name!r}: {found} is neither {current.id} nor {release.id}", hint)
    if release is None:
        item.refuse(f"the record of release {content} is not on the host any more", "roll back to another release")
        return
    try:
        spec = spec_of(release.container)
        image_there = session.containers().image_id(spec.image_id) is not None
        secrets = secrets_of(release.container, wish.environment)
        if lacking_secrets(spec_of(release.container, secrets)):
            secrets |= _kept_secrets(release, seen, session, request)
        golden = partial(_golden, item, wish.name, request)
        made = partial(desired_of, release, wish, seen, golden=golden, secrets=secrets)
        desired = made(took_back=left)
    except ValueError as error:
        item.refuse(f"release {release.id}: {error}", "its record is damaged: roll back to another release")
        return
    problems = tuple(problems_of(release, desired, seen, facts, image_there=image_there))
    item.refusals += as_refusals(item.host.name, release.id, problems)
    if not problems:
        item.desired.append(desired)
    item.notes.append((wish.name, _step(release, current)))
    item.notes += [(wish.name, text) for text in _unproven(desired)]


def _golden(item: _Found, service: str, request: Request, model: ModelWish) -> tuple[GoldenRequest, ...]:
    """The golden requests of a model; none, with a note, where they cannot be read: that must hold up no way back."""
    try:
        return request.golden(model)
    except InputError as error:
        item.notes.append((service, f"the golden requests of {model.name} cannot be read: {error.message}"))
        return ()


def _record_of(seen: ObservedService, content: str, session: HostSession, wish: ServiceWish) -> Release | None:
    """The newest record of a content that is still there. Raises HostError."""
    ids = dict.fromkeys(item.id for item in reversed(proven_here(seen)) if item.content_hash == content)
    records = (session.files(wish).read_release(release_id) for release_id in ids)
    return next((record for record in records if record is not None), None)


def _kept_secrets(release: Release, seen: ObservedService, session: HostSession, request: Request) -> Mapping[str, str]:
    """The secrets of a container of the very release that is still on the host, running or kept."""
    wanted = spec_hash(release.container)
    for reading in (seen.previous, seen.container):
        facts: ContainerFacts | None = reading.value if isinstance(reading, Present) else None
        if facts is None or facts.labels.get(LABEL_SPEC) != wanted:
            continue
        values = session.containers().environment(facts.name)
        return secrets_of(release.container, {name: request.secret(value) for name, value in values.items()})
    return {}


def _step(release: Release, current: Release | None) -> str:
    if current is None:
        return f"back to {release.id}"
    if current.content_hash == release.content_hash:
        return f"stays on {release.id}"
    return f"from {current.id} back to {release.id}"


def _unproven(desired: DesiredService) -> Iterator[str]:
    """Versions that will have nothing but AVAILABLE to show for themselves."""
    for model in desired.models:
        for number in model.wanted:
            if not for_version(model.golden, number):
                yield f"no golden request for version {number} of {model.name} is there any more: AVAILABLE has to do"


def _notes(found: Sequence[_Found]) -> Iterator[str]:
    """What is alike on several hosts in one line."""
    rows: dict[tuple[str, str], list[str]] = {}
    for item in found:
        for note in item.notes:
            rows.setdefault(note, []).append(item.host.name)
    for (service, text), hosts in rows.items():
        yield f"{named(hosts)}: {service}: {text}"
