"""The gRPC services: PredictionService and ModelService.

See tensorflow_serving/model_servers/prediction_service_impl.cc, model_service_impl.cc and grpc_status_util.cc.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import grpc

from fleetdeploy.lab.modelserver import log, predict
from fleetdeploy.lab.modelserver.core import ServerCore
from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

_LIMIT: Final = 1024
_INT32_MAX: Final = 2**31 - 1
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def start_grpc_server(core: ServerCore, flags: Flags) -> grpc.Server:
    """Open the gRPC port and the UNIX socket that the flags ask for. Raises INVALID_ARGUMENT if one cannot be bound."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", _INT32_MAX),
        ("grpc.max_send_message_length", _INT32_MAX),
    ]
    server = grpc.server(
        ThreadPoolExecutor(max_workers=max(1, flags.grpc_max_threads), thread_name_prefix="grpc"),
        options=[*options, *_channel_arguments(flags.grpc_channel_arguments)],
    )
    server.add_generic_rpc_handlers((_prediction_service(core), _model_service(core)))
    try:
        if flags.port:
            server.add_insecure_port(f"0.0.0.0:{flags.port}")
        if flags.grpc_socket_path:
            server.add_insecure_port(f"unix:{flags.grpc_socket_path}")
    except RuntimeError as problem:
        raise StatusError(Code.INVALID_ARGUMENT, "Failed to BuildAndStart gRPC server") from problem
    server.start()
    if flags.port:
        log.info(f"Running gRPC ModelServer at 0.0.0.0:{flags.port} ...")
    if flags.grpc_socket_path:
        log.info(f"Running gRPC ModelServer at UNIX socket {flags.grpc_socket_path} ...")
    return server


def _channel_arguments(text: str) -> Sequence[tuple[str, Any]]:
    """Read `key=value,key=value`; a value that is a number is passed as one."""
    pairs = (piece.partition("=") for piece in text.split(",") if piece)
    return [(key, int(value) if value.lstrip("-").isdigit() else value) for key, _, value in pairs]


def _method(answer: Callable[[Any, grpc.ServicerContext], Any], request: Any, response: Any) -> Any:
    """A handler; a StatusError ends the call with its code and its text, which is cut when it is long."""

    def handle(message: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(message, context)
        except StatusError as problem:
            text = problem.message
            context.abort(_CODES[problem.code], text if len(text) <= _LIMIT else text[:_LIMIT] + "...TRUNCATED")
            raise  # never reached: abort raises

    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )


def _prediction_service(core: ServerCore) -> Any:
    """Predict and GetModelMetadata; gRPC itself answers UNIMPLEMENTED for what is not here."""

    def answer_predict(request: Any, context: grpc.ServicerContext) -> Any:
        left_s = context.time_remaining()
        timeout_ms = None if left_s is None else min(max(1, int(left_s * 1000)), _INT32_MAX)
        return predict.predict(core, request, timeout_ms=timeout_ms)

    metadata = stubs.get_model_metadata_pb2
    methods = {
        "Predict": _method(answer_predict, stubs.predict_pb2.PredictRequest, stubs.predict_pb2.PredictResponse),
        "GetModelMetadata": _method(
            lambda request, _: predict.model_metadata(core, request),
            metadata.GetModelMetadataRequest,
            metadata.GetModelMetadataResponse,
        ),
    }
    return grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", methods)


def _model_service(core: ServerCore) -> Any:
    """GetModelStatus and HandleReloadConfigRequest."""
    status, management = stubs.get_model_status_pb2, stubs.model_management_pb2
    methods = {
        "GetModelStatus": _method(
            lambda request, _: predict.model_status(core, request),
            status.GetModelStatusRequest,
            status.GetModelStatusResponse,
        ),
        "HandleReloadConfigRequest": _method(
            lambda request, _: _reload(core, request),
            management.ReloadConfigRequest,
            management.ReloadConfigResponse,
        ),
    }
    return grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", methods)


def _reload(core: ServerCore, request: Any) -> Any:
    if request.config.WhichOneof("config") != "model_config_list":
        raise StatusError(
            Code.INVALID_ARGUMENT,
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported",
        )
    for index, model in enumerate(request.config.model_config_list.config):
        log.info(
            f"\nConfig entry\n\tindex : {index}\n\tpath : {model.base_path}\n\tname : {model.name}"
            f"\n\tplatform : {model.model_platform}"
        )
    try:
        core.reload(request.config)
    except StatusError as problem:
        log.error(f"ReloadConfig failed: {problem.message}")
        raise
    response = stubs.model_management_pb2.ReloadConfigResponse()
    response.status.SetInParent()
    for name in request.metric_names:
        response.metric.add(name=name, int64_value_increase=0)
    return response
