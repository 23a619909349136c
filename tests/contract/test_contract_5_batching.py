"""Section 5 of the contract: batching parameters, and what is batched how."""

from pathlib import Path
from typing import Any

import grpc
import pytest
from auxiliary import at_once, empty_store, integers, matrix, slow, started
from contract_server import (
    AVAILABLE,
    END,
    FAST_RETRIES,
    ModelServer,
    ModelStore,
    Start,
    floats,
    refused,
    tensor,
    wait_for,
)


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """An empty place for this section's models."""
    return empty_store(tmp_path, tmp_path_factory)


def batching(tmp_path: Path, text: str) -> list[str]:
    """Flags for batching with these parameters."""
    file = tmp_path / "batching.config"
    file.write_text(text)
    return ["--enable_batching", f"--batching_parameters_file={file}"]


def batched(start: Start, store: ModelStore, parameters: str) -> ModelServer:
    """A server that batches requests to the model `batched`; ready."""
    store.place("batched", 1, of="batched")
    return started(start, store, *batching(store.root.parent, parameters), model="batched")


def rows(answer: Any) -> set[int]:
    """With how many rows the run was made that answered, or the runs."""
    return set(answer.outputs["rows"].int_val)


SPLIT = "enable_large_batch_splitting { value: true }"
WAIT_FOR_TWO = "max_batch_size { value: 2 } batch_timeout_micros { value: 20000000 }"


def test_requests_that_come_together_are_run_together(start: Start, store: ModelStore) -> None:
    """Requests are merged up to max_batch_size and each gets its own rows back."""
    server = batched(start, store, WAIT_FOR_TWO)
    with at_once(2) as pool:
        answers = list(pool.map(lambda x: server.predict("batched", x=floats(x)), [1.0, 5.0]))
    assert [list(answer.outputs["y"].float_val) for answer in answers] == [[2.0], [10.0]]
    assert [rows(answer) for answer in answers] == [{2}, {2}]


def test_texts_are_batched_too(start: Start, store: ModelStore) -> None:
    """Tensors of strings are merged and split like others."""
    server = batched(start, store, WAIT_FOR_TWO)

    def mark(text: bytes) -> Any:
        return server.predict("batched", spec={"signature": "text"}, text=tensor("DT_STRING", "string_val", [text]))

    with at_once(2) as pool:
        answers = list(pool.map(mark, [b"a", b"long enough for the heap \xff"]))
    assert [answer.outputs["marked"].string_val[0] for answer in answers] == [b"a!", b"long enough for the heap \xff!"]
    assert [rows(answer) for answer in answers] == [{2}, {2}]


def test_a_batch_does_not_wait_longer_than_its_timeout(start: Start, store: ModelStore) -> None:
    """A lone request is run after batch_timeout_micros."""
    server = batched(start, store, "max_batch_size { value: 8 } batch_timeout_micros { value: 1000 }")
    assert rows(server.predict("batched", x=floats(1.0), timeout_s=10)) == {1}


def test_batching_needs_no_parameters(start: Start, store: ModelStore) -> None:
    """--enable_batching alone batches with the defaults, which do not wait."""
    store.place("batched", 1, of="batched")
    server = started(start, store, "--enable_batching", model="batched")
    assert rows(server.predict("batched", x=floats(1.0, 2.0), timeout_s=10)) == {2}


def test_batches_are_filled_up_to_an_allowed_size(start: Start, store: ModelStore) -> None:
    """A batch runs with the next of allowed_batch_sizes, and the rows added to it are not answered."""
    server = batched(start, store, "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8")
    answer = server.predict("batched", x=floats(1.0, 2.0, 3.0))
    assert list(answer.outputs["y"].float_val) == [2.0, 4.0, 6.0]
    assert rows(answer) == {4}


def test_the_last_allowed_size_must_be_the_largest_batch(start: Start, store: ModelStore) -> None:
    """allowed_batch_sizes that end elsewhere than at max_batch_size fail every load, and so the start."""
    store.place("batched", 1, of="batched")
    flags = batching(store.root.parent, "max_batch_size { value: 8 } allowed_batch_sizes: 4")
    server = start("--model_name=batched", f"--model_base_path={store.root / 'batched'}", *flags, *FAST_RETRIES)
    assert server.exit_status() == 255
    assert "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8" in server.output


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("max_batch_size { value: 0 }", "input_batch_size_limit must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            f"{SPLIT} max_batch_size {{ value: 4 }} max_execution_batch_size {{ value: 5 }}",
            "input_batch_size_limit must be greater than or equal to max_execution_batch_size",
        ),
        ("max_batch_size: 4", "Invalid protobuf file"),
    ],
)
def test_parameters_out_of_range_end_the_start(start: Start, store: ModelStore, parameters: str, text: str) -> None:
    """Batching parameters are checked, when the server starts or when a model is loaded."""
    store.place("batched", 1, of="batched")
    flags = batching(store.root.parent, parameters)
    server = start("--model_name=batched", f"--model_base_path={store.root / 'batched'}", *flags, *FAST_RETRIES)
    assert server.exit_status() == 255
    assert text in server.output


def test_a_request_larger_than_the_largest_batch_is_refused(start: Start, store: ModelStore) -> None:
    """A request of more rows than max_batch_size is INVALID_ARGUMENT, over REST 400."""
    server = batched(start, store, "max_batch_size { value: 2 }")
    with refused("INVALID_ARGUMENT", "Task size 3 is larger than maximum input batch size 2"):
        server.predict("batched", x=floats(1.0, 2.0, 3.0))
    assert server.http("POST", "/v1/models/batched:predict", '{"instances": [1.0, 2.0, 3.0]}').status == 400


def test_large_requests_are_split_where_that_is_enabled(start: Start, store: ModelStore) -> None:
    """With enable_large_batch_splitting a request may be run in several batches of max_execution_batch_size."""
    server = batched(
        start,
        store,
        f"{SPLIT} max_batch_size {{ value: 8 }} max_execution_batch_size {{ value: 2 }}",
    )
    answer = server.predict("batched", x=floats(1.0, 2.0, 3.0, 4.0, 5.0))
    assert list(answer.outputs["y"].float_val) == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert list(answer.outputs["rows"].int_val) == [2, 2, 2, 2, 1]


def test_a_full_queue_refuses_requests(start: Start, store: ModelStore) -> None:
    """While all threads are busy and max_enqueued_batches wait, more requests are UNAVAILABLE."""
    server = batched(
        start,
        store,
        "max_batch_size { value: 1 } max_enqueued_batches { value: 1 } num_batch_threads { value: 1 }",
    )
    with at_once(6) as pool:
        answers = [pool.submit(slow, server, x=1.0, ms=700) for _ in range(6)]
        problems = [problem for answer in answers if (problem := answer.exception()) is not None]
    assert 1 <= len(problems) < 6
    for problem in problems:
        assert isinstance(problem, grpc.RpcError)
        assert problem.code() is grpc.StatusCode.UNAVAILABLE
        assert "batch scheduling queue to which this task was submitted is full" in problem.details()


def test_inputs_must_agree_on_their_rows(start: Start, store: ModelStore) -> None:
    """Inputs of different sizes in dimension 0 cannot be batched."""
    server = batched(start, store, "max_batch_size { value: 4 }")
    with refused("INVALID_ARGUMENT", "input tensors must have equal 0th-dimension size"):
        server.predict("batched", spec={"signature": "slow"}, x=floats(1.0, 2.0), ms=integers(1))


def test_a_scalar_cannot_be_batched(start: Start, store: ModelStore) -> None:
    """An input without dimensions is refused."""
    server = batched(start, store, "max_batch_size { value: 4 }")
    with refused("INVALID_ARGUMENT", "input tensors must have at least one dimension"):
        server.predict("batched", x=tensor("DT_FLOAT", "float_val", [1.0], []))


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        ("total", "Batched output tensor has 0 dimensions"),
        ("first", "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes"),
    ],
)
def test_outputs_that_cannot_be_split_are_an_error(start: Start, store: ModelStore, signature: str, text: str) -> None:
    """Every output of a batched run has to have one row for each row that went in."""
    server = batched(start, store, "max_batch_size { value: 4 }")
    with refused("FAILED_PRECONDITION", text):
        server.predict("batched", spec={"signature": signature}, x=floats(1.0, 2.0))


def test_requests_of_different_shapes_spoil_their_batch(start: Start, store: ModelStore) -> None:
    """Requests that differ in another dimension than the first are refused together."""
    server = batched(start, store, WAIT_FOR_TWO)

    def same(m: Any) -> Any:
        return server.predict("batched", spec={"signature": "matrix"}, m=m)

    with at_once(2) as pool:
        answers = [pool.submit(same, matrix([[1.0] * width])) for width in (1, 2)]
    for answer in answers:
        with refused("FAILED_PRECONDITION", "have different shapes and padding is turned off"):
            answer.result()


def test_requests_of_different_shapes_are_padded_where_that_is_enabled(start: Start, store: ModelStore) -> None:
    """With pad_variable_length_inputs, each request is padded with its own first value to the largest shape."""
    server = batched(start, store, f"{WAIT_FOR_TWO} pad_variable_length_inputs: true")

    def same(m: Any) -> Any:
        return server.predict("batched", spec={"signature": "matrix"}, m=m)

    with at_once(2) as pool:
        narrow, wide = pool.map(same, [matrix([[1.0, 2.0]]), matrix([[3.0, 4.0, 5.0]])])
    assert list(narrow.outputs["same"].float_val) == [1.0, 2.0, 1.0]
    assert list(wide.outputs["same"].float_val) == [3.0, 4.0, 5.0]


def test_a_model_may_bring_its_own_parameters(start: Start, store: ModelStore) -> None:
    """With --enable_per_model_batching_parameters, batching_params.pbtxt in the version's directory counts."""
    version = store.place("batched", 1, of="batched")
    (version / "batching_params.pbtxt").write_text("max_batch_size { value: 1 }")
    server = started(start, store, "--enable_batching", "--enable_per_model_batching_parameters", model="batched")
    with refused("INVALID_ARGUMENT", "Task size 2 is larger than maximum input batch size 1"):
        server.predict("batched", x=floats(1.0, 2.0))


def test_a_model_without_parameters_of_its_own_is_then_not_batched(start: Start, store: ModelStore) -> None:
    """With per-model parameters the common file limits no model."""
    store.place("batched", 1, of="batched")
    flags = [*batching(store.root.parent, "max_batch_size { value: 1 }"), "--enable_per_model_batching_parameters"]
    server = started(start, store, *flags, model="batched")
    assert rows(server.predict("batched", x=floats(1.0, 2.0))) == {2}


def test_parameters_without_batching_end_the_start(start: Start, store: ModelStore) -> None:
    """A batching file without --enable_batching is refused."""
    store.place("batched", 1, of="batched")
    (_, file) = batching(store.root.parent, "max_batch_size { value: 1 }")
    server = start("--model_name=batched", f"--model_base_path={store.root / 'batched'}", file)
    assert server.exit_status() == 255
    assert "batching_parameters_file is set without setting" in server.output


def test_a_version_with_bad_parameters_leaves_the_old_one_serving(start: Start, store: ModelStore) -> None:
    """A version whose own batching parameters are wrong fails to load like any other."""
    store.place("batched", 1, of="batched")
    server = started(
        start, store, "--enable_batching", "--enable_per_model_batching_parameters", *FAST_RETRIES, model="batched"
    )
    staged = store.place("staged", 2, of="batched", from_version=1)
    (staged / "batching_params.pbtxt").write_text("max_batch_size { value: 0 }")
    staged.rename(store.root / "batched" / "2")
    wait_for(lambda: server.states("batched") == {2: END, 1: AVAILABLE}, "version 2 failed")
    assert server.status("batched")[0].status.error_code == 3


def test_batched_versions_replace_each_other(start: Start, store: ModelStore) -> None:
    """A batched version that has answered is unloaded like any other, and the next one answers."""
    server = batched(start, store, "max_batch_size { value: 4 }")
    assert list(server.predict("batched", x=floats(1.0)).outputs["y"].float_val) == [2.0]
    store.place("batched", 2, of="batched", from_version=1)
    wait_for(lambda: server.states("batched") == {2: AVAILABLE, 1: END}, "version 2 replaced version 1")
    assert list(server.predict("batched", x=floats(3.0)).outputs["y"].float_val) == [6.0]
