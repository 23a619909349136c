"""How a function becomes a gRPC method: its StatusError ends the call.

See tensorflow_serving/model_servers/grpc_status_util.cc.
"""

from collections.abc import Callable
from typing import Any, Final

import grpc

from fleetdeploy.lab.modelserver.status import StatusError

INT32_MAX: Final = 2**31 - 1
_LIMIT: Final = 1024
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def method(answer: Callable[[Any, grpc.ServicerContext], Any], request: Any, response: Any) -> Any:
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


def timeout_ms(context: grpc.ServicerContext) -> int | None:
    """What is left of the client's deadline, in milliseconds; None without one."""
    left_s = context.time_remaining()
    return None if left_s is None else min(max(1, int(left_s * 1000)), INT32_MAX)
