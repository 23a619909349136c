"""Section 3.8 of the contract: the REST API."""

import gzip
import json
from typing import Any

import pytest
from contract_server import ModelServer


def predict(server: ModelServer, model: str, **document: Any) -> Any:
    """POST a predict request that must succeed, and return its JSON."""
    answer = server.http("POST", f"/v1/models/{model}:predict", json.dumps(document))
    assert answer.status == 200, answer.body
    assert answer.content_type == "application/json"
    return json.loads(answer.body)


def refusal(server: ModelServer, method: str, path: str, body: str = "") -> tuple[int, str]:
    """A request that must fail: status and the error's text."""
    answer = server.http(method, path, body)
    assert answer.content_type == "application/json"
    document = json.loads(answer.body)
    assert list(document) == ["error"]
    assert answer.body.startswith('{\n    "error": "')
    return answer.status, document["error"]


def test_status_body(steady: ModelServer) -> None:
    """Status has versions as strings, every field present, and one space of indent."""
    answer = steady.http("GET", "/v1/models/affine/versions/1")
    assert answer.status == 200
    assert answer.body.rstrip("\n") == (
        '{\n "model_version_status": [\n  {\n   "version": "1",\n   "state": "AVAILABLE",\n   "status": {\n'
        '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}'
    )


def test_status_of_all_versions_and_by_label(steady: ModelServer) -> None:
    """Without a version all are listed, the largest first; a label in the path is ignored."""
    for path in ("/v1/models/affine", "/v1/models/affine/labels/nope"):
        document = json.loads(steady.http("GET", path).body)
        assert [entry["version"] for entry in document["model_version_status"]] == ["2", "1"]


def test_status_of_unknown_model_is_404(steady: ModelServer) -> None:
    """A model that was never seen is 404 with a JSON error."""
    assert refusal(steady, "GET", "/v1/models/nobody") == (404, "Could not find any versions of model nobody")


def test_metadata_body(steady: ModelServer) -> None:
    """Metadata nests signature_def twice, prints 64-bit integers as strings and defaults as well."""
    document = json.loads(steady.http("GET", "/v1/models/affine/labels/stable/metadata").body)
    assert document["model_spec"] == {"name": "affine", "signature_name": "", "version": "1"}
    signature = document["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"] == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False},
        "name": "serving_default_x:0",
    }


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


def test_versions_and_labels_in_the_path(steady: ModelServer) -> None:
    """A path may name a version or a label; what does not exist is 404 for a version and 400 for a label."""
    body = '{"instances": [2.0]}'
    for path in ("versions/1", "labels/stable"):
        answer = steady.http("POST", f"/v1/models/affine/{path}:predict", body)
        assert json.loads(answer.body) == {"predictions": [3.0]}
    status, text = refusal(steady, "POST", "/v1/models/affine/versions/9:predict", body)
    assert (status, text) == (404, "Servable not found for request: Specific(affine, 9)")
    status, text = refusal(steady, "POST", "/v1/models/affine/labels/canary:predict", body)
    assert (status, text) == (400, "Unrecognized servable version label: canary")


def test_paths_are_case_insensitive_and_percent_decoded(steady: ModelServer) -> None:
    """The fixed parts of a path match in any case, and names are percent-decoded."""
    assert steady.http("GET", "/V1/Models/affine").status == 200
    assert steady.http("GET", "/v1/models/%61ffine?ignored=1").status == 200
    assert steady.http("GET", "/v1/models/AFFINE").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/foo"),
        ("GET", "/v1/models/affine/"),
        ("GET", "/v1/models/affine/versions/one"),
        ("GET", "/v1/models/affine/versions/1/labels/stable"),
        ("GET", "/v1/models/affine:predict"),
        ("POST", "/v1/models/affine"),
        ("POST", "/v1/models/affine:train"),
        ("DELETE", "/v1/models/affine"),
    ],
)
def test_malformed_requests_are_400(steady: ModelServer, method: str, path: str) -> None:
    """Whatever is no route under /v1/ is 400, wrong verbs and trailing slashes included."""
    assert refusal(steady, method, path) == (400, f"Malformed request: {method} {path}")


def test_no_model_list(steady: ModelServer) -> None:
    """There is no list of models."""
    assert refusal(steady, "GET", "/v1/models") == (400, "Missing model name in request.")


def test_elsewhere_is_404_html(steady: ModelServer) -> None:
    """Paths outside /v1/ are 404 from the HTTP library, in HTML."""
    answer = steady.http("GET", "/metrics")
    assert answer.status == 404
    assert answer.content_type.startswith("text/html")


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
