"""The flags of ``tensorflow_model_server`` (see tensorflow/serving model_servers/main.cc).

The server prints an unknown flag and starts all the same with the default, so a misspelt one has to be found here.
"""

from __future__ import annotations

from fleetdeploy.config.syntax.refusal import Refused
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
KNOWN_FLAGS = OWNED_FLAGS | {
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_batching",
    "enable_grpc_healthcheck_service",
    "enable_model_warmup",
    "enable_per_model_batching_parameters",
    "enable_profiler",
    "enable_serialization_as_tensor_content",
    "enable_signature_method_name_check",
    "file_system_poll_wait_seconds",
    "flush_filesystem_caches",
    "grpc_channel_arguments",
    "grpc_max_threads",
    "load_retry_interval_micros",
    "max_num_load_retries",
    "mixed_precision",
    "monitoring_config_file",
    "num_load_threads",
    "num_request_iterations_for_warmup",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
    "num_unload_threads",
    "per_process_gpu_memory_fraction",
    "platform_config_file",
    "prefer_tflite_model",
    "remove_unused_fields_from_bundle_metagraph",
    "rest_api_enable_cors_support",
    "rest_api_num_threads",
    "rest_api_timeout_in_ms",
    "saved_model_tags",
    "ssl_config_file",
    "tensorflow_inter_op_parallelism",
    "tensorflow_intra_op_parallelism",
    "tensorflow_session_config_file",
    "tensorflow_session_parallelism",
    "thread_pool_factory_config_file",
    "use_alts_credentials",
    "xla_cpu_compilation_enabled",
    "xla_gpu_compilation_enabled",
}


def check_flag_name(name: str) -> str:
    """A flag's name without dashes. A name that is like no known flag is left to newer servers. Raises Refused."""
    if name in OWNED_FLAGS:
        raise Refused("a flag that fleetdeploy sets itself", "remove it; ports and models have their own keys")
    if name in KNOWN_FLAGS:
        return name
    if not name.replace("_", "").isalnum() or not name.isascii() or not name[:1].isalpha() or name != name.lower():
        raise Refused("not a flag's name", "write it without dashes in front: enable_batching: true")
    close = nearest(name, KNOWN_FLAGS, cutoff=0.8)
    if close:
        raise Refused("not a flag of the server, which would start without it", f"did you mean {close!r}?")
    return name
