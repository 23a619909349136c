"""Which is the cheapest safe way to make a service serve what it shall: nothing, a proof, a reload, a container."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from fleetdeploy.domain.observed import Absent, ObservedService, Present
from fleetdeploy.domain.plan import Activation, Change
from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.domain.server_changes import ServerChanges
from fleetdeploy.domain.service import LABEL_SPEC, ContainerSpec, DesiredService
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.planning import before
from fleetdeploy.planning.container import changed_fields
from fleetdeploy.tfserving import model_config, status
from fleetdeploy.tfserving.golden import for_version
from fleetdeploy.tfserving.simulation import hindrances, simulate


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
    """The activation, why it is that one, and how the host's configuration differs from what is wanted."""
    config = _config_changes(desired, observed)
    if not isinstance(observed.container, Present):
        return Activation.START, "no container on the host", config
    container = observed.container.value
    if not container.running:
        return Activation.START, f"the container is {container.status}, exit code {container.exit_code}", config
    if image_missing or container.labels.get(LABEL_SPEC) != spec.spec_hash:
        recorded = observed.release.value.container if isinstance(observed.release, Present) else {}
        names = ", ".join(changed_fields(recorded, spec)) if recorded else ""
        reason = f"the container's {names} changed" if names else "what is recorded about the container differs"
        return Activation.REPLACE, reason, config
    if before.unseen(desired, observed):
        return Activation.REPLACE, f"{before.fault(observed)}, and nothing tells what the server has", config
    found = hindrances(before.config_in_force(desired, observed), desired.config_text, observed.served)
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
    if isinstance(observed.watch, Present) and observed.watch.value.state is WatchState.ARMED:
        return Activation.VERIFY, "it serves what it shall, but nobody has confirmed that to the host's watchdog", ()
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
        if model_config.is_in_doubt(before.our_config(observed)):
            return f"a run that was cut off wrote {before.CONFIG_FILE}, and the server may not have loaded it"
        return before.fault(observed) or "only the model configuration changed"
    for model in sorted(desired.models, key=lambda model: model.name):
        reading = observed.served.get(model.name, Absent())
        if not isinstance(reading, Present):
            return f"the server does not answer for {model.name}: wait for it, then load the configuration again"
        served = status.available(reading.value)
        if served != model.wanted:
            return f"{model.name} serves {_numbers(served)} instead of {_numbers(model.wanted)}"
    return ""


def _config_changes(desired: DesiredService, observed: ObservedService) -> tuple[Change, ...]:
    """The file against the one that is wanted, and the models that the server has against those that it shall have."""
    text = before.our_config(observed)
    if text == desired.config_text:
        return ()
    changes = [Change(before.CONFIG_FILE, text, desired.config_text)]
    if desired.config_shown:
        # What is on the host may hold an earlier secret, which nobody here knows to mask.
        changes = [Change(before.CONFIG_FILE, "(not shown)" if text else "", "(changed; holds a secret)")]
    old = before.models_before(desired, observed)
    for model in desired.models:
        was = old.get(model.name, ())
        if was != model.wanted:
            changes.append(Change(f"models.{model.name}.versions", _numbers(was), _numbers(model.wanted)))
    for name in before.removed_models(desired, observed):
        was_there = _numbers(old[name]) if old[name] else "(no explicit versions)"
        changes.append(Change(f"models.{before.shown_name(name)}", was_there, "unloaded"))
    return tuple(changes)


def server_changes(desired: DesiredService, observed: ObservedService, activation: Activation) -> ServerChanges:
    """What the service's model server will do, step by step."""
    golden = {
        model.name: [number for number in model.wanted if for_version(model.golden, number)] for model in desired.models
    }
    text = before.config_in_force(desired, observed)
    return simulate(activation, before=text, after=desired.config_text, served=observed.served, golden=golden)


def _numbers(numbers: tuple[int, ...]) -> str:
    return "[" + ", ".join(map(str, numbers)) + "]"
