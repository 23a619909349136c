"""BatchingParameters: checked, with the real server's defaults filled in.

See tensorflow_serving/servables/tensorflow/bundle_factory_util.{h,cc} and SharedBatchScheduler in
tensorflow/core/kernels/batching_util/shared_batch_scheduler.h.
"""

import os
from dataclasses import dataclass
from typing import Any, Final

from fleetdeploy.lab.modelserver.status import Code, StatusError

_DEFAULT_MAX_BATCH_SIZE: Final = 1000
_DEFAULT_MAX_ENQUEUED_BATCHES: Final = 10


@dataclass(frozen=True)
class BatchingOptions:
    """How the requests to one model are batched; sizes are counted in rows, steps along dimension 0."""

    max_batch_size: int
    """Largest request."""
    max_execution_batch_size: int
    """Largest batch that is run; smaller than `max_batch_size` only with `split_large`."""
    batch_timeout_s: float
    """How long a batch that is not full waits for more requests."""
    max_enqueued_batches: int
    split_large: bool = False
    """Requests larger than what a batch has room for are split."""
    allowed_batch_sizes: tuple[int, ...] = ()
    """Batches are filled up to one of these sizes; empty for any size."""
    pad_variable_length_inputs: bool = False
    """Requests are padded to a common shape, instead of being refused when they differ."""

    def padded_size(self, size: int) -> int:
        """Rows that a batch of `size` rows is run with."""
        return next((allowed for allowed in self.allowed_batch_sizes if allowed >= size), size)


def batching_options(parameters: Any) -> BatchingOptions:
    """Check BatchingParameters. Raises INVALID_ARGUMENT, which fails the load of a model."""
    max_size = parameters.max_batch_size.value if parameters.HasField("max_batch_size") else _DEFAULT_MAX_BATCH_SIZE
    allowed = tuple(parameters.allowed_batch_sizes)
    if allowed and allowed[-1] != max_size:
        raise StatusError(
            Code.INVALID_ARGUMENT,
            f"Last entry in allowed_batch_sizes must match max_batch_size; last entry was {allowed[-1]}; "
            f"expected {max_size}",
        )
    split = parameters.enable_large_batch_splitting.value
    execution_size = max_size
    if split and parameters.HasField("max_execution_batch_size"):
        execution_size = parameters.max_execution_batch_size.value
    enqueued = _DEFAULT_MAX_ENQUEUED_BATCHES
    if parameters.HasField("max_enqueued_batches"):
        enqueued = parameters.max_enqueued_batches.value or (0 if split else 1)
    refused = {
        f"input_batch_size_limit must be positive; was {max_size}": max_size == 0,
        f"batch_timeout_micros must be non-negative; was {parameters.batch_timeout_micros.value}": (
            parameters.batch_timeout_micros.value < 0
        ),
        f"max_enqueued_batches must be positive; was {enqueued}": enqueued == 0,
        "When enable_large_batch_splitting is true, input_batch_size_limit must be greater than or equal to "
        f"max_execution_batch_size.{int(split)}{max_size}{execution_size}": split and max_size < execution_size,
    }
    for message, applies in refused.items():
        if applies:
            raise StatusError(Code.INVALID_ARGUMENT, message)
    return BatchingOptions(
        max_batch_size=_unsigned(max_size),
        max_execution_batch_size=_unsigned(execution_size),
        batch_timeout_s=parameters.batch_timeout_micros.value / 1e6,
        max_enqueued_batches=_unsigned(enqueued),
        split_large=split,
        allowed_batch_sizes=allowed,
        pad_variable_length_inputs=parameters.pad_variable_length_inputs,
    )


def batch_threads(parameters: Any) -> int:
    """Number of threads that run the batches of all models. Raises INVALID_ARGUMENT, which ends the start."""
    if not parameters.HasField("num_batch_threads"):
        return len(os.sched_getaffinity(0))
    threads: int = parameters.num_batch_threads.value
    if threads < 1:
        raise StatusError(Code.INVALID_ARGUMENT, f"num_batch_threads must be positive; was {threads}")
    return threads


def _unsigned(number: int) -> int:
    """A negative size reads as a huge one there."""
    return number % 2**64
