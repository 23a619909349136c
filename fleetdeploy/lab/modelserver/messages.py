"""Messages of the real server's side files that no published package defines: monitoring, TLS, batching.

Names and field numbers are those of tensorflow_serving/config/monitoring_config.proto, config/ssl_config.proto and
servables/tensorflow/session_bundle_config.proto. They live in a descriptor pool of their own, so that a package that
defines them one day does not clash.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, wrappers_pb2

_PACKAGE: Final = "tensorflow.serving"
_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS: Final = {
    "bool": _FIELD.TYPE_BOOL,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "uint64": _FIELD.TYPE_UINT64,
    "string": _FIELD.TYPE_STRING,
}
Definitions = Mapping[str, Mapping[str, tuple[int, str]]]
"""Message to field to (number, type): `string`, `repeated int64`, or a message's full name."""

_DEFINITIONS: Final = {
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, f"{_PACKAGE}.PrometheusConfig")},
    "SSLConfig": {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    },
    "BatchingParameters": {
        "max_batch_size": (1, "google.protobuf.Int64Value"),
        "batch_timeout_micros": (2, "google.protobuf.Int64Value"),
        "max_enqueued_batches": (3, "google.protobuf.Int64Value"),
        "num_batch_threads": (4, "google.protobuf.Int64Value"),
        "thread_pool_name": (5, "google.protobuf.StringValue"),
        "allowed_batch_sizes": (6, "repeated int64"),
        "pad_variable_length_inputs": (7, "bool"),
        "enable_large_batch_splitting": (8, "google.protobuf.BoolValue"),
        "max_execution_batch_size": (9, "google.protobuf.Int64Value"),
    },
}


def describe(name: str, definitions: Definitions, *, dependencies: Sequence[str]) -> descriptor_pb2.FileDescriptorProto:
    """A file of messages in tensorflow.serving; `dependencies` are the files of the messages that its fields name."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"fleetdeploy/lab/modelserver/{name}.proto", package=_PACKAGE, syntax="proto3", dependency=dependencies
    )
    for message_name, fields in definitions.items():
        message = file.message_type.add(name=message_name)
        for field_name, (number, written) in fields.items():
            kind = written.removeprefix("repeated ")
            field = message.field.add(name=field_name, number=number)
            field.label = _FIELD.LABEL_OPTIONAL if kind == written else _FIELD.LABEL_REPEATED
            if kind in _SCALARS:
                field.type = _SCALARS[kind]
            else:
                field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{kind}"
    return file


def _pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    pool.Add(describe("messages", _DEFINITIONS, dependencies=[wrappers_pb2.DESCRIPTOR.name]))
    return pool


_POOL: Final = _pool()


def _message_class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{_PACKAGE}.{name}"))


MonitoringConfig: Final = _message_class("MonitoringConfig")
"""`prometheus_config { enable path }`, of --monitoring_config_file."""
SSLConfig: Final = _message_class("SSLConfig")
"""`server_key`, `server_cert`, `custom_ca`, `client_verify`, of --ssl_config_file."""
BatchingParameters: Final = _message_class("BatchingParameters")
"""Of --batching_parameters_file and of a model's own batching_params.pbtxt; single values are wrapper messages."""
