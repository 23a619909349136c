"""Section 3.7 of the contract: Classify, Regress and MultiInference over gRPC, and the flags that change answers."""

import struct
import time

import pytest
from contract_examples import classify, example, infer, labels_and_scores, regress, spec_of, values
from contract_server import ModelServer, ModelStore, Start, floats, model_list, refused, spec

from fleetdeploy.tfserving import stubs

pytest_plugins = ["contract_examples_plugin"]

ONE = example(x=3.0)


def test_classify_answers_labels_and_scores(scoring: ModelServer) -> None:
    """Classify answers one list of classes per example, each with its label and its score."""
    answer = classify(scoring, spec_of("examples"), example(x=1.0), example(x=3.0, bias=0.5))
    assert labels_and_scores(answer.result) == [[("low", 1.0), ("high", 2.0)], [("low", 3.5), ("high", 6.0)]]


def test_classify_names_what_answered(scoring: ModelServer) -> None:
    """The answer's model spec has the resolved version and the signature, serving_default where none was named."""
    answer = classify(scoring, spec_of("examples", label="stable"), ONE)
    assert answer.model_spec == spec_of("examples", "serving_default", version=1)
    answer = regress(scoring, spec_of("examples", "regress"), ONE)
    assert answer.model_spec == spec_of("examples", "regress", version=1)


def test_classify_with_one_output(scoring: ModelServer) -> None:
    """A signature may have only scores or only classes; what is missing has its default."""
    answer = classify(scoring, spec_of("examples", "only_scores"), ONE)
    assert labels_and_scores(answer.result) == [[("", 3.0), ("", 6.0)]]
    answer = classify(scoring, spec_of("examples", "only_classes"), ONE)
    assert labels_and_scores(answer.result) == [[("low", 0.0), ("high", 0.0)]]


@pytest.mark.parametrize("signature", ["regress", "flat"])
def test_regress_answers_values(scoring: ModelServer, signature: str) -> None:
    """Regress answers one value per example, from an output of one column or of none."""
    answer = regress(scoring, spec_of("examples", signature), example(x=1.0), example(x=3.0, bias=0.5))
    assert values(answer.result) == [2.0, 6.5]


def test_context_is_merged_into_each_example(scoring: ModelServer) -> None:
    """The features of the context count for every example of the list."""
    context = example(bias=10.0, name=b"four", count=7)
    answer = regress(scoring, spec_of("examples", "features"), example(x=1.0), example(x=2.0), context=context)
    assert values(answer.result) == [23.0, 25.0]


def test_functions_of_tf2_are_classified_and_regressed(scoring: ModelServer) -> None:
    """The signatures of tf.saved_model.save, all of them predict signatures, serve Classify and Regress as well."""
    assert labels_and_scores(classify(scoring, spec_of("functions"), ONE).result) == [[("", 3.0), ("", 6.0)]]
    assert values(regress(scoring, spec_of("functions", "regress"), ONE).result) == [3.0]


def test_missing_model_spec(scoring: ModelServer) -> None:
    """A request without a model spec is INVALID_ARGUMENT, and so is one without a model name."""
    for ask in (classify, regress):
        with refused("INVALID_ARGUMENT", "Missing ModelSpec"):
            ask(scoring, None, ONE)
        with refused("INVALID_ARGUMENT", "ModelSpec has no name specified"):
            ask(scoring, spec_of(""), ONE)


def test_unknown_models_and_versions(scoring: ModelServer) -> None:
    """An unknown model or version is NOT_FOUND, an unknown label INVALID_ARGUMENT."""
    for ask in (classify, regress):
        with refused("NOT_FOUND", "Servable not found for request: Latest(nobody)"):
            ask(scoring, spec_of("nobody"), ONE)
        with refused("NOT_FOUND", "Servable not found for request: Specific(examples, 9)"):
            ask(scoring, spec_of("examples", version=9), ONE)
        with refused("INVALID_ARGUMENT", "Unrecognized servable version label: canary"):
            ask(scoring, spec_of("examples", label="canary"), ONE)


def test_unknown_signature(scoring: ModelServer) -> None:
    """A signature that does not exist is INVALID_ARGUMENT, where Predict says FAILED_PRECONDITION."""
    for ask in (classify, regress):
        with refused("INVALID_ARGUMENT", "No signature was found with the name: nope"):
            ask(scoring, spec_of("examples", "nope"), ONE)
    with refused("FAILED_PRECONDITION", 'Serving signature key "nope" not found.'):
        scoring.predict("examples", number=floats(1.0), spec=spec(signature="nope"))


@pytest.mark.parametrize("context", [None, example(x=1.0)])
def test_empty_input(scoring: ModelServer, context: object) -> None:
    """An input without examples is INVALID_ARGUMENT, also with a context."""
    for ask in (classify, regress):
        signature = "" if ask is classify else "regress"
        with refused("INVALID_ARGUMENT", "Input is empty."):
            ask(scoring, spec_of("examples", signature), context=context)


@pytest.mark.parametrize(
    ("signature", "fragment"),
    [
        ("two_inputs", "Expected one input Tensor."),
        ("three", "Expected one or two output Tensors, found 3"),
        ("misnamed", "No classification inputs found in SignatureDef: "),
        ("logits", 'to contain at least one of "classes" or "scores". Signature was: '),
        ("regress", 'to contain at least one of "classes" or "scores". Signature was: '),
        ("flat_scores", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("flat_classes", "Expected Tensor shape: [batch_size num_classes] but got [2]"),
        ("whole_scores", "Expected scores Tensor of DT_FLOAT. Got: DT_INT32"),
        ("whole_classes", "Expected classes Tensor of DT_STRING. Got: DT_FLOAT"),
        ("first_scores", "Expected scores output batch size of 2. Got: 1"),
        ("first_classes", "Expected classes output batch size of 2. Got: 1"),
        ("uneven", "Tensors class and score should match in dim_size(1). Got 1 vs. 2"),
    ],
)
def test_signatures_that_cannot_be_classified(scoring: ModelServer, signature: str, fragment: str) -> None:
    """A signature or outputs that Classify has no use for are INVALID_ARGUMENT."""
    with refused("INVALID_ARGUMENT", fragment):
        classify(scoring, spec_of("examples", signature), ONE, ONE)


@pytest.mark.parametrize(
    ("signature", "fragment"),
    [
        ("two_inputs", "Expected one input Tensor."),
        ("serving_default", "Expected one output Tensor."),
        ("misnamed_regress", "No regression inputs found in SignatureDef: "),
        ("only_scores", "No regression outputs found in SignatureDef: "),
        ("wide", "[batch_size, 1] but got [2,2]"),
        ("total", "Input batch size did not match output batch size: 2 vs. 1"),
        ("whole", "Expected output Tensor of DT_FLOAT.  Got: DT_INT64"),
    ],
)
def test_signatures_that_cannot_be_regressed(scoring: ModelServer, signature: str, fragment: str) -> None:
    """A signature or an output that Regress has no use for is INVALID_ARGUMENT."""
    with refused("INVALID_ARGUMENT", fragment):
        regress(scoring, spec_of("examples", signature), ONE, ONE)


def test_examples_that_do_not_parse(scoring: ModelServer) -> None:
    """An example without a required feature is TensorFlow's INVALID_ARGUMENT."""
    with refused("INVALID_ARGUMENT", "Feature: x (data type: float) is required but could not be found."):
        classify(scoring, spec_of("examples"), example(bias=1.0))


def test_deadline_ends_the_run(scoring: ModelServer) -> None:
    """The client's deadline becomes the run's timeout, so that the model is not run to its end."""
    began = time.monotonic()
    with refused("DEADLINE_EXCEEDED"):
        regress(scoring, spec_of("functions", "slow"), example(x=20000.0), timeout_s=0.3)
    assert time.monotonic() - began < 10
    assert values(regress(scoring, spec_of("functions", "slow"), example(x=1.0)).result) == [1.0]


def test_multi_inference_answers_every_task(scoring: ModelServer) -> None:
    """MultiInference answers the tasks in their order, each with the model spec and the kind of result it asked for."""
    tasks = [
        (spec_of("examples", "regress"), "regress"),
        (spec_of("examples"), "classify"),
        (spec_of("examples", "only_scores"), "classify"),
    ]
    answer = infer(scoring, tasks, ONE, example(x=1.0))
    first, second, third = answer.results
    assert values(first.regression_result) == [6.0, 2.0]
    assert labels_and_scores(second.classification_result)[0] == [("low", 3.0), ("high", 6.0)]
    assert labels_and_scores(third.classification_result)[1] == [("", 1.0), ("", 2.0)]
    assert [each.WhichOneof("result") for each in answer.results] == [
        "regression_result",
        "classification_result",
        "classification_result",
    ]
    assert [each.model_spec.signature_name for each in answer.results] == ["regress", "serving_default", "only_scores"]
    assert {(each.model_spec.name, each.model_spec.version.value) for each in answer.results} == {("examples", 1)}


def test_multi_inference_with_several_inputs(scoring: ModelServer) -> None:
    """The examples are fed to the input of every task, also where these are different tensors."""
    answer = infer(scoring, [(spec_of("functions"), "classify"), (spec_of("functions", "regress"), "regress")], ONE)
    assert labels_and_scores(answer.results[0].classification_result) == [[("", 3.0), ("", 6.0)]]
    assert values(answer.results[1].regression_result) == [3.0]


def test_multi_inference_looks_up_the_first_task(scoring: ModelServer) -> None:
    """The first task's version decides, and a request without tasks or model names is INVALID_ARGUMENT."""
    with refused("NOT_FOUND", "Servable not found for request: Specific(examples, 9)"):
        infer(scoring, [(spec_of("examples", version=9), "classify")], ONE)
    first, second = spec_of("examples"), spec_of("examples", "regress", version=9)
    assert infer(scoring, [(first, "classify"), (second, "regress")], ONE).results[1].model_spec.version.value == 1
    for tasks in ([], [(None, "classify")]):
        with refused("INVALID_ARGUMENT", "ModelSpec has no name specified"):
            infer(scoring, tasks, ONE)


@pytest.mark.parametrize(
    ("code", "fragment", "second", "method"),
    [
        ("INVALID_ARGUMENT", "Found ModelSpec with an empty model name.", spec_of(""), "regress"),
        ("INVALID_ARGUMENT", "must access the same model name.", spec_of("functions", "regress"), "regress"),
        ("INVALID_ARGUMENT", "Duplicate evaluation of signature: serving_default", spec_of("examples"), "regress"),
        (
            "INVALID_ARGUMENT",
            "Requested signature not found in model graph: nope",
            spec_of("examples", "nope"),
            "regress",
        ),
        (
            "UNIMPLEMENTED",
            "Unsupported signature method_name: tensorflow/serving/predict",
            spec_of("examples", "predict"),
            "predict",
        ),
        ("INVALID_ARGUMENT", "Expected one output Tensor.", spec_of("examples", "three"), "regress"),
        ("INVALID_ARGUMENT", "but got [1,2]", spec_of("examples", "wide"), "regress"),
    ],
)
def test_multi_inference_refuses(scoring: ModelServer, code: str, fragment: str, second: object, method: str) -> None:
    """A task that does not fit fails the whole request."""
    with refused(code, fragment):
        infer(scoring, [(spec_of("examples"), "classify"), (second, method)], ONE)


def test_multi_inference_of_nothing(scoring: ModelServer) -> None:
    """MultiInference without examples is INVALID_ARGUMENT, after the tasks were looked at."""
    with refused("INVALID_ARGUMENT", "Input is empty."):
        infer(scoring, [(spec_of("examples"), "classify")])
    with refused("UNIMPLEMENTED", "Unsupported signature method_name"):
        infer(scoring, [(spec_of("examples"), "guess")])


def test_method_names_are_not_looked_at(scoring: ModelServer) -> None:
    """Without the flag for it a signature's method name does not matter."""
    assert scoring.predict("examples", number=floats(2.0), spec=spec(signature="strange")).outputs["double"]
    assert values(regress(scoring, spec_of("functions", "regress"), ONE).result) == [3.0]


def test_method_names_are_looked_at_with_the_flag(start: Start, example_models: ModelStore) -> None:
    """With --enable_signature_method_name_check each API takes its own method's signatures only, and Predict all."""
    config = model_list(example_models.config("examples"), example_models.config("functions"))
    server = start("--enable_signature_method_name_check", config=config).ready()
    assert values(regress(server, spec_of("examples", "regress"), ONE).result) == [6.0]
    assert classify(server, spec_of("examples"), ONE).result.classifications
    assert server.predict("examples", number=floats(2.0), spec=spec(signature="predict")).outputs["double"]
    was = "tensorflow/serving/"
    with refused("INVALID_ARGUMENT", f"method_name to be {was}classify. Was: {was}regress"):
        classify(server, spec_of("examples", "regress"), ONE)
    with refused("INVALID_ARGUMENT", f"method_name to be {was}regress. Was: {was}predict"):
        regress(server, spec_of("functions", "regress"), ONE)
    with refused("INVALID_ARGUMENT", f"method_name to be {was}regress. Was: {was}classify"):
        infer(server, [(spec_of("examples"), "regress")], ONE)
    with refused("INTERNAL", "Expected prediction signature method_name to be one of {", f"Was: {was}guess"):
        server.predict("examples", number=floats(2.0), spec=spec(signature="strange"))


def test_tensor_content_with_the_flag(start: Start, example_models: ModelStore) -> None:
    """With --enable_serialization_as_tensor_content Predict answers tensors as their memory; strings have lengths."""
    server = start("--enable_serialization_as_tensor_content", config=model_list(example_models.config("examples")))
    server.ready()
    output = server.predict("examples", number=floats(1.5, 2.0), spec=spec(signature="predict")).outputs["double"]
    assert output.tensor_content == struct.pack("<2f", 3.0, 4.0)
    assert not output.float_val
    assert [dim.size for dim in output.tensor_shape.dim] == [2]
    serialized = stubs.tensor_pb2.TensorProto(dtype=7, string_val=[ONE.SerializeToString()])
    serialized.tensor_shape.dim.add().size = 1
    outputs = server.predict("examples", inputs=serialized).outputs
    assert outputs["classes"].tensor_content == b"\x03\x04lowhigh"
    assert not outputs["classes"].string_val
