"""The gRPC port and the UNIX socket.

See tensorflow_serving/model_servers/server.cc.
"""

import os
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

import grpc

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.apis.credentials import server_credentials
from fleetdeploy.lab.modelserver.apis.health import health_service
from fleetdeploy.lab.modelserver.apis.model_service import model_service
from fleetdeploy.lab.modelserver.apis.prediction import Prediction
from fleetdeploy.lab.modelserver.apis.prediction_service import prediction_service
from fleetdeploy.lab.modelserver.apis.rpc import INT32_MAX
from fleetdeploy.lab.modelserver.flags import Flags, integer
from fleetdeploy.lab.modelserver.models.core import ServerCore
from fleetdeploy.lab.modelserver.status import Code, StatusError

_NOT_STARTED: Final = "Failed to BuildAndStart gRPC server"


class _Threads(grpc.GenericRpcHandler):
    """Refuses calls while all threads are taken, instead of letting them queue.

    Of the threads of --grpc_max_threads one always waits for the next call, so that one less can run; see MainWorkLoop
    in src/cpp/thread_manager/thread_manager.cc of grpc.
    """

    def __init__(self, *services: grpc.GenericRpcHandler, most: int) -> None:
        self._services = services
        self._free = threading.Semaphore(most - 1)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        for service in self._services:
            found = service.service(handler_call_details)
            if found is not None:
                return grpc.unary_unary_rpc_method_handler(
                    self._counted(found.unary_unary),
                    request_deserializer=found.request_deserializer,
                    response_serializer=found.response_serializer,
                )
        return None

    def _counted(self, answer: Any) -> Callable[[Any, grpc.ServicerContext], Any]:
        def handle(message: Any, context: grpc.ServicerContext) -> Any:
            if not self._free.acquire(blocking=False):
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Server Threadpool Exhausted")
            try:
                return answer(message, context)
            finally:
                self._free.release()

        return handle


def start_grpc_server(core: ServerCore, prediction: Prediction, flags: Flags) -> grpc.Server:
    """Open the gRPC port and the UNIX socket that the flags ask for. Raises INVALID_ARGUMENT if one cannot be bound."""
    addresses = [f"0.0.0.0:{flags.port}"] if flags.port else []
    if flags.grpc_socket_path:
        addresses.append(f"unix:{flags.grpc_socket_path}")
    credentials = [server_credentials(flags) for _ in addresses]
    options = [*_channel_arguments(flags.grpc_channel_arguments), ("grpc.max_receive_message_length", INT32_MAX)]
    if flags.grpc_max_threads < 1:
        log.abort("No thread quota available to even create the minimum required polling threads")
    pool = ThreadPoolExecutor(max_workers=flags.grpc_max_threads, thread_name_prefix="grpc")
    server = grpc.server(pool, options=options)
    api = prediction_service(prediction), model_service(core, prediction.metrics)
    services: list[Any] = [_Threads(*api, most=flags.grpc_max_threads)]
    if flags.enable_grpc_healthcheck_service:
        services.append(health_service())
    server.add_generic_rpc_handlers(services)
    try:
        for address, credential in zip(addresses, credentials, strict=True):
            if credential is None:
                server.add_insecure_port(address)
            else:
                server.add_secure_port(address, credential)
    except RuntimeError as problem:
        if flags.enable_grpc_healthcheck_service:
            _crash()
        raise StatusError(Code.INVALID_ARGUMENT, _NOT_STARTED) from problem
    server.start()
    if flags.port:
        log.info(f"Running gRPC ModelServer at 0.0.0.0:{flags.port} ...")
    if flags.grpc_socket_path:
        log.info(f"Running gRPC ModelServer at UNIX socket {flags.grpc_socket_path} ...")
    return server


def _crash() -> NoReturn:
    """End as the real server does, which asks the server that was not made for its health service."""
    log.fatal(f"{_NOT_STARTED}; its health service is asked for all the same")
    os.kill(os.getpid(), signal.SIGSEGV)
    raise AssertionError("SIGSEGV ends the process")


def _channel_arguments(text: str) -> Sequence[tuple[str, Any]]:
    """Read `key=value,key=value`; a value that is an int32 is passed as one.

    A piece without `=` makes the real server read beyond the end of a list, so that anything may follow; here it ends
    with INVALID_ARGUMENT.
    """
    arguments: list[tuple[str, Any]] = []
    for piece in text.split(",") if text else ():
        key, *values = piece.split("=")
        if not values:
            raise StatusError(Code.INVALID_ARGUMENT, f"grpc_channel_arguments: {piece!r} is not key=value")
        try:
            arguments.append((key, integer(values[0], bits=32)))
        except ValueError:
            arguments.append((key, values[0]))
    return arguments
