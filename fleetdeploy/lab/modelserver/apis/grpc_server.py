"""The gRPC port and the UNIX socket.

See tensorflow_serving/model_servers/server.cc.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.apis.model_service import model_service
from fleetdeploy.lab.modelserver.apis.prediction import Prediction
from fleetdeploy.lab.modelserver.apis.prediction_service import prediction_service
from fleetdeploy.lab.modelserver.apis.rpc import INT32_MAX
from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.models.core import ServerCore
from fleetdeploy.lab.modelserver.status import Code, StatusError


def start_grpc_server(core: ServerCore, prediction: Prediction, flags: Flags) -> grpc.Server:
    """Open the gRPC port and the UNIX socket that the flags ask for. Raises INVALID_ARGUMENT if one cannot be bound."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", INT32_MAX),
        ("grpc.max_send_message_length", INT32_MAX),
    ]
    server = grpc.server(
        ThreadPoolExecutor(max_workers=max(1, flags.grpc_max_threads), thread_name_prefix="grpc"),
        options=[*options, *_channel_arguments(flags.grpc_channel_arguments)],
    )
    server.add_generic_rpc_handlers((prediction_service(prediction), model_service(core)))
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
