"""One host's way back to one release: its record read and held against the host, before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ContainerFacts, ObservedHost, ObservedService, Present, Release
from fleetdeploy.domain.plan import Refusal
from fleetdeploy.domain.protocols import Fleet, HostSession
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.service import LABEL_SPEC, DesiredService, GoldenRequest, ModelWish, ServiceWish, spec_hash
from fleetdeploy.errors import HostError, InputError
from fleetdeploy.planning.recorded import (
    Golden,
    as_refusals,
    desired_of,
    lacking_secrets,
    problems_of,
    secrets_of,
    spec_of,
    unrecorded,
)
from fleetdeploy.planning.rollback import Key, proven_here
from fleetdeploy.tfserving.golden import for_version


@dataclass(frozen=True)
class Request:
    """What a rollback was asked for.

    ``wanted`` is a release, or empty for the last good one; ``services`` are those that are meant, none for all;
    ``aims`` what an earlier run, which this one carries on, found out for each host.
    ``golden`` has the golden requests of a model; ``secret`` makes a secret of a value that a container on a host has;
    ``command`` is what to type to go back to another release.
    """

    wanted: str
    forks: int
    golden: Golden
    secret: Callable[[str], Secret]
    services: tuple[str, ...] = ()
    command: Callable[[str], str] = "fleetdeploy rollback {}".format
    aims: Mapping[Key, str] = field(default_factory=dict)


@dataclass
class Found:
    """What is known of one host so far. ``barred`` are the refusals of one service, which may go elsewhere."""

    host: Host
    observed: ObservedHost | None = None
    desired: list[DesiredService] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    barred: list[tuple[str, Refusal]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    def refuse(self, message: str, hint: str) -> None:
        self.refusals.append(Refusal(self.host.name, message, hint))

    def bar(self, service: str, message: str, hint: str) -> None:
        self.barred.append((service, Refusal(self.host.name, message, hint)))


def build(item: Found, wish: ServiceWish, content: str, fleet: Fleet, request: Request) -> None:
    """The desired service of one release, and everything that stands against it, in ``item``, which was looked at."""
    assert item.observed is not None
    try:
        _build_service(item, item.observed, wish, content, fleet.session(item.host), request)
    except HostError as error:
        item.bar(wish.name, f"service {wish.name!r}: {error.message}", error.hint)


def _build_service(
    item: Found, facts: ObservedHost, wish: ServiceWish, content: str, session: HostSession, request: Request
) -> None:
    seen = facts.services[wish.name]
    current = seen.release.value if isinstance(seen.release, Present) else None
    stays = current is not None and current.content_hash == content
    release = current if stays else _record_of(seen, content, session, wish)
    left = "" if current is None else current.took_back if stays else current.content_hash
    is_settled = bool(request.wanted) or (item.host.name, wish.name) in request.aims
    if release and current and not stays and not is_settled:
        found = unrecorded(seen, current, release)
        if found:
            hint = "resume that run first, or name the release to go back to"
            item.bar(wish.name, f"service {wish.name!r}: {found} is neither {current.id} nor {release.id}", hint)
    if release is None:
        item.bar(wish.name, f"the record of release {content} is not on the host any more", "roll back to another one")
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
        item.bar(wish.name, f"release {release.id}: {error}", "its record is damaged: roll back to another release")
        return
    problems = tuple(problems_of(release, desired, seen, facts, image_there=image_there))
    item.barred += [(wish.name, refusal) for refusal in as_refusals(item.host.name, release.id, problems)]
    if not problems:
        item.desired.append(desired)
    item.notes.append((wish.name, _step(release, current)))
    item.notes += [(wish.name, text) for text in _unproven(desired)]


def _golden(item: Found, service: str, request: Request, model: ModelWish) -> tuple[GoldenRequest, ...]:
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
