"""What a service's server has before anything is done, as far as its host tells: the file, the record, its states."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from fleetdeploy.domain.observed import Absent, ObservedService, Present
from fleetdeploy.domain.service import LABEL_SPEC, DesiredService, spec_hash
from fleetdeploy.planning.container import MODELS_TARGET
from fleetdeploy.tfserving import model_config
from fleetdeploy.tfserving.in_force import in_force, recorded_text
from fleetdeploy.tfserving.simulation import listed, ours
from fleetdeploy.tfserving.status import available

CONFIG_FILE = "config/model.config"


def config_on_host(observed: ObservedService) -> str:
    """The text of ``config/model.config`` on the host, whatever it is; empty when there is none."""
    return observed.config_text.value if isinstance(observed.config_text, Present) else ""


def our_config(observed: ObservedService) -> str:
    """The configuration on the host, empty when there is none or when it is not one of ours."""
    text = config_on_host(observed)
    return text if ours(text) else ""


def config_in_force(desired: DesiredService, observed: ObservedService) -> str:
    """The configuration that the server must be taken to have; empty when nothing tells (see :func:`in_force`)."""
    text = model_config.without_doubt(config_on_host(observed))
    return in_force(text, _recorded(observed), observed.served, desired.config_text)


def texts_before(desired: DesiredService, observed: ObservedService) -> tuple[str, ...]:
    """The configurations that the server may have had: what it must be taken to have, and what was last proven."""
    return config_in_force(desired, observed), _recorded(observed)


def configured(observed: ObservedService) -> Mapping[str, tuple[int, ...]]:
    """The versions of each model in the configuration on the host; nothing where it is none of ours."""
    return {name: entry.versions for name, entry in listed(our_config(observed)).items()}


def models_before(desired: DesiredService, observed: ObservedService) -> Mapping[str, tuple[int, ...]]:
    """The models that the server must be taken to have, each with the versions that its list names."""
    return {name: entry.versions for name, entry in listed(config_in_force(desired, observed)).items()}


def removed_models(desired: DesiredService, observed: ObservedService) -> tuple[str, ...]:
    """Models that ``desired`` would unload, whatever configuration the host has."""
    named = {model.name for model in desired.models}
    return tuple(sorted(name for name in models_before(desired, observed) if name not in named))


def fault(observed: ObservedService) -> str:
    """What is wrong with a file that tells nothing of a server; empty for one that lists a model."""
    text = config_on_host(observed)
    if listed(text):
        return ""
    if not isinstance(observed.config_text, Present):
        return f"{CONFIG_FILE} is missing on the host"
    if not text.strip():
        return f"{CONFIG_FILE} on the host is empty"
    return f"{CONFIG_FILE} on the host {'lists no models' if ours(text) else 'is not a list of models'}"


def untold(observed: ObservedService) -> str:
    """Why nobody can tell which models a running server has; empty where somebody can, or where none runs.

    A probe asks for the models of the inventory alone, so that their states say nothing of any others.
    """
    running = isinstance(observed.container, Present) and observed.container.value.running
    return fault(observed) if running and not isinstance(observed.release, Present) else ""


def serves_record(observed: ObservedService, asked: Collection[str]) -> bool:
    """Whether the server is by all that can be seen what the release record says: container, file, and the versions of
    those models that were ``asked`` for.
    """
    if not isinstance(observed.release, Present) or not isinstance(observed.container, Present):
        return False
    release, container = observed.release.value, observed.container.value
    if not container.running or container.labels.get(LABEL_SPEC) != spec_hash(release.container):
        return False
    # Of a model that is wanted no longer nobody asks; that it is listed the file says.
    readings = {name: observed.served.get(name, Absent()) for name in release.models if name in asked}
    return our_config(observed) == release.config_text and all(
        isinstance(reading, Present) and available(reading.value) == tuple(sorted(release.models[name]))
        for name, reading in readings.items()
    )


def unseen(desired: DesiredService, observed: ObservedService) -> bool:
    """Whether a wanted model may be served in versions of which neither file, record nor server tells."""
    answers = (observed.served.get(model.name, Absent()) for model in desired.models)
    return bool(untold(observed)) and not all(isinstance(reading, Present) for reading in answers)


def shown_name(name: str) -> str:
    """A model's name as it may be printed: a configuration on a host may hold anything."""
    return name if name and name.isprintable() else ascii(name)


def _recorded(observed: ObservedService) -> str:
    if not isinstance(observed.release, Present):
        return ""
    release = observed.release.value
    return recorded_text(release.config_text, release.models, target=MODELS_TARGET)
