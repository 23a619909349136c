"""--thread_pool_factory_config_file: the stock server knows no such factory, so every file ends its start."""

from typing import Any, Final

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.lab.modelserver.text_proto import read_text_proto

_MESSAGE: Final = "tensorflow.serving.ThreadPoolFactoryConfig"


def check_thread_pool_factory(path: str) -> None:
    """Refuse a file as the real server does, once its models are loaded; an empty `path` stands for no file.

    Raises INVALID_ARGUMENT for a file that does not parse or names no type, INTERNAL for a type that nobody knows
    (CreateFromAny in tensorflow_serving/util/class_registration.h).
    """
    if not path:
        return
    url = read_text_proto(path, _message()).thread_pool_factory_config.type_url
    _, slash, name = url.rpartition("/")
    if not slash or not name:
        raise StatusError(Code.INVALID_ARGUMENT, f"Supplied config's type_url could not be parsed: {url}")
    raise StatusError(Code.INTERNAL, f"Unable to find compiled-in proto descriptor of type {name}")


def _message() -> Any:
    """An empty ThreadPoolFactoryConfig (servables/tensorflow/thread_pool_factory_config.proto)."""
    pool = descriptor_pool.DescriptorPool()
    packed = descriptor_pb2.FileDescriptorProto()
    any_pb2.DESCRIPTOR.CopyToProto(packed)
    pool.Add(packed)
    package, _, name = _MESSAGE.rpartition(".")
    file = descriptor_pb2.FileDescriptorProto(
        name="fleetdeploy/lab/modelserver/loading/thread_pool_factory.proto",
        package=package,
        syntax="proto3",
        dependency=[packed.name],
    )
    field = file.message_type.add(name=name).field.add(name="thread_pool_factory_config", number=1)
    field.label, field.type = field.LABEL_OPTIONAL, field.TYPE_MESSAGE
    field.type_name = f".{any_pb2.Any.DESCRIPTOR.full_name}"
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(_MESSAGE))()
