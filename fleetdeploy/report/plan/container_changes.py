"""How the container that a plan makes differs from the recorded one, field by field. Secrets are masked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.plan import Activation, ServicePlan
from fleetdeploy.planning.container import GRPC_PORT, REST_PORT, changed_fields, shown_environment

_ANOTHER = " (a secret changed)"
_PORTS = {str(GRPC_PORT): "gRPC", str(REST_PORT): "REST"}


@dataclass(frozen=True)
class EntryChange:
    """One entry of a field that is a list or a mapping; ``before`` or ``after`` is None where it has none."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class FieldChange:
    """One field as people write it, before and after; ``entries`` of a list or a mapping are those that differ."""

    name: str
    before: str
    after: str
    entries: tuple[EntryChange, ...] = ()


def container_changes(plan: ServicePlan) -> tuple[FieldChange, ...]:
    """Every field that differs, where a plan makes a new container and the host has a record of the one before."""
    before, after = recorded(plan), plan.container.fields()
    if not before or plan.activation not in {Activation.START, Activation.REPLACE}:
        return ()
    return tuple(
        _field(name, before.get(name, ""), after[name], plan) for name in changed_fields(before, plan.container)
    )


def recorded(plan: ServicePlan) -> Mapping[str, object]:
    """The fields of the container in the host's release record; empty without one."""
    release = plan.observed.release
    return dict(release.value.container) if isinstance(release, Present) else {}


def shown_fields(plan: ServicePlan) -> dict[str, object]:
    """The fields of the container that a plan makes, secrets masked."""
    fields = plan.container.fields()
    environment = fields["environment"]
    assert isinstance(environment, dict)
    return {**fields, "environment": dict(shown_environment(environment))}


def in_words(name: str, value: object, plan: ServicePlan) -> str:
    """One field of a container as people write it, secrets masked."""
    if name == "image_id" and not value:
        return "(to be pulled)"
    entries = _entries(name, value, plan)
    if entries is not None:
        return (", " if name == "ports" else " ").join(entries.values())
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _field(name: str, before: object, after: object, plan: ServicePlan) -> FieldChange:
    said_before, said_after = in_words(name, before, plan), in_words(name, after, plan)
    if said_before == said_after:
        said_after += _ANOTHER
    return FieldChange(name, said_before, said_after, tuple(_entry_changes(name, before, after, plan)))


def _entry_changes(name: str, before: object, after: object, plan: ServicePlan) -> Iterator[EntryChange]:
    old, new = _entries(name, before or {}, plan), _entries(name, after or {}, plan)
    if old is None or new is None:
        return
    for key in dict.fromkeys((*old, *new)):
        one, other = old.get(key), new.get(key)
        if one != other:
            yield EntryChange(key, one, other)
        elif name == "environment" and _raw(before, key) != _raw(after, key):
            yield EntryChange(key, one, f"{other}{_ANOTHER}")


def _raw(environment: object, key: str) -> object:
    return environment.get(key) if isinstance(environment, Mapping) else None


def _entries(name: str, value: object, plan: ServicePlan) -> Mapping[str, str] | None:
    """What a field holds, each by what it is about: a flag, a variable, a target, a port. None for a plain field."""
    if name == "environment" and isinstance(value, Mapping):
        return {key: f"{key}={item}" for key, item in shown_environment(value).items()}
    if name == "ports" and isinstance(value, Mapping):
        return _ports(value, plan)
    if name not in {"command", "mounts"} or not isinstance(value, (list, tuple, Mapping)):
        return None
    if name == "mounts":
        return {str(item[-1]) if isinstance(item, list) else str(item): _mount(item) for item in value}
    flags = {word.partition("=")[0]: word for word in map(str, value)}
    # A flag that stands there twice is known by its whole word, so that neither is lost.
    return flags if len(flags) == len(value) else {word: word for word in map(str, value)}


def _mount(item: object) -> str:
    return ":".join(map(str, item)) if isinstance(item, list) else str(item)


def _ports(value: Mapping[str, object], plan: ServicePlan) -> Mapping[str, str] | None:
    """``gRPC 8500 on 10.0.0.0/8``: where the address is this host's own, what the inventory says stands for it."""
    own = {address for address, _ in plan.container.ports.values()}
    words = {}
    for inner, place in value.items():
        if not isinstance(place, list) or len(place) != 2:
            return None
        address, port = place
        name = _PORTS.get(inner, inner)
        words[name] = f"{name} {port} on {plan.desired.wish.bind if address in own else address}"
    return words
