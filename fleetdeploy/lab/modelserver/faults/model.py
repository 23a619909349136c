"""A loaded version that misbehaves in the way it is asked to.

Faults act where the model runs, so that every API and every kind of request sees them. Warm-up requests do not: they
are part of the load, and a test that counts its requests shall not have to count them as well.
"""

import math
import os
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.faults.plan import Plan
from fleetdeploy.lab.modelserver.servable import Feed, Model
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

_LOOK_S: Final = 0.1
_TYPES: Final = stubs.types_pb2.DataType
_NAN_BITS: Final = {"DT_HALF": 0x7E00, "DT_BFLOAT16": 0x7FC0}
_FIELDS: Final = {"DT_FLOAT": "float_val", "DT_DOUBLE": "double_val", "DT_HALF": "half_val", "DT_BFLOAT16": "half_val"}
_NAN_BYTES: Final = {
    "DT_FLOAT": struct.pack("<f", math.nan),
    "DT_DOUBLE": struct.pack("<d", math.nan),
    **{kind: struct.pack("<H", bits) for kind, bits in _NAN_BITS.items()},
}


class FaultyModel:
    """Stands before a model; `plan` says what is asked of it now, and `freed` is called when it has left memory."""

    def __init__(self, model: Model, *, plan: Callable[[], Plan], freed: Callable[[], None]) -> None:
        self._model = model
        self._plan = plan
        self._freed = freed

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDef by name."""
        return self._model.signatures

    def run(
        self, feeds: Sequence[Feed], fetches: Sequence[str], *, answers: Sequence[Any], timeout_ms: int | None
    ) -> None:
        """Run the model unless a fault comes first; see `servable.Model`."""
        plan = self._plan()
        if plan.touches_requests:
            timeout_ms = self._before(plan, timeout_ms)
            spoilt = plan.spoilt.hits()
        else:
            spoilt = False
        self._model.run(feeds, fetches, answers=answers, timeout_ms=timeout_ms)
        if spoilt:
            for answer in answers:
                spoil(answer)

    def _before(self, plan: Plan, timeout_ms: int | None) -> int | None:
        """Carry out what comes before the model runs; what is left of the request's time."""
        if plan.request_kills():
            die(f"after {plan.asked.crash_after_requests} requests")
        if plan.hanging.hits():
            return self._hang(timeout_ms)
        left_ms = _pass_time(plan.asked.latency_ms / 1000, timeout_ms) if plan.slow.hits() else timeout_ms
        if plan.failing.hits():
            raise plan.asked.error.error()
        return left_ms

    def _hang(self, timeout_ms: int | None) -> int | None:
        """Wait until the fault is withdrawn, or the request's time is over."""
        ends = math.inf if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        while self._plan().asked.hang == "request":
            left_s = ends - time.monotonic()
            if left_s <= 0:
                raise _timed_out()
            time.sleep(min(_LOOK_S, left_s))
        return None if timeout_ms is None else max(1, int((ends - time.monotonic()) * 1000))

    def close(self) -> None:
        """Free the model's memory, after `unload_s` at the soonest."""
        began = time.monotonic()
        wait_while(lambda: self._plan().asked.hang == "unload")
        self._model.close()
        time.sleep(max(0.0, began + self._plan().asked.unload_s - time.monotonic()))
        self._freed()


def die(why: str) -> NoReturn:
    """End the process as a crash in C++ does, by SIGABRT (as the first process of a container: by SIGSEGV)."""
    log.fatal(f"injected crash: {why}")
    os.abort()


def wait_while(asked: Callable[[], bool]) -> None:
    """Hang for as long as a fault is asked for; files do not say when they change, so they are looked at."""
    while asked():
        time.sleep(_LOOK_S)


def spoil(answer: Any) -> None:
    """Turn all values of a TensorProto into NaN if it is of a float type; others stay as they are."""
    kind = _TYPES.Name(answer.dtype)
    if kind not in _FIELDS:
        return
    values = getattr(answer, _FIELDS[kind])
    values[:] = [_NAN_BITS.get(kind, math.nan)] * len(values)
    size = len(_NAN_BYTES[kind])
    answer.tensor_content = _NAN_BYTES[kind] * (len(answer.tensor_content) // size)


def _pass_time(wait_s: float, timeout_ms: int | None) -> int | None:
    """Wait, but no longer than the request may take: then it ends as a run of TensorFlow does."""
    if timeout_ms is not None and wait_s * 1000 >= timeout_ms:
        time.sleep(timeout_ms / 1000)
        raise _timed_out()
    time.sleep(wait_s)
    return None if timeout_ms is None else timeout_ms - int(wait_s * 1000)


def _timed_out() -> StatusError:
    return StatusError(Code.DEADLINE_EXCEEDED, "Timed out waiting for notification")
