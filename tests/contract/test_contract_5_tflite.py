"""Section 6 of the contract: versions that bring a `model.tflite`, served with --prefer_tflite_model."""

import json
import shutil
from pathlib import Path

import pytest
from auxiliary import at_once, empty_store, predict_log, put_warm_up, started, tfrecord
from contract_server import END, FAST_RETRIES, ModelServer, ModelStore, Start, floats, model_list, refused, tensor
from contract_target import stand_in_only

from fleetdeploy.tfserving import stubs


@pytest.fixture
def store(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """An empty place for this section's models."""
    return empty_store(tmp_path, tmp_path_factory)


def serving(start: Start, store: ModelStore, model: str, *flags: str) -> ModelServer:
    """A server with a TensorFlow Lite model, ready."""
    store.place(model, 1, of=model)
    return started(start, store, "--prefer_tflite_model", *flags, model=model)


def failed(start: Start, store: ModelStore, model: str) -> tuple[int, str]:
    """Code and text with which a version that is already in place fails to load."""
    server = start("--prefer_tflite_model", *FAST_RETRIES, config=model_list()).ready()
    with refused("UNKNOWN", "did not become available"):
        server.reload(model_list(store.config(model)))
    (entry,) = server.status(model)
    assert entry.state == END
    return entry.status.error_code, entry.status.error_message


def integers(*values: int) -> object:
    """Vector of int32."""
    return tensor("DT_INT32", "int_val", list(values))


def test_a_lite_model_answers(start: Start, store: ModelStore) -> None:
    """A model.tflite is served like any other model."""
    server = serving(start, store, "lite_float")
    assert list(server.predict("lite_float", x=floats(2.0)).outputs["Identity"].float_val) == [3.0]


def test_inputs_take_the_shape_of_the_request(start: Start, store: ModelStore) -> None:
    """A request of another size than the last one resizes the model's input."""
    server = serving(start, store, "lite_float")
    for values in ((2.0, 4.0, 6.0), (8.0,), (1.0, 2.0)):
        answer = server.predict("lite_float", x=floats(*values)).outputs["Identity"]
        assert list(answer.float_val) == [0.5 * value + 2.0 for value in values]
        assert [dim.size for dim in answer.tensor_shape.dim] == [len(values)]


def test_a_request_without_rows_is_answered_without_rows(start: Start, store: ModelStore) -> None:
    """An empty tensor goes in and an empty one comes out, of this kind of model and of the others."""
    server = serving(start, store, "lite_float")
    answer = server.predict("lite_float", x=floats()).outputs["Identity"]
    assert ([dim.size for dim in answer.tensor_shape.dim], list(answer.float_val)) == ([0], [])
    store.place("batched", 1, of="batched")
    other = started(start, store, "--enable_batching", model="batched")
    for _ in range(2):
        assert list(server.predict("lite_float", x=floats(2.0)).outputs["Identity"].float_val) == [3.0]
        assert list(other.predict("batched", x=floats(), timeout_s=10).outputs["y"].float_val) == []


def test_rest_serves_lite_models(start: Start, store: ModelStore) -> None:
    """The REST API knows no difference."""
    server = serving(start, store, "lite_float")
    answer = server.http("POST", "/v1/models/lite_float:predict", '{"instances": [1.0, 5.0]}')
    assert (answer.status, json.loads(answer.body)) == (200, {"predictions": [2.5, 4.5]})


def test_without_signatures_one_is_made_from_the_tensors(start: Start, store: ModelStore) -> None:
    """A model without SignatureDefs gets serving_default, with the tensors' names, dtypes and present shapes."""
    server = serving(start, store, "lite_two")
    signatures = stubs.get_model_metadata_pb2.SignatureDefMap()
    server.metadata("lite_two", "signature_def").metadata["signature_def"].Unpack(signatures)
    (made,) = signatures.signature_def.values()
    assert list(signatures.signature_def) == ["serving_default"]
    assert made.method_name == "tensorflow/serving/predict"
    assert {alias: (info.name, info.dtype) for alias, info in made.inputs.items()} == {"f": ("f", 1), "n": ("n", 3)}
    assert [dim.size for dim in made.inputs["f"].tensor_shape.dim] == [1]


def test_several_inputs_and_outputs(start: Start, store: ModelStore) -> None:
    """Each input goes to the tensor of its name."""
    server = serving(start, store, "lite_two")
    outputs = server.predict("lite_two", f=floats(1.5, 2.5), n=integers(7, 8)).outputs
    assert sorted([list(outputs[name].float_val) for name in outputs]) == [[], [3.0, 5.0]]
    assert sorted([list(outputs[name].int_val) for name in outputs]) == [[], [14, 16]]


def test_one_output_may_be_asked_for(start: Start, store: ModelStore) -> None:
    """output_filter works as for other models."""
    server = serving(start, store, "lite_float")
    assert list(server.predict("lite_float", wanted=("Identity",), x=floats(2.0)).outputs) == ["Identity"]
    with refused("INVALID_ARGUMENT", "output tensor alias not found in signature"):
        server.predict("lite_float", wanted=("y",), x=floats(2.0))


def test_unknown_inputs_are_refused(start: Start, store: ModelStore) -> None:
    """An alias that the signature lacks is INVALID_ARGUMENT."""
    server = serving(start, store, "lite_float")
    with refused("INVALID_ARGUMENT"):
        server.predict("lite_float", z=floats(2.0))
    with refused("FAILED_PRECONDITION", 'Serving signature key "other" not found.'):
        server.predict("lite_float", spec={"signature": "other"}, x=floats(2.0))


def test_texts_go_in(start: Start, store: ModelStore) -> None:
    """Strings of any length are fed, in batches of any size."""
    server = serving(start, store, "lite_text")
    for texts in ([b"yes", b"no", b"", b"yes" * 1000], [b"yes"]):
        answer = server.predict("lite_text", text=tensor("DT_STRING", "string_val", texts)).outputs["Identity"]
        assert list(answer.bool_val) == [text == b"yes" for text in texts]


@stand_in_only("the real one reads beyond the last text")
@pytest.mark.parametrize("flags", [(), ("--num_tflite_interpreters_per_pool=2",)])
def test_fewer_texts_than_rows_are_refused(start: Start, store: ModelStore, flags: tuple[str, ...]) -> None:
    """A request of two rows without any text is an error, and the server lives on."""
    server = serving(start, store, "lite_text", *flags)
    empty = stubs.tensor_pb2.TensorProto(dtype="DT_STRING")
    for size in (2, 0):
        empty.tensor_shape.dim.add().size = size
    with refused("INVALID_ARGUMENT", "Got 0 texts in a batch of 2."):
        server.predict("lite_text", text=empty)
    one = tensor("DT_STRING", "string_val", [b"yes"])
    assert list(server.predict("lite_text", text=one).outputs["Identity"].bool_val) == [True]


def test_texts_come_out(start: Start, store: ModelStore) -> None:
    """Strings are answered as strings."""
    server = serving(start, store, "lite_words")
    answer = server.predict("lite_words", n=integers(2, 0, 1)).outputs["Identity"]
    assert list(answer.string_val) == [b"two", b"none", b"one"]


def test_nobody_looks_at_the_dtype_of_a_request(start: Start, store: ModelStore) -> None:
    """The bytes of a tensor are taken for the model's own dtype: int32 0x40000000 is the float 2."""
    server = serving(start, store, "lite_float")
    assert list(server.predict("lite_float", x=integers(0x40000000)).outputs["Identity"].float_val) == [3.0]


def test_signatures_in_the_models_metadata_are_used(start: Start, store: ModelStore) -> None:
    """SignatureDefs that a model carries name its inputs and outputs, and no default is made."""
    server = serving(start, store, "lite_signed")
    answer = server.predict("lite_signed", spec={"signature": "named"}, **{"in": floats(2.0)})
    assert list(answer.outputs["out"].float_val) == [3.0]
    with refused("FAILED_PRECONDITION", 'Serving signature key "serving_default" not found.'):
        server.predict("lite_signed", x=floats(2.0))


def test_a_signature_of_unknown_tensors_fails_the_load(start: Start, store: ModelStore) -> None:
    """A SignatureDef in the model's metadata that names a tensor it has not is INTERNAL."""
    store.place("lite_astray", 1, of="lite_astray")
    code, text = failed(start, store, "lite_astray")
    assert code == 13
    assert "Unknown tensor 'nowhere'." in text
    assert "Signature input in references an unknown tensor" in text


@stand_in_only("the real one reads a damaged file without a check, and may crash")
def test_a_damaged_lite_model_fails_the_load(start: Start, store: ModelStore) -> None:
    """A model.tflite that is none is not replaced by the SavedModel beside it."""
    version = store.place("batched", 1, of="batched")
    (version / "model.tflite").write_bytes(b"this is no model, but long enough to have a header")
    assert failed(start, store, "batched")[0] == 3


def test_a_lite_model_is_preferred_only_where_there_is_one(start: Start, store: ModelStore) -> None:
    """Without a model.tflite the SavedModel is loaded, flag or not."""
    store.place("batched", 1, of="batched")
    server = started(start, store, "--prefer_tflite_model", model="batched")
    assert list(server.predict("batched", x=floats(2.0)).outputs["y"].float_val) == [4.0]


def test_a_lite_model_is_not_looked_at_without_the_flag(start: Start, store: ModelStore) -> None:
    """Without --prefer_tflite_model the SavedModel of such a version is served."""
    version = store.place("batched", 1, of="batched")
    shutil.copy(store.exported / "lite_float" / "1" / "model.tflite", version)
    server = started(start, store, model="batched")
    assert list(server.predict("batched", x=floats(2.0)).outputs["y"].float_val) == [4.0]


@pytest.mark.parametrize(
    "flags", [("--num_tflite_pools=1",), ("--num_tflite_pools=3",), ("--num_tflite_interpreters_per_pool=4",)]
)
def test_requests_at_once_do_not_mix(start: Start, store: ModelStore, flags: tuple[str, ...]) -> None:
    """However many interpreters there are, concurrent requests of different sizes get their own answers."""
    server = serving(start, store, "lite_float", *flags)

    def right(number: int) -> bool:
        values = [float(number)] * (1 + number % 5)
        answer = server.predict("lite_float", x=floats(*values)).outputs["Identity"]
        return list(answer.float_val) == [0.5 * value + 2.0 for value in values]

    with at_once(8) as pool:
        assert all(pool.map(right, range(200)))


def test_several_interpreters_per_pool_limit_the_size_of_a_request(start: Start, store: ModelStore) -> None:
    """With --num_tflite_interpreters_per_pool above 1 requests are batched, and take 500 rows at most."""
    server = serving(start, store, "lite_float", "--num_tflite_interpreters_per_pool=2")
    values = [float(number) for number in range(500)]
    answer = server.predict("lite_float", x=floats(*values)).outputs["Identity"]
    assert list(answer.float_val) == [0.5 * value + 2.0 for value in values]
    with refused("INVALID_ARGUMENT", "Task size 501 is larger than maximum input batch size 500"):
        server.predict("lite_float", x=floats(*values, 0.0))


def test_lite_models_are_warmed_up(start: Start, store: ModelStore) -> None:
    """A warm-up file beside a model.tflite is replayed, and a failing record fails the load."""
    put_warm_up(store.place("lite_float", 1, of="lite_float"), tfrecord([predict_log("lite_float", wrong=floats(1.0))]))
    assert failed(start, store, "lite_float")[0] == 3
