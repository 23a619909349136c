"""Queues of requests that are run in batches, and the parameters for them."""

import os
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format

from fleetdeploy.lab.modelserver.loading.batch_scheduler import Batch, BatchQueue, Task
from fleetdeploy.lab.modelserver.loading.batching_options import BatchingOptions, batch_threads, batching_options
from fleetdeploy.lab.modelserver.loading.disk_size import disk_size_bytes
from fleetdeploy.lab.modelserver.messages import BatchingParameters
from fleetdeploy.lab.modelserver.runtime.blocks import Block
from fleetdeploy.lab.modelserver.status import Code, StatusError

FAR_S = 1e9
"""More than any clock shows, so that every batch has waited long enough."""


def parameters(text: str) -> Any:
    """BatchingParameters."""
    return text_format.Parse(text, BatchingParameters())


def queue(**changes: Any) -> BatchQueue:
    """A queue for batches of at most 4 rows, of which 2 may wait."""
    options: dict[str, Any] = {
        "max_batch_size": 4,
        "max_execution_batch_size": 4,
        "batch_timeout_s": 1.0,
        "max_enqueued_batches": 2,
    }
    return BatchQueue(BatchingOptions(**{**options, **changes}), lambda _: None)


def task(size: int) -> Task:
    """A request of so many rows of one byte."""
    return Task({"x": Block(4, (size,), bytes(range(size)))}, size=size, timeout_s=None)


def sizes(batch: Batch | None) -> list[int]:
    """Rows of each part of a batch."""
    assert batch is not None
    return [part.size for part in batch]


def test_requests_fill_a_batch_until_one_does_not_fit() -> None:
    """A request that does not fit closes the batch and opens another."""
    waiting = queue()
    for size in (1, 2, 3):
        waiting.put(task(size))
    assert sizes(waiting.take(0.0)) == [1, 2]
    assert waiting.take(0.0) is None
    assert sizes(waiting.take(FAR_S)) == [3]


def test_a_full_batch_does_not_wait() -> None:
    """A batch of the largest size may run at once."""
    waiting = queue()
    waiting.put(task(4))
    assert waiting.wait_s(0.0) == 0.0
    assert sizes(waiting.take(0.0)) == [4]
    assert waiting.wait_s(0.0) is None


def test_a_full_queue_takes_no_more() -> None:
    """What would open one more batch than may wait is UNAVAILABLE, what fits into the last one is taken."""
    waiting = queue()
    for size in (4, 3):
        waiting.put(task(size))
    with pytest.raises(StatusError, match="currently 2 batches enqueued and max_enqueued_batches is 2") as caught:
        waiting.put(task(2))
    assert caught.value.code is Code.UNAVAILABLE
    waiting.put(task(1))


def test_large_requests_are_split_over_batches() -> None:
    """The first part fills the open batch, the others are as large as may be."""
    waiting = queue(split_large=True, max_batch_size=8, max_execution_batch_size=3, max_enqueued_batches=4)
    waiting.put(task(1))
    large = task(8)
    waiting.put(large)
    assert [sizes(waiting.take(FAR_S)) for _ in range(3)] == [[1, 2], [3], [3]]
    assert [part.inputs["x"].data for part in large.parts] == [b"\0\1", b"\2\3\4", b"\5\6\7"]


def test_a_request_that_needs_more_room_than_there_is_is_refused_where_requests_are_split() -> None:
    """The room of the open batch and of those that may still be opened counts."""
    waiting = queue(split_large=True, max_batch_size=8, max_execution_batch_size=3, max_enqueued_batches=2)
    waiting.put(task(1))
    with pytest.raises(StatusError, match="task size is 6 but scheduling capacity is only 5"):
        waiting.put(task(6))


def test_a_task_waits_for_all_its_parts_and_tells_the_first_problem() -> None:
    """One part that fails fails the request."""
    large = task(4)
    large.split([2, 2])
    large.end_part(StatusError(Code.INTERNAL, "first"))
    large.end_part(None)
    with pytest.raises(StatusError, match="first"):
        large.wait()


def test_defaults_of_batching_are_the_real_ones() -> None:
    """Without parameters: 1000 rows, no waiting, 10 batches in the queue, a thread per processor."""
    empty = parameters("")
    assert batching_options(empty) == BatchingOptions(
        max_batch_size=1000, max_execution_batch_size=1000, batch_timeout_s=0.0, max_enqueued_batches=10
    )
    assert batch_threads(empty) == len(os.sched_getaffinity(0))


def test_a_queue_of_no_batches_is_one_of_one() -> None:
    """max_enqueued_batches of 0 is taken for 1, except where large requests are split."""
    assert batching_options(parameters("max_enqueued_batches { value: 0 }")).max_enqueued_batches == 1
    with pytest.raises(StatusError, match="max_enqueued_batches must be positive; was 0"):
        batching_options(parameters("max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }"))


def test_batches_grow_to_the_next_allowed_size() -> None:
    """A size beyond all that are allowed stays as it is."""
    options = batching_options(parameters("max_batch_size { value: 8 } allowed_batch_sizes: [2, 8]"))
    assert [options.padded_size(size) for size in (1, 2, 3, 8, 9)] == [2, 2, 8, 8, 9]


def test_the_size_of_a_directory_is_that_of_all_files_in_it(tmp_path: Path) -> None:
    """Directories themselves count nothing."""
    (tmp_path / "a").write_bytes(b"123")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"4567")
    assert disk_size_bytes(str(tmp_path)) == 7


def test_a_file_that_vanishes_has_no_size(tmp_path: Path) -> None:
    """A name without a file behind it is NOT_FOUND, as is a missing directory."""
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(StatusError) as caught:
            disk_size_bytes(str(path))
        assert caught.value.code is Code.NOT_FOUND
