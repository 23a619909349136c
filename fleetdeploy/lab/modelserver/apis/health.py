"""gRPC's standard health service, as the C++ library's default implementation answers it.

See src/cpp/server/health/default_health_check_service.cc of grpc; the names are set in
tensorflow_serving/model_servers/server.cc. No state ever changes: the ports open when all models are there, and the
names stay SERVING whatever becomes of the models.
"""

from typing import Any, Final

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE: Final = "grpc.health.v1"
_SERVING, _SERVICE_UNKNOWN = 1, 3
_STATES: Final = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_NAMES: Final = frozenset({"", "ModelService", "PredictionService"})
_LONGEST_NAME_BYTES: Final = 200


def health_service() -> grpc.GenericRpcHandler:
    """Handlers of `grpc.health.v1.Health`: Check and Watch."""
    request, response = _messages()

    def check(message: Any, context: grpc.ServicerContext) -> Any:
        if len(message.service.encode()) > _LONGEST_NAME_BYTES:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "could not parse request")
        if message.service not in _NAMES:
            context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return response(status=_SERVING)

    def watch(message: Any, context: grpc.ServicerContext, send: Any) -> None:
        """Send the one state there will ever be; the call stays open until its client ends it, and holds no thread."""
        if len(message.service.encode()) > _LONGEST_NAME_BYTES:
            context.abort(grpc.StatusCode.INTERNAL, "could not parse request")
        send(response(status=_SERVING if message.service in _NAMES else _SERVICE_UNKNOWN))

    coders = {"request_deserializer": request.FromString, "response_serializer": response.SerializeToString}
    watch.experimental_non_blocking = True  # type: ignore[attr-defined]  # how grpcio's own health service does it
    return grpc.method_handlers_generic_handler(
        f"{_PACKAGE}.Health",
        {
            "Check": grpc.unary_unary_rpc_method_handler(check, **coders),
            "Watch": grpc.unary_stream_rpc_method_handler(watch, **coders),
        },
    )


def _messages() -> tuple[Any, Any]:
    """HealthCheckRequest and HealthCheckResponse, from a pool of their own beside any other definition of them."""
    file = descriptor_pb2.FileDescriptorProto(name="health.proto", package=_PACKAGE, syntax="proto3")
    optional = descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL
    string, enumeration = descriptor_pb2.FieldDescriptorProto.TYPE_STRING, descriptor_pb2.FieldDescriptorProto.TYPE_ENUM
    request = file.message_type.add(name="HealthCheckRequest")
    request.field.add(name="service", number=1, type=string, label=optional)
    response = file.message_type.add(name="HealthCheckResponse")
    states = response.enum_type.add(name="ServingStatus")
    for number, name in enumerate(_STATES):
        states.value.add(name=name, number=number)
    type_name = f".{_PACKAGE}.HealthCheckResponse.ServingStatus"
    response.field.add(name="status", number=1, type=enumeration, label=optional, type_name=type_name)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    classes = [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{message.name}"))
        for message in (request, response)
    ]
    return classes[0], classes[1]
