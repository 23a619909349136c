"""The flags of ``tensorflow_model_server`` (see tensorflow/serving model_servers/main.cc) and what their values are.

The server prints an unknown flag and starts all the same with the default, so a misspelt one has to be found here. A
value that it cannot read ends it, after the old container has gone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema

from fleetdeploy.config.fields.values import FLAG_VALUE_SCHEMA, FlagValue
from fleetdeploy.config.syntax.refusal import NotA, Refused, Several
from fleetdeploy.config.syntax.suggest import nearest

OWNED_FLAGS = frozenset(
    {
        "grpc_socket_path",
        "model_base_path",
        "model_config_file",
        "model_config_file_poll_wait_seconds",
        "model_name",
        "port",
        "rest_api_port",
    }
)
FLAG_KINDS: Final[Mapping[str, str]] = {
    "allow_version_labels_for_unavailable_models": "bool",
    "batching_parameters_file": "string",
    "enable_batching": "bool",
    "enable_grpc_healthcheck_service": "bool",
    "enable_model_warmup": "bool",
    "enable_per_model_batching_parameters": "bool",
    "enable_profiler": "bool",
    "enable_serialization_as_tensor_content": "bool",
    "enable_signature_method_name_check": "bool",
    "file_system_poll_wait_seconds": "int32",
    "flush_filesystem_caches": "bool",
    "grpc_channel_arguments": "string",
    "grpc_max_threads": "int32",
    "load_retry_interval_micros": "int64",
    "max_num_load_retries": "int32",
    "mixed_precision": "string",
    "monitoring_config_file": "string",
    "num_load_threads": "int32",
    "num_request_iterations_for_warmup": "int32",
    "num_tflite_interpreters_per_pool": "int32",
    "num_tflite_pools": "int32",
    "num_unload_threads": "int32",
    "per_process_gpu_memory_fraction": "float",
    "platform_config_file": "string",
    "prefer_tflite_model": "bool",
    "remove_unused_fields_from_bundle_metagraph": "bool",
    "rest_api_enable_cors_support": "bool",
    "rest_api_num_threads": "int32",
    "rest_api_timeout_in_ms": "int32",
    "saved_model_tags": "string",
    "skip_initialize_tpu": "bool",
    "ssl_config_file": "string",
    "tensorflow_inter_op_parallelism": "int64",
    "tensorflow_intra_op_parallelism": "int64",
    "tensorflow_session_config_file": "string",
    "tensorflow_session_parallelism": "int64",
    "thread_pool_factory_config_file": "string",
    "use_alts_credentials": "bool",
    "xla_cpu_compilation_enabled": "bool",
    "xla_gpu_compilation_enabled": "bool",
}
"""The flags that may be set, with the kinds of their values; the server does not start with a value of another kind."""
KNOWN_FLAGS = OWNED_FLAGS | FLAG_KINDS.keys()
_NUMBER = r"[+-]?[0-9]{1,40}"
_FLOAT = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|inf|nan)"
_EXPECTED = {
    "bool": ("true|false", "true or false"),
    "int32": (_NUMBER, "a whole number"),
    "int64": (_NUMBER, "a whole number"),
    "float": (_FLOAT, "a number"),
}
_BITS = {"int32": 32, "int64": 64}


def check_flag_name(name: str) -> str:
    """A flag's name without dashes. A name that is like no known flag is left to newer servers. Raises Refused."""
    if name in OWNED_FLAGS:
        raise Refused("a flag that fleetdeploy sets itself", "remove it; ports and models have their own keys")
    if name in KNOWN_FLAGS:
        return name
    if name == "version":
        raise Refused("with it the server prints its version and ends", "remove it; `image` says which version runs")
    if not name.replace("_", "").isalnum() or not name.isascii() or not name[:1].isalpha() or name != name.lower():
        raise Refused("not a flag's name", "write it without dashes in front: enable_batching: true")
    close = nearest(name, KNOWN_FLAGS, cutoff=0.8)
    if close:
        raise Refused("not a flag of the server, which would start without it", f"did you mean {close!r}?")
    return name


def check_flag_values(flags: dict[str, str]) -> dict[str, str]:
    """Flags whose values the server can read. Raises Several; flags of newer servers may have any value."""
    wrong = [
        NotA(f"a value of {name}", hint, at=(name,)) for name, text in flags.items() for hint in _wrong(name, text)
    ]
    if wrong:
        raise Several(wrong)
    return flags


def _wrong(name: str, text: str) -> Iterator[str]:
    kind = FLAG_KINDS.get(name, "string")
    if kind == "string":
        return
    pattern, expected = _EXPECTED[kind]
    if not re.fullmatch(pattern, text):
        yield expected
    elif kind in _BITS and not -(2 ** (_BITS[kind] - 1)) <= int(text) < 2 ** (_BITS[kind] - 1):
        yield f"{expected} of {_BITS[kind]} bits"


def _flag_schema(kind: str) -> dict[str, object]:
    pattern, expected = _EXPECTED[kind]
    plain = {"bool": "boolean", "float": "number"}.get(kind, "integer")
    return {"title": expected, "type": [plain, "string"], "pattern": f"^({pattern})$"}


def _named(*kinds: str) -> str:
    return f"^({'|'.join(name for name, kind in FLAG_KINDS.items() if kind in kinds)})$"


_FLAGS: dict[str, object] = {
    "type": "object",
    "propertyNames": {
        "type": "string",
        "anyOf": [{"enum": sorted(FLAG_KINDS)}, {"pattern": "^[a-z][a-z0-9_]*$"}],
        "not": {"enum": sorted(OWNED_FLAGS)},
    },
    "patternProperties": {
        _named("bool"): _flag_schema("bool"),
        _named("int32", "int64"): _flag_schema("int32"),
        _named("float"): _flag_schema("float"),
    },
    "additionalProperties": FLAG_VALUE_SCHEMA,
}
FlagName = Annotated[str, AfterValidator(check_flag_name)]
ServerFlags = Annotated[dict[FlagName, FlagValue], AfterValidator(check_flag_values), WithJsonSchema(_FLAGS)]
