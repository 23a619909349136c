"""Command line flags with TensorFlow's syntax: `--name=value`, and nothing else.

See tensorflow/core/util/command_line_flags.cc and tensorflow_serving/model_servers/main.cc. An argument that is no
known flag is left over, and the server starts without it.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final


def _schedulable_cpus() -> int:
    return len(os.sched_getaffinity(0))


def _threads() -> int:
    return 4 * _schedulable_cpus()


@dataclass
class Flags:
    """Every flag of the model server; names, types and defaults are those of 2.20."""

    port: int = 8500
    grpc_socket_path: str = ""
    rest_api_port: int = 0
    rest_api_num_threads: int = field(default_factory=_threads)
    rest_api_timeout_in_ms: int = 30000
    rest_api_enable_cors_support: bool = False
    enable_batching: bool = False
    allow_version_labels_for_unavailable_models: bool = False
    batching_parameters_file: str = ""
    enable_per_model_batching_parameters: bool = False
    model_config_file: str = ""
    model_config_file_poll_wait_seconds: int = 0
    model_name: str = "default"
    model_base_path: str = ""
    num_load_threads: int = 0
    num_unload_threads: int = 0
    max_num_load_retries: int = 5
    load_retry_interval_micros: int = 60_000_000
    file_system_poll_wait_seconds: int = 1
    flush_filesystem_caches: bool = True
    tensorflow_session_parallelism: int = 0
    tensorflow_session_config_file: str = ""
    tensorflow_intra_op_parallelism: int = 0
    tensorflow_inter_op_parallelism: int = 0
    use_alts_credentials: bool = False
    ssl_config_file: str = ""
    platform_config_file: str = ""
    per_process_gpu_memory_fraction: float = 0.0
    saved_model_tags: str = "serve"
    grpc_channel_arguments: str = ""
    grpc_max_threads: int = field(default_factory=_threads)
    enable_model_warmup: bool = True
    num_request_iterations_for_warmup: int = 0
    version: bool = False
    monitoring_config_file: str = ""
    remove_unused_fields_from_bundle_metagraph: bool = True
    prefer_tflite_model: bool = False
    num_tflite_pools: int = field(default_factory=_schedulable_cpus)
    num_tflite_interpreters_per_pool: int = 1
    enable_signature_method_name_check: bool = False
    xla_cpu_compilation_enabled: bool = False
    xla_gpu_compilation_enabled: bool = False
    enable_profiler: bool = True
    thread_pool_factory_config_file: str = ""
    mixed_precision: str = ""
    skip_initialize_tpu: bool = False
    enable_grpc_healthcheck_service: bool = False
    enable_serialization_as_tensor_content: bool = False


@dataclass(frozen=True)
class Parsed:
    """What a command line says."""

    flags: Flags
    unknown: tuple[str, ...]
    """Arguments that are no flag, in order."""
    problems: tuple[str, ...]
    """One line for each known flag with a value that does not parse; the server does not start with any."""


_NUMBER: Final = {
    int: re.compile(r"\s*[+-]?[0-9]+", re.ASCII),
    float: re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII),
}
_TYPE_NAMES: Final = {int: "int32", float: "float", bool: "bool", str: "string"}


def _value(kind: type, text: str) -> object:
    """Parse a flag's value. Raises ValueError."""
    if kind is str:
        return text
    if kind is bool:
        if text not in ("true", "false"):
            raise ValueError(text)
        return text == "true"
    if not _NUMBER[kind].fullmatch(text):
        raise ValueError(text)
    return kind(text)


def parse(arguments: Sequence[str]) -> Parsed:
    """Read a command line (without the program's name). The last of several equal flags wins."""
    flags = Flags()
    kinds = {entry.name: type(getattr(flags, entry.name)) for entry in fields(Flags)}
    unknown: list[str] = []
    problems: list[str] = []
    for argument in arguments:
        name, equals, text = argument.removeprefix("--").partition("=")
        kind = kinds.get(name)
        if not argument.startswith("--") or kind is None or (not equals and kind is not bool):
            unknown.append(argument)
            continue
        try:
            setattr(flags, name, _value(kind, text) if equals else True)
        except ValueError:
            problems.append(f"Couldn't interpret value {text} for flag {name}.")
    return Parsed(flags=flags, unknown=tuple(unknown), problems=tuple(problems))


def usage(program: str) -> str:
    """List all flags with their defaults and types."""
    defaults = Flags()
    lines = [f"usage: {program}", "Flags:"]
    for entry in fields(Flags):
        value = getattr(defaults, entry.name)
        shown = f'"{value}"' if isinstance(value, str) else str(value).lower()
        lines.append(f"\t--{entry.name + '=' + shown:<50}\t{_TYPE_NAMES[type(value)]}")
    return "\n".join(lines) + "\n"
