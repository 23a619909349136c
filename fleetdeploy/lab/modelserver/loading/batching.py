"""A model whose requests are merged along dimension 0, run together, and split again.

Follows BatchingSession in tensorflow_serving/batching/batching_session.cc: requests are merged if they feed and fetch
the same tensors, and dimension 0 of every input and output counts the same rows.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fleetdeploy.lab.modelserver.loading.batch_scheduler import Batch, BatchQueue, BatchScheduler, Task
from fleetdeploy.lab.modelserver.loading.batching_options import BatchingOptions
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics
from fleetdeploy.lab.modelserver.runtime import blocks, tensors
from fleetdeploy.lab.modelserver.runtime.blocks import Block
from fleetdeploy.lab.modelserver.runtime.tensorflow_c import TensorFlow
from fleetdeploy.lab.modelserver.servable import Feed, Model
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

_UNNAMED_POOL: Final = ""
"""Value of a metric's label: sessions that share their threads do not know the name of the pool."""

_Kind = tuple[tuple[str, ...], tuple[str, ...]]
"""Names of the tensors that are fed and of those that are fetched, each sorted."""


class BatchedModel:
    """A loaded model behind queues, one for each set of tensors that is fed and fetched."""

    def __init__(
        self,
        model: Model,
        tensorflow: TensorFlow,
        *,
        scheduler: BatchScheduler,
        options: BatchingOptions,
        metrics: ServerMetrics,
    ) -> None:
        self._model = model
        self._metrics = metrics
        self._tensorflow = tensorflow
        self._scheduler = scheduler
        self._options = options
        self._lock = threading.Lock()
        self._queues: dict[_Kind, BatchQueue] = {}

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDef by name."""
        return self._model.signatures

    def run(
        self, feeds: Sequence[Feed], fetches: Sequence[str], *, answers: Sequence[Any], timeout_ms: int | None
    ) -> None:
        """Run as `servable.Model.run`, together with other requests.

        Raises INVALID_ARGUMENT for inputs that differ in dimension 0 and for a request that is too large, UNAVAILABLE
        for a queue that is full, RESOURCE_EXHAUSTED for a timeout in the queue, FAILED_PRECONDITION for outputs that
        cannot be split and for requests of different shapes, and what the run raises, for all requests of a batch.
        """
        inputs = {feed.name: blocks.read(self._tensorflow, feed.proto, alias=feed.alias) for feed in feeds}
        rows = _rows(inputs)
        for _ in inputs:
            self._metrics.input_batch_size.add(value=rows)
        task = Task(inputs, size=rows, timeout_s=None if timeout_ms is None else timeout_ms / 1e3)
        self._scheduler.run(self._queue((tuple(sorted(inputs)), tuple(sorted(set(fetches))))), task)
        for name, answer in zip(fetches, answers, strict=True):
            _join([part.outputs[name] for part in task.parts], answer)

    def close(self) -> None:
        """Free the model's memory; no run may be in progress."""
        for queue in self._queues.values():
            self._scheduler.remove_queue(queue)
        self._model.close()

    def _queue(self, kind: _Kind) -> BatchQueue:
        with self._lock:
            if kind not in self._queues:
                fetches = kind[1]
                self._queues[kind] = BatchQueue(self._options, lambda batch: self._process(batch, fetches))
                self._scheduler.add_queue(self._queues[kind])
            return self._queues[kind]

    def _process(self, batch: Batch, fetches: Sequence[str]) -> None:
        """Run a batch, and end the parts it is made of, whatever happens."""
        problem: StatusError | None = StatusError(Code.INTERNAL, "The batch was not run to its end")
        try:
            self._run_batch(batch, fetches)
            problem = None
        except StatusError as refused:
            problem = refused
        finally:
            for part in batch:
                part.task.end_part(problem)

    def _run_batch(self, batch: Batch, fetches: Sequence[str]) -> None:
        now = time.monotonic()
        for part in batch:
            waited_us = int((now - part.task.enqueued_at) * 1e6)
            self._metrics.queuing_latency.add(_UNNAMED_POOL, value=waited_us)
        timeout_ms = _remaining_ms(batch, now)
        size = sum(part.size for part in batch)
        padding = self._options.padded_size(size) - size
        self._metrics.padding_size.add(str(size + padding), value=padding)
        self._metrics.processed_batch_size.add(value=size + padding)
        feeds = [Feed(name, name, merged.proto()) for name, merged in self._merge(batch, padding).items()]
        answers = [stubs.tensor_pb2.TensorProto() for _ in fetches]
        try:
            self._model.run(feeds, fetches, answers=answers, timeout_ms=timeout_ms)
        finally:
            self._metrics.wrapped_run_count.add()
        for answer in answers:
            if not answer.tensor_shape.dim:
                raise StatusError(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if answer.tensor_shape.dim[0].size != size + padding:
                raise StatusError(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                    "input tensors",
                )
        begin = 0
        for part in batch:
            part.outputs = {
                name: _cut(answer, begin, begin + part.size) for name, answer in zip(fetches, answers, strict=True)
            }
            begin += part.size

    def _merge(self, batch: Batch, padding: int) -> dict[str, Block]:
        """One block per input, filled up with copies of the last request's first row."""
        merged = {}
        for name in sorted(batch[0].inputs):
            pieces = [part.inputs[name] for part in batch]
            if len({len(piece.shape) for piece in pieces}) > 1:
                raise _different_shapes(name)
            if self._options.pad_variable_length_inputs:
                largest = [max(sizes) for sizes in zip(*(piece.shape for piece in pieces), strict=True)]
                pieces = [blocks.pad(piece, largest) for piece in pieces]
            elif len({piece.shape[1:] for piece in pieces}) > 1:
                raise _different_shapes(name)
            if padding and not pieces[-1].shape[0]:
                raise StatusError(Code.INVALID_ARGUMENT, "A request without rows cannot be padded")
            merged[name] = blocks.concatenate([*pieces, *[pieces[-1].rows(0, 1)] * padding])
        return merged


def _rows(inputs: Mapping[str, Block]) -> int:
    """Number of rows of a request. Raises INVALID_ARGUMENT (ComputeTensorBatchSize)."""
    if not inputs:
        raise StatusError(Code.INVALID_ARGUMENT, "Batching Run() must have at least one input tensor")
    size = None
    for block in inputs.values():
        if not block.shape:
            raise StatusError(Code.INVALID_ARGUMENT, "Batching Run() input tensors must have at least one dimension")
        if size is not None and block.shape[0] != size:
            raise StatusError(Code.INVALID_ARGUMENT, "Batching Run() input tensors must have equal 0th-dimension size")
        size = block.shape[0]
    return size or 0


def _remaining_ms(batch: Batch, now: float) -> int | None:
    """Time that the most patient request of a batch has left. Raises RESOURCE_EXHAUSTED if none has any."""
    deadlines = [part.task.deadline for part in batch]
    latest = max((deadline for deadline in deadlines if deadline is not None), default=0.0)
    remaining_s = latest - now
    if None in deadlines:
        return None
    if remaining_s <= 0:
        raise StatusError(Code.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")
    return max(1, int(remaining_s * 1e3))


def _different_shapes(name: str) -> StatusError:
    return StatusError(
        Code.FAILED_PRECONDITION,
        f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. Set "
        "pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal dimensions "
        "starting with the first dim.",
    )


def _cut(whole: Any, begin: int, end: int) -> Any:
    """Rows of an answer, as an answer of its own."""
    part = stubs.tensor_pb2.TensorProto(dtype=whole.dtype, tensor_shape=whole.tensor_shape)
    values = getattr(whole, tensors.typed_field(whole.dtype).field)
    row = len(values) // whole.tensor_shape.dim[0].size if whole.tensor_shape.dim[0].size else 0
    part.tensor_shape.dim[0].size = end - begin
    getattr(part, tensors.typed_field(whole.dtype).field).extend(values[begin * row : end * row])
    return part


def _join(parts: Sequence[Any], answer: Any) -> None:
    """Put the answers to the parts of a request together, into an empty TensorProto."""
    answer.CopyFrom(parts[0])
    field = tensors.typed_field(answer.dtype).field
    for part in parts[1:]:
        answer.tensor_shape.dim[0].size += part.tensor_shape.dim[0].size
        getattr(answer, field).extend(getattr(part, field))
