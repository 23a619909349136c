"""ModelServerConfig: read from a file, checked, and turned into platforms and labels.

The order of the checks and their texts follow tensorflow_serving/model_servers/server_core.cc.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.lab.modelserver.text_proto import read_text_proto
from fleetdeploy.tfserving import stubs

PLATFORM: Final = "tensorflow"
_URI: Final = re.compile(r"[a-zA-Z][0-9a-zA-Z.]*://")


def single_model(name: str, base_path: str) -> Any:
    """Config for `--model_name` and `--model_base_path`."""
    config = stubs.model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=base_path, model_platform=PLATFORM)
    return config


def read_config(path: str) -> Any:
    """Parse a text proto ModelServerConfig.

    Raises NOT_FOUND for a missing file, INVALID_ARGUMENT for an empty one and for text that does not parse.
    """
    return read_text_proto(path, stubs.model_server_config_pb2.ModelServerConfig())


def platform_of(model: Any) -> str:
    """Platform of a ModelConfig. Raises INVALID_ARGUMENT where it has none, or names it in both ways."""
    if model.model_type != stubs.model_server_config_pb2.ModelType.MODEL_TYPE_UNSPECIFIED:
        log.warning("Deprecated ModelServerConfig::model_type field used. Prefer ModelServerConfig::model_platform.")
        if model.model_platform:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {model.name}",
            )
        if model.model_type != stubs.model_server_config_pb2.ModelType.TENSORFLOW:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"ModelServerConfig::model_type choice {model.model_type} not supported."
            )
        return PLATFORM
    if not model.model_platform:
        raise StatusError(
            Code.INVALID_ARGUMENT,
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {model.name}",
        )
    return str(model.model_platform)


def check_models(models: Sequence[Any]) -> None:
    """Refuse a name listed twice and a base path that is not absolute."""
    seen: set[str] = set()
    for model in models:
        if model.name in seen:
            raise StatusError(
                Code.INVALID_ARGUMENT, f"Illegal to list model {model.name} multiple times in config list"
            )
        seen.add(model.name)
    for model in models:
        if not model.base_path.startswith("/") and not _URI.match(model.base_path):
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}",
            )


def check_platforms_kept(old: Sequence[Any], new: Sequence[Any]) -> None:
    """Refuse another platform for a model that is listed already."""
    platforms = {model.name: platform_of(model) for model in old}
    for model in new:
        if model.name not in platforms:
            continue
        platform = platform_of(model)
        if platform != platforms[model.name]:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Illegal to change a model's platform. For model {model.name} platform was "
                f"{platforms[model.name]} and new platform requested is {platform}",
            )


def check_platforms_known(models: Sequence[Any]) -> None:
    """Refuse a platform that the server cannot load."""
    for model in models:
        platform = platform_of(model)
        if platform != PLATFORM:
            raise StatusError(Code.INVALID_ARGUMENT, f"Model {model.name} requests unsupported platform {platform}")


Labels = Mapping[str, Mapping[str, int]]
"""Model name to label to version."""
