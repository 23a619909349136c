"""The protobuf modules of TensorFlow and TensorFlow Serving, without the TensorFlow runtime.

`import tensorflow_serving.apis.predict_pb2` runs `tensorflow/__init__.py` first, which takes seconds and hundreds of
megabytes. The generated modules need none of it, only a parent package to live in. So this file, and no other, imports
them while a bare package stands in for `tensorflow`, and takes that package away again afterwards; a later real
`import tensorflow` works as if nothing had happened.

    from fleetdeploy.tfserving import stubs
    request = stubs.predict_pb2.PredictRequest()

Each module is imported when its attribute is first read. Where `tensorflow` is a plain directory of generated modules
(a namespace package, as in the lab's image) they are imported directly.
"""

import importlib
import importlib.util
import sys
import threading
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

_FRAMEWORK: Final = "tensorflow.core.framework"
_PROTOBUF: Final = "tensorflow.core.protobuf"
_APIS: Final = "tensorflow_serving.apis"
_CONFIG: Final = "tensorflow_serving.config"

PACKAGES: Final[dict[str, str]] = {
    "graph_pb2": _FRAMEWORK,
    "op_def_pb2": _FRAMEWORK,
    "tensor_pb2": _FRAMEWORK,
    "tensor_shape_pb2": _FRAMEWORK,
    "types_pb2": _FRAMEWORK,
    "config_pb2": _PROTOBUF,
    "error_codes_pb2": _PROTOBUF,
    "fingerprint_pb2": _PROTOBUF,
    "meta_graph_pb2": _PROTOBUF,
    "saved_model_pb2": _PROTOBUF,
    "tensor_bundle_pb2": _PROTOBUF,
    "example_pb2": "tensorflow.core.example",
    "feature_pb2": "tensorflow.core.example",
    "classification_pb2": _APIS,
    "get_model_metadata_pb2": _APIS,
    "get_model_status_pb2": _APIS,
    "inference_pb2": _APIS,
    "input_pb2": _APIS,
    "model_management_pb2": _APIS,
    "model_pb2": _APIS,
    "model_service_pb2": _APIS,
    "model_service_pb2_grpc": _APIS,
    "predict_pb2": _APIS,
    "prediction_log_pb2": _APIS,
    "prediction_service_pb2": _APIS,
    "prediction_service_pb2_grpc": _APIS,
    "regression_pb2": _APIS,
    "status_pb2": _APIS,
    "file_system_storage_path_source_pb2": _CONFIG,
    "logging_config_pb2": _CONFIG,
    "model_server_config_pb2": _CONFIG,
    "platform_config_pb2": _CONFIG,
}
"""Every module that can be loaded, and the package it lives in."""

# Declared one by one so that a misspelt name is an error for the type checker, not for the reader at 3 a.m.
graph_pb2: Any
op_def_pb2: Any
tensor_pb2: Any
tensor_shape_pb2: Any
types_pb2: Any
config_pb2: Any
error_codes_pb2: Any
fingerprint_pb2: Any
meta_graph_pb2: Any
saved_model_pb2: Any
tensor_bundle_pb2: Any
example_pb2: Any
feature_pb2: Any
classification_pb2: Any
get_model_metadata_pb2: Any
get_model_status_pb2: Any
inference_pb2: Any
input_pb2: Any
model_management_pb2: Any
model_pb2: Any
model_service_pb2: Any
model_service_pb2_grpc: Any
predict_pb2: Any
prediction_log_pb2: Any
prediction_service_pb2: Any
prediction_service_pb2_grpc: Any
regression_pb2: Any
status_pb2: Any
file_system_storage_path_source_pb2: Any
logging_config_pb2: Any
model_server_config_pb2: Any
platform_config_pb2: Any

_LOCK: Final = threading.RLock()


def load(name: str) -> ModuleType:
    """Return the generated module `name` (a key of `PACKAGES`), importing it on first use; safe from any thread.

    A real `import tensorflow` in *another* thread must not run at the same moment: for the time of the first import of
    a module (about 0.1 s in all) the name `tensorflow` is bound to a bare package.

    Raises KeyError for a name that is not in `PACKAGES`, ModuleNotFoundError where the stubs are not installed.
    """
    qualified = f"{PACKAGES[name]}.{name}"
    with _LOCK:
        loaded = sys.modules.get(qualified)
        if loaded is not None:
            return loaded
        bare = _bare_tensorflow()
        if bare is None:
            return importlib.import_module(qualified)
        sys.modules["tensorflow"] = bare
        try:
            return importlib.import_module(qualified)
        finally:
            sys.modules.pop("tensorflow", None)


def _bare_tensorflow() -> ModuleType | None:
    """A package that only knows where TensorFlow's files lie, or None where the plain import is as cheap."""
    if "tensorflow" in sys.modules:
        return None
    spec = importlib.util.find_spec("tensorflow")
    if spec is None:
        raise ModuleNotFoundError(
            "the protobuf modules of TensorFlow are missing; install tensorflow-serving-api and tensorflow-cpu",
            name="tensorflow",
        )
    if spec.origin is None:  # a namespace package: no __init__.py that could be run
        return None
    bare = ModuleType("tensorflow")
    bare.__path__ = list(spec.submodule_search_locations or ())
    return bare


if not TYPE_CHECKING:

    def __getattr__(name: str) -> ModuleType:
        """Import a module of `PACKAGES` when its attribute is first read (PEP 562)."""
        if name not in PACKAGES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = load(name)
        globals()[name] = module  # the next read costs what any attribute costs
        return module
