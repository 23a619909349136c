"""Section 5 of the contract: warm-up files."""

from pathlib import Path
from typing import Any

import pytest
from auxiliary import empty_store, predict_log, put_warm_up, started, tfrecord
from contract_server import END, FAST_RETRIES, ModelServer, ModelStore, Start, floats, model_list, refused

from fleetdeploy.tfserving import stubs


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """An empty place for this section's models."""
    return empty_store(tmp_path, tmp_path_factory)


def warmed(start: Start, store: ModelStore, content: bytes, *flags: str) -> ModelServer:
    """A server whose model counts requests and comes with a warm-up file; ready."""
    put_warm_up(store.place("counting", 1, of="counting"), content)
    return started(start, store, *flags, model="counting")


def so_far(server: ModelServer, *, x: float = 0.0) -> float:
    """What the counting model has been asked to add up, this request included."""
    value: float = server.predict("counting", x=floats(x)).outputs["so_far"].float_val[0]
    return value


def cold(start: Start, store: ModelStore, content: bytes) -> list[Any]:
    """Reload a server with a model whose warm-up file is bad; returns the status of its version."""
    put_warm_up(store.place("counting", 1, of="counting"), content)
    server = start(*FAST_RETRIES, config=model_list()).ready()
    with refused("UNKNOWN", "did not become available"):
        server.reload(model_list(store.config("counting")))
    return server.status("counting")


ONE = predict_log("counting", x=floats(1.0))


def test_each_record_is_replayed_once_before_the_model_serves(start: Start, store: ModelStore) -> None:
    """Every record of the warm-up file is one request to the model, made while it loads."""
    assert so_far(warmed(start, store, tfrecord([ONE] * 3))) == 3.0


def test_files_that_tensorflow_writes_are_read(start: Start, store: ModelStore) -> None:
    """The file is what TensorFlow's TFRecordWriter writes."""
    content = (store.exported / "counting.tfrecord").read_bytes()
    assert so_far(warmed(start, store, content)) == 2.0


def test_records_are_replayed_as_often_as_asked_for(start: Start, store: ModelStore) -> None:
    """--num_request_iterations_for_warmup multiplies the requests of each record."""
    assert so_far(warmed(start, store, tfrecord([ONE] * 3), "--num_request_iterations_for_warmup=4")) == 12.0


def test_warm_up_can_be_switched_off(start: Start, store: ModelStore) -> None:
    """With --enable_model_warmup=false the file is not even looked at."""
    assert so_far(warmed(start, store, b"this is not a TFRecord", "--enable_model_warmup=false")) == 0.0


def test_a_record_of_no_kind_is_passed_over(start: Start, store: ModelStore) -> None:
    """A PredictionLog without a request counts as a record and does nothing."""
    empty = stubs.prediction_log_pb2.PredictionLog().SerializeToString()
    assert so_far(warmed(start, store, tfrecord([empty, ONE]))) == 1.0


def test_a_thousand_records_are_not_too_many(start: Start, store: ModelStore) -> None:
    """The limit on the number of records is inclusive."""
    assert so_far(warmed(start, store, tfrecord([ONE] * 1000))) == 1000.0


def test_more_than_a_thousand_records_fail_the_load(start: Start, store: ModelStore) -> None:
    """A file of 1001 records is refused with INVALID_ARGUMENT."""
    (entry,) = cold(start, store, tfrecord([ONE] * 1001))
    assert (entry.state, entry.status.error_code) == (END, 3)
    assert "Number of warmup records exceeds the maximum (1000)" in entry.status.error_message


def test_a_failing_record_fails_the_load(start: Start, store: ModelStore) -> None:
    """A request that the model refuses gives the load its code and text."""
    (entry,) = cold(start, store, tfrecord([ONE, predict_log("counting", wrong=floats(1.0))]))
    assert (entry.state, entry.status.error_code) == (END, 3)


def test_a_model_without_its_variables_is_found_out_by_warm_up(start: Start, store: ModelStore) -> None:
    """A version that would load and then fail every request fails its load instead, if it brings a warm-up file."""
    version = store.spoil("counting", 1, missing="variables", of="counting")
    put_warm_up(version, tfrecord([ONE]))
    server = start(*FAST_RETRIES, config=model_list()).ready()
    with refused("UNKNOWN", "did not become available"):
        server.reload(model_list(store.config("counting")))


def test_a_file_that_is_no_tfrecord_fails_the_load(start: Start, store: ModelStore) -> None:
    """Anything but TFRecord is DATA_LOSS, with a hint at the format."""
    (entry,) = cold(start, store, ONE * 10)
    assert (entry.state, entry.status.error_code) == (END, 15)
    assert "corrupted record at 0" in entry.status.error_message
    assert "Please verify your warmup data is in TFRecord format." in entry.status.error_message


def test_a_file_that_is_cut_off_fails_the_load(start: Start, store: ModelStore) -> None:
    """A TFRecord that ends inside a record is DATA_LOSS."""
    (entry,) = cold(start, store, tfrecord([ONE])[:-6])
    assert (entry.state, entry.status.error_code) == (END, 15)
    assert "truncated record at 0" in entry.status.error_message


def test_a_record_that_is_no_prediction_log_fails_the_load(start: Start, store: ModelStore) -> None:
    """A record that does not parse is INVALID_ARGUMENT."""
    (entry,) = cold(start, store, tfrecord([b"\xff\xff\xff"]))
    assert (entry.state, entry.status.error_code) == (END, 3)
    assert "Failed to parse warmup record" in entry.status.error_message


@pytest.mark.parametrize(("kind", "number"), [("session_run_log", 5), ("predict_streamed_log", 7)])
def test_kinds_that_cannot_be_replayed_fail_the_load(start: Start, store: ModelStore, kind: str, number: int) -> None:
    """Recorded session runs and streams are UNIMPLEMENTED."""
    log = stubs.prediction_log_pb2.PredictionLog()
    getattr(log, kind).SetInParent()
    (entry,) = cold(start, store, tfrecord([log.SerializeToString()]))
    assert (entry.state, entry.status.error_code) == (END, 12)
    assert f"Unsupported log_type for warmup: {number}" in entry.status.error_message


def test_an_empty_file_warms_nothing_up(start: Start, store: ModelStore) -> None:
    """A warm-up file without records is as good as none."""
    assert so_far(warmed(start, store, b"")) == 0.0
