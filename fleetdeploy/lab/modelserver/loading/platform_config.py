"""--platform_config_file: a PlatformConfigMap, which stands in for every flag about sessions, batching and warm-up.

What it packs into `Any` are messages that no published package defines; names and field numbers are those of
tensorflow_serving/servables/tensorflow/{saved_model_bundle_source_adapter,session_bundle_config}.proto.
"""

from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from fleetdeploy.lab.modelserver.messages import BatchingParameters, describe
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.lab.modelserver.text_proto import read_text_proto
from fleetdeploy.tfserving import stubs

PLATFORM: Final = "tensorflow"

_PACKAGE: Final = "tensorflow.serving"
_ADAPTER: Final = f"{_PACKAGE}.SavedModelBundleSourceAdapterConfig"
_DEFINITIONS: Final = {
    "ModelWarmupOptions": {
        "num_request_iterations": (1, "google.protobuf.Int32Value"),
        "num_model_warmup_threads": (2, "google.protobuf.Int32Value"),
        "model_name": (3, "string"),
        "model_version": (4, "int64"),
        "enable_all_batch_sizes_warmup": (5, "bool"),
    },
    "SessionBundleConfig": {
        "session_target": (1, "string"),
        "session_config": (2, "tensorflow.ConfigProto"),
        "batching_parameters": (3, f"{_PACKAGE}.BatchingParameters"),
        "session_run_load_threadpool_index": (4, "google.protobuf.Int32Value"),
        "experimental_transient_ram_bytes_during_load": (5, "uint64"),
        "saved_model_tags": (6, "repeated string"),
        "enable_model_warmup": (779, "bool"),
        "model_warmup_options": (780, f"{_PACKAGE}.ModelWarmupOptions"),
        "enable_session_metadata": (781, "bool"),
        "remove_unused_fields_from_bundle_metagraph": (782, "bool"),
        "prefer_tflite_model": (783, "bool"),
        "resource_estimation_uses_validation_result": (784, "bool"),
        "num_tflite_interpreters": (785, "int32"),
        "num_tflite_interpreters_per_pool": (786, "int32"),
        "num_tflite_pools": (787, "int32"),
        "wrap_session_with_no_threading_params": (788, "bool"),
        "enable_per_model_batching_params": (789, "bool"),
        "enable_saved_model_config": (790, "bool"),
        "mixed_precision": (791, "string"),
    },
    "SavedModelBundleSourceAdapterConfig": {"legacy_config": (1000, f"{_PACKAGE}.SessionBundleConfig")},
}
"""Message to field to (number, type); the fields of batching inside a graph and of fixed inputs are left out."""


def read_platform_config(path: str) -> Any:
    """Read the SessionBundleConfig of the platform `tensorflow`.

    Raises StatusError for a file that cannot be read, and UNIMPLEMENTED for another platform than that one, or for
    another kind of adapter than that of SavedModels.
    """
    pool = _pool()
    configs = read_text_proto(path, stubs.platform_config_pb2.PlatformConfigMap(), pool=pool).platform_configs
    names = sorted(configs)
    kinds = {name: configs[name].source_adapter_config.type_url.rpartition("/")[2] for name in names}
    if kinds != {PLATFORM: _ADAPTER}:
        raise StatusError(
            Code.UNIMPLEMENTED,
            f"The stand-in serves the platform {PLATFORM} with a {_ADAPTER} and no other; {path} lists {kinds}",
        )
    adapter = message_factory.GetMessageClass(pool.FindMessageTypeByName(_ADAPTER))
    return adapter.FromString(configs[PLATFORM].source_adapter_config.value).legacy_config  # type: ignore[attr-defined]


def _pool() -> descriptor_pool.DescriptorPool:
    """The messages of this module with all that they consist of, apart from those that other modules know."""
    pool = descriptor_pool.DescriptorPool()
    known = [stubs.config_pb2.DESCRIPTOR, BatchingParameters.DESCRIPTOR.file]
    added: set[str] = set()
    for file in known:
        _add(pool, file, added)
    dependencies = [*(file.name for file in known), "google/protobuf/wrappers.proto"]
    pool.Add(describe("loading/platform_config", _DEFINITIONS, dependencies=dependencies))
    return pool


def _add(pool: descriptor_pool.DescriptorPool, file: Any, added: set[str]) -> None:
    """Add a file after those it depends on."""
    if file.name in added:
        return
    added.add(file.name)
    for dependency in file.dependencies:
        _add(pool, dependency, added)
    copy = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(copy)
    pool.Add(copy)
