"""Command line flags with TensorFlow's syntax: `--name=value`, and nothing else.

See tsl/util/command_line_flags.cc and tensorflow_serving/model_servers/main.cc. An argument that is no known flag is
left over, and the server starts without it.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final


def _schedulable_cpus() -> int:
    return len(os.sched_getaffinity(0))


def _threads() -> int:
    return 4 * _schedulable_cpus()


def _flag(default: Any, text: str, *, kind: str = "") -> Any:
    """A field for a flag; a default that is called is asked for anew each time, `kind` where it is not int32."""
    metadata = {"text": text, "kind": kind}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass
class Flags:
    """Every flag of the model server; names, types, defaults and their order are those of 2.20."""

    port: int = _flag(8500, "TCP port of the gRPC API; 0 opens none")
    grpc_socket_path: str = _flag("", "path of a UNIX socket for the gRPC API; empty opens none")
    rest_api_port: int = _flag(0, "port of the REST API, another one than --port; 0 opens none")
    rest_api_num_threads: int = _flag(_threads, "threads of the REST API, one of which does nothing but accept")
    rest_api_timeout_in_ms: int = _flag(30000, "time for one REST call, in milliseconds")
    rest_api_enable_cors_support: bool = _flag(False, "answer with headers that let scripts of other sites read")
    enable_batching: bool = _flag(False, "run requests that come together as one batch")
    allow_version_labels_for_unavailable_models: bool = _flag(False, "let a free label name a version not loaded yet")
    batching_parameters_file: str = _flag("", "text proto BatchingParameters; needs --enable_batching")
    enable_per_model_batching_parameters: bool = _flag(False, "read batching_params.pbtxt of each version directory")
    model_config_file: str = _flag("", "text proto ModelServerConfig; replaces --model_name and --model_base_path")
    model_config_file_poll_wait_seconds: int = _flag(0, "seconds between two readings of that file; 0 reads it once")
    model_name: str = _flag("default", "name of the single model")
    model_base_path: str = _flag("", "directory with the versions of the single model")
    num_load_threads: int = _flag(0, "threads that load; with 0 the deciding thread loads, one version at a time")
    num_unload_threads: int = _flag(0, "threads that unload; with 0 the deciding thread unloads")
    max_num_load_retries: int = _flag(5, "further attempts after a load has failed")
    load_retry_interval_micros: int = _flag(60_000_000, "microseconds between attempts to load", kind="int64")
    file_system_poll_wait_seconds: int = _flag(1, "seconds between scans for versions; 0 scans once, less never")
    flush_filesystem_caches: bool = _flag(True, "give the memory of read model files back after loads")
    tensorflow_session_parallelism: int = _flag(0, "threads of a session; 0 lets TensorFlow choose", kind="int64")
    tensorflow_session_config_file: str = _flag("", "text proto ConfigProto for the sessions")
    tensorflow_intra_op_parallelism: int = _flag(0, "threads within an operation; 0: TensorFlow chooses", kind="int64")
    tensorflow_inter_op_parallelism: int = _flag(0, "operations at a time; 0: TensorFlow chooses", kind="int64")
    use_alts_credentials: bool = _flag(False, "Google's ALTS for the gRPC API")
    ssl_config_file: str = _flag("", "text proto SSLConfig with keys and certificates for the gRPC API")
    platform_config_file: str = _flag("", "text proto PlatformConfigMap, instead of the flags of sessions and batching")
    per_process_gpu_memory_fraction: float = _flag(0.0, "share of each GPU's memory; 0 lets TensorFlow choose")
    saved_model_tags: str = _flag("serve", "tags of the graph to load, with commas between them")
    grpc_channel_arguments: str = _flag("", "settings of the gRPC server: key=value,key=value")
    grpc_max_threads: int = _flag(_threads, "threads of the gRPC API; calls beyond them are refused")
    enable_model_warmup: bool = _flag(True, "replay a version's recorded requests before it serves")
    num_request_iterations_for_warmup: int = _flag(0, "times each recorded request is replayed; 0 means once")
    version: bool = _flag(False, "print the version and exit")
    monitoring_config_file: str = _flag("", "text proto MonitoringConfig; metrics are read over REST")
    remove_unused_fields_from_bundle_metagraph: bool = _flag(True, "keep only the signatures of a loaded graph")
    prefer_tflite_model: bool = _flag(False, "load model.tflite of a version where there is one")
    num_tflite_pools: int = _flag(_schedulable_cpus, "pools of TensorFlow Lite interpreters per model")
    num_tflite_interpreters_per_pool: int = _flag(1, "TensorFlow Lite interpreters in a pool")
    enable_signature_method_name_check: bool = _flag(False, "insist on the method names of signatures")
    xla_cpu_compilation_enabled: bool = _flag(False, "let XLA compile for CPUs")
    xla_gpu_compilation_enabled: bool = _flag(False, "let XLA compile for GPUs and CPUs")
    enable_profiler: bool = _flag(True, "serve the profiler on the gRPC port")
    thread_pool_factory_config_file: str = _flag("", "text proto ThreadPoolFactoryConfig")
    mixed_precision: str = _flag("", "mode of mixed precision")
    skip_initialize_tpu: bool = _flag(False, "leave TPUs as they are")
    enable_grpc_healthcheck_service: bool = _flag(False, "serve gRPC's standard health service")
    enable_serialization_as_tensor_content: bool = _flag(False, "answer Predict with raw bytes instead of typed values")


@dataclass(frozen=True)
class Parsed:
    """What a command line says."""

    flags: Flags
    unknown: tuple[str, ...]
    """Arguments that are no flag, in order."""
    problems: tuple[str, ...]
    """One line for each known flag with a value that does not parse; the server does not start with any."""

    @property
    def usage_wanted(self) -> bool:
        """Whether the program only prints its usage: `--help` counts as the first argument that is no flag."""
        return bool(self.problems) or self.unknown[:1] == ("--help",)


_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_FLOAT: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.ASCII | re.IGNORECASE
)
_BITS: Final = {"int32": 32, "int64": 64}
_WHITE: Final = " \t\n\v\f\r"


def integer(text: str, *, bits: int) -> int:
    """A whole number of so many bits, sign included; white space around it is ignored. Raises ValueError."""
    if not _INTEGER.fullmatch(text.strip(_WHITE)):
        raise ValueError(text)
    value = int(text)
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError(text)
    return value


def _float(text: str) -> float:
    if not _FLOAT.fullmatch(text.strip(_WHITE)):
        raise ValueError(text)
    return float(text)


def _bool(text: str) -> bool:
    """Nothing but `true` and `false`: the one spelling that every release takes (late ones also take 1, 0 and TRUE)."""
    if text not in {"true", "false"}:
        raise ValueError(text)
    return text == "true"


def _value(kind: str, text: str) -> object:
    """Parse a flag's value. Raises ValueError."""
    if kind in _BITS:
        return integer(text, bits=_BITS[kind])
    parsers: dict[str, Callable[[str], object]] = {"bool": _bool, "float": _float, "string": str}
    return parsers[kind](text)


def _kinds() -> Mapping[str, str]:
    """Flag to type, as the usage names types."""
    names: dict[type, str] = {int: "int32", bool: "bool", float: "float", str: "string"}
    defaults = Flags()
    return MappingProxyType(
        {entry.name: entry.metadata["kind"] or names[type(getattr(defaults, entry.name))] for entry in fields(Flags)}
    )


def parse(arguments: Sequence[str]) -> Parsed:
    """Read a command line (without the program's name). The last of several equal flags wins.

    From a bare `--` on, everything is left over.
    """
    flags, kinds = Flags(), _kinds()
    unknown: list[str] = []
    problems: list[str] = []
    for index, argument in enumerate(arguments):
        if argument == "--":
            unknown += arguments[index:]
            break
        name, equals, text = argument.removeprefix("--").partition("=")
        kind = kinds.get(name)
        if not argument.startswith("--") or kind is None or (not equals and kind != "bool"):
            unknown.append(argument)
            continue
        try:
            setattr(flags, name, _value(kind, text) if equals else True)
        except ValueError:
            problems.append(f"Couldn't interpret value {text} for flag {name}.")
    return Parsed(flags=flags, unknown=tuple(unknown), problems=tuple(problems))


def usage(program: str) -> str:
    """List all flags with their defaults, types and what they are for."""
    defaults, kinds = Flags(), _kinds()
    lines = [f"usage: {program}", "Flags:"]
    for entry in fields(Flags):
        value, kind = getattr(defaults, entry.name), kinds[entry.name]
        shown = {"string": f'"{value}"', "float": f"{value:f}" if kind == "float" else ""}.get(kind, str(value).lower())
        lines.append(f"\t{f'--{entry.name}={shown}':<33}\t{kind}\t{entry.metadata['text']}")
    return "\n".join(lines) + "\n"
