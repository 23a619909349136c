"""The configuration that a running server must be taken to have, also where its file is gone, empty or damaged.

A server reads its file at start and is told every later one, so what it serves outlives the file. A reload that began
from an empty list would drop what serves before the new versions have answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fleetdeploy.domain.observed import Present
from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import model_config, stubs
from fleetdeploy.tfserving.simulation import HELD, Served, listed, ours

Numbers = Mapping[str, tuple[int, ...]]


def in_force(text: str, recorded: str, served: Served, wanted: str) -> str:
    """What stands for the server's own list: ``text`` from the host, wherever that is one that fleetdeploy may have
    written and that lists a model.

    One that is not ours is kept, and the models that only ``recorded`` names are added: somebody may have taken them
    out of the file, which unloads nothing. A text that lists nothing or cannot be read tells nothing of the server;
    the list is then made of ``recorded``, the last proven one (empty without any), and of what ``served`` says to be
    in memory, with the entries of ``wanted`` for what nobody recorded. Empty where all of that tells nothing.
    """
    if ours(text) and listed(text):
        return text
    held = {
        model: tuple(sorted(entry.number for entry in reading.value if entry.state in HELD))
        for model, reading in served.items()
        if isinstance(reading, Present)
    }
    loaded = {} if listed(text) else held
    return _made(text, recorded, tuple(sorted(loaded.items())), wanted)


@lru_cache(maxsize=256)
def _made(text: str, recorded: str, loaded: tuple[tuple[str, tuple[int, ...]], ...], wanted: str) -> str:
    record, shall = _read(recorded), _read(wanted)
    config = stubs.model_server_config_pb2.ModelServerConfig()
    config.CopyFrom(_read(text))
    entries = config.model_config_list.config
    named = {entry.name for entry in entries}
    entries.extend(entry for entry in record.model_config_list.config if entry.name not in named)
    by_name = {entry.name: entry for entry in entries}
    new = {entry.name: entry for entry in shall.model_config_list.config}
    for model, numbers in loaded:
        if not numbers or not (model in by_name or model in new):
            continue
        if model not in by_name:
            by_name[model] = entries.add()
            by_name[model].CopyFrom(new[model])
            by_name[model].version_labels.clear()
            by_name[model].model_version_policy.Clear()
        model_config.set_versions(by_name[model], {*by_name[model].model_version_policy.specific.versions, *numbers})
    return model_config.to_text(config) if entries else ""


def _read(text: str) -> Any:
    """The list in a text; an empty one where there is none or where it cannot be read."""
    try:
        return model_config.parse(text, where="model.config")
    except InputError:
        return stubs.model_server_config_pb2.ModelServerConfig()


def recorded_text(text: str, models: Numbers, *, target: str) -> str:
    """The configuration of a release record: ``text``, or where that is none, one that lists its ``models``.

    ``target`` is the directory that holds all models, as the container sees it.
    """
    if ours(text) and listed(text):
        return text
    config = stubs.model_server_config_pb2.ModelServerConfig()
    for model, numbers in sorted(models.items()):
        entry = config.model_config_list.config.add(
            name=model, base_path=f"{target}/{model}", model_platform=model_config.PLATFORMS[0]
        )
        model_config.set_versions(entry, numbers)
    return model_config.to_text(config) if models else ""
