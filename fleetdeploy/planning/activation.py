"""Which is the cheapest safe way to make a service serve what it shall: nothing, a proof, a reload, a container."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from fleetdeploy.domain.observed import Absent, ObservedService, Present, Release
from fleetdeploy.domain.plan import Activation, Change
from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.domain.server_changes import ServerChanges
from fleetdeploy.domain.service import LABEL_SPEC, ContainerSpec, DesiredService
from fleetdeploy.planning.container import shown_environment
from fleetdeploy.tfserving import model_config, status
from fleetdeploy.tfserving.golden import for_version
from fleetdeploy.tfserving.simulation import hindrances, ours, simulate


def content_hash(desired: DesiredService, spec: ContainerSpec) -> str:
    """The identity of a release's content: configuration, container and the bytes of every version, in any order.

    The address a host binds is left out, so that one release has one hash on all of its hosts. So are secrets: the hash
    stands in every log, and a value that is easy to guess could be found from it.
    """
    ports = {port: (desired.wish.bind, number) for port, (_, number) in spec.ports.items()}
    masked = dict.fromkeys(spec.fingerprints, SHOWN)
    parts = [desired.config_shown or desired.config_text, replace(spec, ports=ports, fingerprints=masked).spec_hash]
    parts += [
        f"{model.name}/{version.number}:{version.manifest.digest}"
        for model in sorted(desired.models, key=lambda model: model.name)
        for version in sorted(model.versions, key=lambda version: version.number)
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
        names = ", ".join(change.what.removeprefix("container.") for change in fields)
        reason = f"the container's {names} changed" if names else "what is recorded about the container differs"
        return Activation.REPLACE, reason, (*fields, *config)
    found = hindrances(config_on_host(observed), desired.config_text, observed.served)
    for burnt in found.burnt:
        failed = f"version {burnt.number} of {burnt.model} failed in this process ({burnt.error})"
        return Activation.REPLACE, f"{failed}; only a new process tries that number again", config
    if found.others:
        return Activation.REPLACE, f"a reload would not do: {'; '.join(found.others)}", config
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
    old = configured(observed)
    for model in desired.models:
        was = old.get(model.name, ())
        if was != model.wanted:
            changes.append(Change(f"models.{model.name}.versions", _numbers(was), _numbers(model.wanted)))
    named = {model.name for model in desired.models}
    changes += [Change(f"models.{name}", _numbers(was), "unloaded") for name, was in old.items() if name not in named]
    return tuple(changes)


def server_changes(desired: DesiredService, observed: ObservedService, activation: Activation) -> ServerChanges:
    """What the service's model server will do, step by step."""
    golden = {
        model.name: [number for number in model.wanted if for_version(model.golden, number)] for model in desired.models
    }
    before = config_on_host(observed)
    return simulate(activation, before=before, after=desired.config_text, served=observed.served, golden=golden)


def config_on_host(observed: ObservedService) -> str:
    """The text of ``config/model.config`` on the host, whatever it is; empty when there is none."""
    return observed.config_text.value if isinstance(observed.config_text, Present) else ""


def removed_models(desired: DesiredService, observed: ObservedService) -> tuple[str, ...]:
    """Models in the host's present configuration that ``desired`` would unload."""
    named = {model.name for model in desired.models}
    return tuple(sorted(name for name in configured(observed) if name not in named))


def configured(observed: ObservedService) -> Mapping[str, tuple[int, ...]]:
    """The versions of each model in the configuration on the host; nothing where it is none of ours."""
    before = _config_text(observed)
    if not before:
        return {}
    config = model_config.parse(before, where="config/model.config on the host")
    return {name: tuple(sorted(entry.versions)) for name, entry in model_config.wanted(config).items()}


def _config_text(observed: ObservedService) -> str:
    """The configuration on the host, empty when there is none or when it is not one of ours."""
    text = config_on_host(observed)
    return text if ours(text) else ""


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
