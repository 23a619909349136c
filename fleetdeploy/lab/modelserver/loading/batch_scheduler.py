"""Queues of requests, and the threads that run them in batches.

A queue holds closed batches and, at its end, one that is open: it is closed when it is full or old enough. The threads
are those of all queues, which take turns. Follows SharedBatchScheduler and Queue in
tensorflow/core/kernels/batching_util/shared_batch_scheduler.h.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fleetdeploy.lab.modelserver.loading.batching_options import BatchingOptions
from fleetdeploy.lab.modelserver.runtime.blocks import Block
from fleetdeploy.lab.modelserver.status import Code, StatusError


class Task:
    """One request: what it feeds, by name of tensor, and where its answer goes."""

    def __init__(self, inputs: Mapping[str, Block], *, size: int, timeout_s: float | None) -> None:
        self.inputs = inputs
        self.size = size
        self.enqueued_at = time.monotonic()
        self.deadline = None if timeout_s is None else self.enqueued_at + timeout_s
        self.parts: list[Part] = []
        self.problem: StatusError | None = None
        self._lock = threading.Lock()
        self._ended = 0
        self._done = threading.Event()

    def split(self, sizes: Sequence[int]) -> "list[Part]":
        """Make the parts that go into batches; in most cases it is one."""
        begin = 0
        for size in sizes:
            self.parts.append(Part(self, begin, begin + size))
            begin += size
        return self.parts

    def end_part(self, problem: StatusError | None) -> None:
        """Note that one more part has ended."""
        with self._lock:
            self._ended += 1
            self.problem = self.problem or problem
            if self._ended == len(self.parts):
                self._done.set()

    def wait(self) -> None:
        """Wait until all parts have ended. Raises the first problem."""
        self._done.wait()
        if self.problem is not None:
            raise self.problem


class Part:
    """Rows of a request that are run in one batch."""

    def __init__(self, task: Task, begin: int, end: int) -> None:
        self.task = task
        self.size = end - begin
        self.inputs = {name: block.rows(begin, end) for name, block in task.inputs.items()}
        self.outputs: Mapping[str, Any] = {}
        """TensorProto by name of tensor, once the batch was run."""


Batch = list[Part]


def _size(batch: Batch) -> int:
    return sum(part.size for part in batch)


class BatchQueue:
    """What waits for one kind of run; `process` is called with each batch, in a thread of the scheduler."""

    def __init__(self, options: BatchingOptions, process: Callable[[Batch], None]) -> None:
        self.process = process
        self._options = options
        self._batches: deque[Batch] = deque([[]])
        self._opened_at = 0.0

    def put(self, task: Task) -> None:
        """Add a request. Raises INVALID_ARGUMENT for one that is too large and UNAVAILABLE if the queue is full."""
        options, limit = self._options, self._options.max_execution_batch_size
        if task.size > options.max_batch_size:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Task size {task.size} is larger than maximum input batch size {options.max_batch_size}",
            )
        self._check_capacity(task.size)
        sizes = [task.size]
        room = limit - _size(self._batches[-1])
        if options.split_large and task.size > room:
            sizes = [room] if room > 0 else []
            rest = task.size - sum(sizes)
            sizes += [limit] * (rest // limit) + ([rest % limit] if rest % limit else [])
        for part in task.split(sizes):
            if self._batches[-1] and _size(self._batches[-1]) + part.size > limit:
                self._batches.append([])
            if not self._batches[-1]:
                self._opened_at = time.monotonic()
            self._batches[-1].append(part)

    def _check_capacity(self, size: int) -> None:
        options, count, last = self._options, len(self._batches), _size(self._batches[-1])
        full = "The batch scheduling queue to which this task was submitted is full; "
        if options.split_large:
            limit = options.max_execution_batch_size
            capacity = (options.max_enqueued_batches - count) * limit + limit - last
            if size > capacity:
                raise StatusError(
                    Code.UNAVAILABLE,
                    f"{full}task size is {size} but scheduling capacity is only {capacity} (num_enqueued_batches="
                    f"{count}, max_enqueued_batches={options.max_enqueued_batches}, open_batch_size={last}, "
                    f"max_execution_batch_size={limit})",
                )
        elif last + size > options.max_batch_size and count >= options.max_enqueued_batches:
            raise StatusError(
                Code.UNAVAILABLE,
                f"{full}currently {count} batches enqueued and max_enqueued_batches is {options.max_enqueued_batches}",
            )

    def take(self, now: float) -> Batch | None:
        """The oldest batch if it may run now; the open one may if it is full or has waited long enough."""
        if len(self._batches) == 1:
            wait_s = self.wait_s(now)
            if wait_s is None or wait_s > 0:
                return None
            self._batches.append([])
        return self._batches.popleft()

    def wait_s(self, now: float) -> float | None:
        """Seconds until `take` has something to give if nothing is added; None if that is never."""
        if len(self._batches) > 1 or _size(self._batches[0]) >= self._options.max_execution_batch_size:
            return 0.0
        return self._opened_at + self._options.batch_timeout_s - now if self._batches[0] else None


class BatchScheduler:
    """The threads that run the batches of all queues."""

    def __init__(self, threads: int) -> None:
        self._changed = threading.Condition()  # over the queues and what they hold
        self._queues: deque[BatchQueue] = deque()
        for number in range(threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def add_queue(self, queue: BatchQueue) -> None:
        """Serve one more queue."""
        with self._changed:
            self._queues.append(queue)

    def remove_queue(self, queue: BatchQueue) -> None:
        """Serve a queue no longer; nothing may be waiting in it."""
        with self._changed:
            self._queues.remove(queue)

    def run(self, queue: BatchQueue, task: Task) -> None:
        """Have a request run in some batch and wait for it. Raises what `BatchQueue.put` and the run raise."""
        with self._changed:
            queue.put(task)
            self._changed.notify()
        task.wait()

    def _work(self) -> None:
        while True:
            queue, batch = self._next()
            queue.process(batch)

    def _next(self) -> tuple[BatchQueue, Batch]:
        """Wait for a batch that may run; the queues take turns."""
        with self._changed:
            while True:
                now = time.monotonic()
                for _ in range(len(self._queues)):
                    queue = self._queues[0]
                    self._queues.rotate(-1)
                    batch = queue.take(now)
                    if batch is not None:
                        return queue, batch
                waits = [wait_s for queue in self._queues if (wait_s := queue.wait_s(now)) is not None]
                self._changed.wait(min(waits, default=None))
