"""How a function becomes a gRPC method: its StatusError ends the call.

See tensorflow_serving/model_servers/grpc_status_util.cc.
"""

from collections.abc import Callable
from typing import Any, Final

import grpc

from fleetdeploy.lab.modelserver.status import StatusError

INT32_MAX: Final = 2**31 - 1
_LIMIT_BYTES: Final = 1024
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def method(answer: Callable[[Any, grpc.ServicerContext], Any], request: Any, response: Any) -> Any:
    """A handler; a StatusError ends the call with its code and its text, cut where it is long."""

    def handle(message: Any, context: grpc.ServicerContext) -> Any:
        try:
            return answer(message, context)
        except StatusError as problem:
            context.abort(_CODES[problem.code], _cut(problem.message))
            raise  # never reached: abort raises

    return grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request.FromString, response_serializer=response.SerializeToString
    )


def _cut(text: str) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= _LIMIT_BYTES:
        return text
    return encoded[:_LIMIT_BYTES].decode(errors="ignore") + "...TRUNCATED"


def timeout_ms(context: grpc.ServicerContext) -> int | None:
    """What is left of the client's deadline, in milliseconds; None without one."""
    left_s = context.time_remaining()
    return None if left_s is None else min(max(1, int(left_s * 1000)), INT32_MAX)
