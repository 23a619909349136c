"""Section 3.8 of the contract: predict over REST."""

import gzip
import json
from typing import Any

import pytest
from contract_rest import predict, refusal
from contract_server import ModelServer, ModelStore, Start


def test_rows(steady: ModelServer) -> None:
    """`instances` are answered as `predictions`, named or not where there is one input."""
    assert predict(steady, "affine", instances=[1.0, 2]) == {"predictions": [11.0, 12.0]}
    assert predict(steady, "affine", instances=[{"x": 1.0}]) == {"predictions": [11.0]}


def test_columns(steady: ModelServer) -> None:
    """`inputs` are answered as `outputs`, named or not where there is one input."""
    assert predict(steady, "affine", inputs=[1.0, 2.0]) == {"outputs": [11.0, 12.0]}
    assert predict(steady, "affine", inputs={"x": [1.0, 2.0]}) == {"outputs": [11.0, 12.0]}


def test_several_inputs_and_outputs(steady: ModelServer) -> None:
    """Several outputs are objects, one per row in row format."""
    rows = predict(steady, "affine", signature_name="two", instances=[{"x": 1, "c": 2}, {"x": 2, "c": 3}])
    assert rows == {"predictions": [{"other": 4.0, "sum": 11.0}, {"other": 6.0, "sum": 12.0}]}
    columns = predict(steady, "affine", signature_name="two", inputs={"x": [1, 2], "c": [3]})
    assert columns == {"outputs": {"other": [6.0], "sum": [11.0, 12.0]}}


def test_rows_need_one_batch_size(steady: ModelServer) -> None:
    """Outputs of different batch sizes, and scalars, cannot be answered in rows, but in columns."""
    document: dict[str, Any] = {"signature_name": "uneven", "instances": [1, 2]}
    status, text = refusal(steady, "POST", "/v1/models/echo:predict", json.dumps(document))
    assert status == 400
    assert "has inconsistent batch size" in text
    document["signature_name"] = "scalar"
    status, text = refusal(steady, "POST", "/v1/models/echo:predict", json.dumps(document))
    assert (status, text.strip()) == (400, "Tensor name: total has no shape information")
    assert predict(steady, "echo", signature_name="scalar", inputs=[1, 2]) == {"outputs": 3.0}
    assert predict(steady, "echo", signature_name="uneven", inputs=[1, 2]) == {
        "outputs": {"all": [1.0, 2.0], "first": [1.0]}
    }


def test_nested_rows(steady: ModelServer) -> None:
    """A row may be a list itself, and each output keeps the shape of its rows."""
    assert predict(steady, "echo", signature_name="matrix", instances=[[1, 2], [3, 4]]) == {
        "predictions": [{"same": [1, 2], "total": 3}, {"same": [3, 4], "total": 7}]
    }


def test_numbers_as_they_are_printed(steady: ModelServer) -> None:
    """Floats have a point or an exponent, NaN and Infinity are bare words and are read, too."""
    answer = steady.http(
        "POST",
        "/v1/models/echo:predict",
        '{"signature_name": "division", "instances": [0.0, -0.0, NaN, 2, 3, 1e-10]}',
    )
    assert answer.body == ('{\n    "predictions": [Infinity, -Infinity, NaN, 0.5, 0.333333343, 1e+10\n    ]\n}')
    answer = steady.http("POST", "/v1/models/affine:predict", '{"instances": [-10, 0.1, 1e30]}')
    assert '"predictions": [0.0, 10.1, 1e+30' in answer.body


def test_binary_values(steady: ModelServer) -> None:
    """Bytes go in as b64 objects, and come out so where the output's name ends in _bytes."""
    assert predict(steady, "echo", signature_name="binary", instances=[{"b64": "AP8="}, "text"]) == {
        "predictions": [{"b64": "AP8="}, {"b64": "dGV4dA=="}]
    }


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error"),
        ("[1.0]", "Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1.0], "inputs": [1.0]}', "expecting only one of"),
        ('{"instances": 1.0}', "Expecting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"instances": ["one"]}', "Type: String is not of expected type: float"),
        ('{"instances": [true]}', "Type: True is not of expected type: float"),
        ('{"instances": [1.0, [2.0, 3.0]]}', "Expecting tensor size: 1 but got: 2"),
        ('{"instances": [[1.0, 2.0], [[1.0], [2.0]]]}', "Expecting shape [2] but got: [2,1]"),
        ('{"instances": [[[1.0], [2.0, 3.0]]]}', "Encountered list at unexpected size"),
        ('{"instances": [{"z": 1.0}]}', "does not have named input: z"),
        ('{"inputs": {"z": 1.0}}', "Missing named input: x"),
        ('{"signature_name": 1, "instances": [1.0]}', "'signature_name' key must be a string value"),
        ('{"signature_name": "nope", "instances": [1.0]}', 'Serving signature name: "nope" not found in signature def'),
        ('{"signature_name": "two", "instances": [1.0]}', "expecting list of objects as multiple"),
    ],
)
def test_bad_bodies_are_400(steady: ModelServer, body: str, fragment: str) -> None:
    """A body that cannot be turned into tensors is 400 and says what is wrong with it."""
    status, text = refusal(steady, "POST", "/v1/models/affine:predict", body)
    assert status == 400, text
    assert fragment in text


def test_unpredictable_model_over_rest(steady: ModelServer) -> None:
    """An unknown model is 404 for a good body, but a bad body is looked at first."""
    assert refusal(steady, "POST", "/v1/models/nobody:predict", '{"instances": [1]}')[0] == 404
    assert refusal(steady, "POST", "/v1/models/nobody:predict", "{")[0] == 400


def test_gzipped_request(steady: ModelServer) -> None:
    """A body may be compressed; the answer is not."""
    body = gzip.compress(b'{"instances": [2.0]}')
    answer = steady.http("POST", "/v1/models/affine:predict", body, Content_Encoding="gzip")
    assert json.loads(answer.body) == {"predictions": [12.0]}


def test_gzipped_request_of_more_than_100_mib(steady: ModelServer) -> None:
    """A body that would unpack to more than 100 MiB counts as empty."""
    body = gzip.compress(b" " * 100 * 2**20 + b'{"instances": [2.0]}', compresslevel=1)
    answer = steady.http("POST", "/v1/models/affine:predict", body, Content_Encoding="gzip")
    assert (answer.status, json.loads(answer.body)) == (400, {"error": "JSON Parse error: The document is empty"})


def test_answers_are_never_compressed(steady: ModelServer) -> None:
    """A client that would take a compressed answer gets a plain one all the same."""
    body = json.dumps({"instances": [2.0] * 10_000})
    answer = steady.http("POST", "/v1/models/affine:predict", body, Accept_Encoding="gzip")
    assert "Content-Encoding" not in answer.headers
    assert len(json.loads(answer.body)["predictions"]) == 10_000


def test_failing_run_over_rest(start: Start, models: ModelStore) -> None:
    """A request that the model refuses with FAILED_PRECONDITION is 400 with the runtime's text."""
    models.spoil("affine", 1, missing="variables")
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    status, text = refusal(server, "POST", "/v1/models/affine:predict", '{"instances": [1.0]}')
    assert (status, "Could not find variable" in text) == (400, True)
