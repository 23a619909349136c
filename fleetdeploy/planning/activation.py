"""Which is the cheapest safe way to make a service serve what it shall: nothing, a proof, a reload, a container."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from fleetdeploy.domain.observed import Absent, ObservedService, Present, Release, State
from fleetdeploy.domain.plan import Activation, Change
from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.domain.service import LABEL_SPEC, ContainerSpec, DesiredService
from fleetdeploy.errors import InputError
from fleetdeploy.planning.container import shown_environment
from fleetdeploy.tfserving import model_config, status


def content_hash(desired: DesiredService, spec: ContainerSpec) -> str:
    """The identity of a release's content: configuration, container and the bytes of every version.

    The address a host binds is left out, so that one release has one hash on all of its hosts. So are secrets: the hash
    stands in every log, and a value that is easy to guess could be found from it.
    """
    ports = {port: (desired.wish.bind, number) for port, (_, number) in spec.ports.items()}
    masked = dict.fromkeys(spec.fingerprints, SHOWN)
    parts = [desired.config_shown or desired.config_text, replace(spec, ports=ports, fingerprints=masked).spec_hash]
    parts += [
        f"{model.name}/{version.number}:{version.manifest.digest}"
        for model in desired.models
        for version in model.versions
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def choose(
    desired: DesiredService, observed: ObservedService, spec: ContainerSpec, *, image_missing: bool
) -> tuple[Activation, str, tuple[Change, ...]]:
    """The activation, why it is that one, and every difference that led to it."""
    config = _config_changes(desired, observed)
    if not isinstance(observed.container, Present):
        return Activation.START, "no container on the host", config
    container = observed.container.value
    if not container.running:
        return Activation.START, f"the container is {container.status}, exit code {container.exit_code}", config
    if image_missing or container.labels.get(LABEL_SPEC) != spec.spec_hash:
        fields = _container_changes(observed, spec)
        names = ", ".join(change.what.removeprefix("container.") for change in fields) or "its recorded spec"
        return Activation.REPLACE, f"the container's {names} changed", (*fields, *config)
    burnt = _burnt(desired, observed)
    if burnt:
        return Activation.REPLACE, f"{burnt}; only a new process tries that number again", config
    obstacles = _obstacles(desired, observed)
    if obstacles:
        return Activation.REPLACE, f"a reload would not do: {obstacles}", config
    reason = _reload_reason(desired, observed, config)
    if reason:
        return Activation.RELOAD, reason, config
    if not _proven(desired, observed, spec):
        return Activation.VERIFY, "it serves what it shall, but no run has proven it yet", ()
    return Activation.NOTHING, "it serves what it shall", ()


def _proven(desired: DesiredService, observed: ObservedService, spec: ContainerSpec) -> bool:
    """Whether the record is one of exactly this; the hash in its id leaves secrets out, so they are looked at too."""
    if not isinstance(observed.release, Present):
        return False
    release = observed.release.value
    same_secrets = not desired.config_shown or release.config_text == desired.config_text
    return same_secrets and release.id.endswith(f"-{content_hash(desired, spec)}")


def _burnt(desired: DesiredService, observed: ObservedService) -> str:
    for model in desired.models:
        reading = observed.served.get(model.name, Absent())
        if not isinstance(reading, Present):
            continue
        for entry in reading.value:
            if entry.number in model.wanted and entry.state is State.END and entry.error:
                return f"version {entry.number} of {model.name} failed in this process ({entry.error})"
    return ""


def _obstacles(desired: DesiredService, observed: ObservedService) -> str:
    before = observed.config_text.value if isinstance(observed.config_text, Present) else ""
    if before.strip() and not _config_text(observed):
        return "config/model.config on the host is not one that fleetdeploy writes"
    return "; ".join(model_config.reload_obstacles(before, desired.config_text)) if before.strip() else ""


def _reload_reason(desired: DesiredService, observed: ObservedService, config: tuple[Change, ...]) -> str:
    if config:
        return "only the model configuration changed"
    for model in desired.models:
        reading = observed.served.get(model.name, Absent())
        if not isinstance(reading, Present):
            return f"the server does not answer for {model.name}: wait for it, then load the configuration again"
        served = status.available(reading.value)
        if served != model.wanted:
            return f"{model.name} serves {_numbers(served)} instead of {_numbers(model.wanted)}"
    return ""


def _config_changes(desired: DesiredService, observed: ObservedService) -> tuple[Change, ...]:
    before = _config_text(observed)
    if before == desired.config_text:
        return ()
    changes = [Change("config/model.config", before, desired.config_text)]
    if desired.config_shown:
        # What is on the host may hold an earlier secret, which nobody here knows to mask.
        changes = [Change("config/model.config", "(not shown)" if before else "", "(changed; holds a secret)")]
    old = _versions(observed)
    for model in desired.models:
        was = old.get(model.name, ())
        if was != model.wanted:
            changes.append(Change(f"models.{model.name}.versions", _numbers(was), _numbers(model.wanted)))
    named = {model.name for model in desired.models}
    changes += [Change(f"models.{name}", _numbers(was), "unloaded") for name, was in old.items() if name not in named]
    return tuple(changes)


def removed_models(desired: DesiredService, observed: ObservedService) -> tuple[str, ...]:
    """Models in the host's present configuration that ``desired`` would unload."""
    named = {model.name for model in desired.models}
    return tuple(sorted(name for name in _versions(observed) if name not in named))


def _versions(observed: ObservedService) -> Mapping[str, tuple[int, ...]]:
    before = _config_text(observed)
    if not before:
        return {}
    config = model_config.parse(before, where="config/model.config on the host")
    return {name: tuple(sorted(entry.versions)) for name, entry in model_config.wanted(config).items()}


def _config_text(observed: ObservedService) -> str:
    """The configuration on the host, empty when there is none or when it is not one of ours."""
    text = observed.config_text.value if isinstance(observed.config_text, Present) else ""
    try:
        model_config.check(model_config.parse(text, where="config/model.config on the host"))
    except InputError:
        return ""
    return text


def _container_changes(observed: ObservedService, spec: ContainerSpec) -> tuple[Change, ...]:
    """Field by field, against the spec in the release record; the label's hash alone cannot say what changed."""
    release: Release | None = observed.release.value if isinstance(observed.release, Present) else None
    before = dict(release.container) if release else {}
    after = spec.fields()
    changes = [
        Change(f"container.{name}", _text(name, before.get(name, "")), _text(name, after[name]))
        for name in sorted(after)
        if before and before.get(name) != after[name]
    ]
    return tuple(
        replace(change, after=f"{change.after} (a secret changed)") if change.before == change.after else change
        for change in changes
    )


def _text(name: str, value: object) -> str:
    if name == "environment" and isinstance(value, dict):
        return " ".join(f"{key}={item}" for key, item in shown_environment(value).items()) or "(empty)"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _numbers(numbers: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, numbers)) + "]"
