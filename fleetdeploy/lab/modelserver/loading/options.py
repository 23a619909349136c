"""What the flags say about loading, with the files they name read and checked.

See Server::BuildAndStart in tensorflow_serving/model_servers/server.cc and saved_model_bundle_factory.cc in
tensorflow_serving/servables/tensorflow.
"""

from dataclasses import dataclass
from typing import Any, Final

from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.loading.batching_options import batch_threads
from fleetdeploy.lab.modelserver.loading.platform_config import read_platform_config
from fleetdeploy.lab.modelserver.loading.warmup import WarmUp
from fleetdeploy.lab.modelserver.messages import BatchingParameters
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.lab.modelserver.text_proto import read_text_proto
from fleetdeploy.tfserving import stubs

_DEFAULT_TAGS: Final = ("serve",)


@dataclass(frozen=True)
class LoadOptions:
    """How versions are loaded."""

    tags: tuple[str, ...]
    """Tag set of the meta graph to load."""
    session_config: Any
    """ConfigProto for every session."""
    session_metadata: bool
    """Each session is told the name and version of its model."""
    mixed_precision: str
    prefer_tflite: bool
    tflite_pools: int
    tflite_interpreters_per_pool: int
    warm_up: WarmUp | None
    """How recorded requests are made before a version serves; None if they are not."""
    batching: Any | None
    """BatchingParameters of all models; None if requests are not batched."""
    batching_per_model: bool
    """Each version brings its own parameters, or is not batched; only the threads are then those of `batching`."""


def load_options(flags: Flags) -> LoadOptions:
    """Read what the flags say, or the platform config file in their stead.

    Raises StatusError for flags that do not go together, for a file that cannot be read, and for a number of batch
    threads that is out of range; other batching parameters are looked at when a model is loaded.
    """
    options = _from_platform_config(flags) if flags.platform_config_file else _from_flags(flags)
    if options.batching is not None:
        batch_threads(options.batching)
    return options


def _from_flags(flags: Flags) -> LoadOptions:
    batching = _batching_parameters(flags)
    return LoadOptions(
        tags=tuple(flags.saved_model_tags.split(",")) if flags.saved_model_tags else _DEFAULT_TAGS,
        session_config=_session_config(flags),
        session_metadata=False,
        mixed_precision=flags.mixed_precision,
        prefer_tflite=flags.prefer_tflite_model,
        tflite_pools=flags.num_tflite_pools,
        tflite_interpreters_per_pool=flags.num_tflite_interpreters_per_pool,
        warm_up=WarmUp(
            iterations=max(1, flags.num_request_iterations_for_warmup),
            check_method_names=flags.enable_signature_method_name_check,
        )
        if flags.enable_model_warmup
        else None,
        batching=batching,
        batching_per_model=flags.enable_per_model_batching_parameters,
    )


def _from_platform_config(flags: Flags) -> LoadOptions:
    config = read_platform_config(flags.platform_config_file)
    session_config = stubs.config_pb2.ConfigProto.FromString(config.session_config.SerializeToString())
    iterations = config.model_warmup_options.num_request_iterations
    batching = BatchingParameters.FromString(config.batching_parameters.SerializeToString())
    return LoadOptions(
        tags=tuple(config.saved_model_tags) or _DEFAULT_TAGS,
        session_config=session_config,
        session_metadata=config.enable_session_metadata,
        mixed_precision=config.mixed_precision,
        prefer_tflite=config.prefer_tflite_model,
        tflite_pools=config.num_tflite_pools or config.num_tflite_interpreters,
        tflite_interpreters_per_pool=config.num_tflite_interpreters_per_pool,
        warm_up=WarmUp(
            iterations=iterations.value if config.model_warmup_options.HasField("num_request_iterations") else 1,
            check_method_names=flags.enable_signature_method_name_check,
        )
        if config.enable_model_warmup
        else None,
        batching=batching if config.HasField("batching_parameters") else None,
        batching_per_model=config.enable_per_model_batching_params,
    )


def _batching_parameters(flags: Flags) -> Any | None:
    if not flags.enable_batching:
        if flags.batching_parameters_file:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                "server_options.batching_parameters_file is set without setting server_options.enable_batching to "
                "true.",
            )
        return None
    if flags.batching_parameters_file:
        return read_text_proto(flags.batching_parameters_file, BatchingParameters())
    parameters = BatchingParameters()
    parameters.thread_pool_name.value = "model_server_batch_threads"
    return parameters


def _session_config(flags: Flags) -> Any:
    config = stubs.config_pb2.ConfigProto()
    if flags.tensorflow_session_config_file:
        read_text_proto(flags.tensorflow_session_config_file, config)
    config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    intra, inter = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    both = flags.tensorflow_session_parallelism
    if min(intra, inter, both) > 0:
        raise StatusError(
            Code.INVALID_ARGUMENT,
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all.",
        )
    config.intra_op_parallelism_threads = _int32(intra if intra > 0 or inter > 0 else both)
    config.inter_op_parallelism_threads = _int32(inter if intra > 0 or inter > 0 else both)
    return config


def _int32(number: int) -> int:
    """What C++ keeps of a number that does not fit into 32 bits."""
    return (number + 2**31) % 2**32 - 2**31
