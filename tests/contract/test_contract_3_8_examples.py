"""Section 3.8 of the contract: classify and regress over REST, and what JSON the REST API reads and writes."""

import contextlib
import http.client
import json
from typing import Any

import pytest
from contract_server import ModelServer, ModelStore, Start, model_list

pytest_plugins = ["contract_examples_plugin"]


def ask(server: ModelServer, path: str, document: Any, *, status: int = 200) -> str:
    """POST a document, or text as it is, and return the answer's body."""
    body = document if isinstance(document, (str, bytes)) else json.dumps(document)
    answer = server.http("POST", f"/v1/models/{path}", body)
    assert answer.status == status, answer.body
    assert answer.content_type == "application/json"
    return answer.body


def refusal(server: ModelServer, path: str, document: Any, *, status: int = 400) -> str:
    """The text of the error that a document is answered with."""
    error = json.loads(ask(server, path, document, status=status))
    assert list(error) == ["error"]
    text: str = error["error"]
    return text


def regress(server: ModelServer, *examples: Any, signature: str = "features", **more: Any) -> list[float]:
    """Regress examples that must be good."""
    document = {"signature_name": signature, "examples": examples, **more}
    results: list[float] = json.loads(ask(server, "examples:regress", document))["results"]
    return results


def test_classify_body(scoring: ModelServer) -> None:
    """Classify answers `results`: per example a line with pairs of label and score."""
    body = ask(scoring, "examples:classify", {"examples": [{"x": 1.0}, {"x": [0.1], "bias": [0.5]}]})
    assert body == ('{\n    "results": [[["low", 1.0], ["high", 2.0]], [["low", 0.6], ["high", 0.2]]\n    ]\n}')


def test_classify_without_labels(scoring: ModelServer) -> None:
    """Where the model has no classes, labels are empty; without scores, these are 0."""
    document = {"signature_name": "only_scores", "examples": [{"x": 1.0}]}
    assert json.loads(ask(scoring, "examples:classify", document)) == {"results": [[["", 1.0], ["", 2.0]]]}
    document["signature_name"] = "only_classes"
    assert json.loads(ask(scoring, "examples:classify", document)) == {"results": [[["low", 0.0], ["high", 0.0]]]}


def test_regress_body(scoring: ModelServer) -> None:
    """Regress answers `results`: one list of numbers on one line."""
    document = {"signature_name": "regress", "examples": [{"x": 1.0}, {"x": 0.1}]}
    assert ask(scoring, "examples:regress", document) == '{\n    "results": [2.0, 0.2]\n}'


def test_regress_answers_no_numbers_bare(scoring: ModelServer) -> None:
    """Infinity and NaN are bare words, as everywhere."""
    document = '{"signature_name": "inverse", "examples": [{"x": 0.0}, {"x": -0.0}, {"x": NaN}]}'
    assert '"results": [Infinity, -Infinity, NaN]' in ask(scoring, "examples:regress", document)


def test_routes_of_versions_and_labels(scoring: ModelServer) -> None:
    """Classify and regress take versions and labels in the path, with the codes of predict."""
    for verb, signature in (("classify", "serving_default"), ("regress", "regress")):
        document = {"signature_name": signature, "examples": [{"x": 1.0}]}
        for place in ("/versions/1", "/labels/stable"):
            ask(scoring, f"examples{place}:{verb}", document)
        assert refusal(scoring, f"examples/versions/9:{verb}", document, status=404) == (
            "Servable not found for request: Specific(examples, 9)"
        )
        assert "Unrecognized servable version label" in refusal(scoring, f"examples/labels/no:{verb}", document)
        assert "Latest(nobody)" in refusal(scoring, f"nobody:{verb}", document, status=404)


def test_signatures_over_rest(scoring: ModelServer) -> None:
    """Classify and regress say of a signature what they say over gRPC, with 400."""
    document = {"signature_name": "nope", "examples": [{"x": 1.0}]}
    for verb in ("classify", "regress"):
        assert refusal(scoring, f"examples:{verb}", document) == "No signature was found with the name: nope"
    assert refusal(scoring, "examples:regress", {"examples": [{"x": 1.0}]}) == "Expected one output Tensor."


def test_kinds_of_features(scoring: ModelServer) -> None:
    """Numbers with a point are floats, others and booleans int64, strings and b64 objects bytes; lists are several."""
    assert regress(scoring, {"x": 1.0, "bias": 1e1, "count": 7, "name": "four"}) == [23.0]
    assert regress(scoring, {"x": [1.0], "count": [True], "name": [{"b64": "AP8="}]}) == [5.0]
    assert regress(scoring, {"x": 1.0, "count": False, "name": "\u00fc"}) == [4.0]
    assert regress(scoring, {"x": 1.0, "count": []}, {"x": 2.0, "unknown": 1}) == [2.0, 4.0]


def test_features_of_the_wrong_kind(scoring: ModelServer) -> None:
    """A number without a point is no float for the model, which TensorFlow says."""
    document = {"signature_name": "features", "examples": [{"x": 1}]}
    assert "Data types don't match" in refusal(scoring, "examples:regress", document)


def test_context_over_rest(scoring: ModelServer) -> None:
    """The features of `context` count for every example, and may be none."""
    assert regress(scoring, {"x": 1.0}, {"x": 2.0}, context={"count": 3, "name": "ab"}) == [7.0, 9.0]
    assert regress(scoring, {"x": 1.0}, context={}) == [2.0]
    assert regress(scoring, {}, {}, context={"x": 1.0}) == [2.0, 2.0]


@pytest.mark.parametrize("verb", ["classify", "regress"])
@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("  ", "JSON Parse error: The document is empty. at offset: 2"),
        ("[]", "JSON Value: [] Is not object"),
        ("{}", "JSON Value: {} When method is classify, key 'examples' is expected and was not found"),
        ('{"examples": {}}', "Expecting 'examples' value to be an list/array"),
        ('{"examples": []}', "'examples' value is an empty array"),
        ('{"examples": [1.0]}', "Example must be JSON object but got JSON Number"),
        ('{"examples": [{"x": 1.0}, null]}', "Example must be JSON object but got JSON Null"),
        ('{"context": [], "examples": [{"x": 1.0}]}', "Example must be JSON object but got JSON Array"),
        ('{"context": {"x": {}}}', "Feature: x has element with unexpected JSON type: Object"),
        ('{"examples": [{"x": null}]}', "Feature: x has element with unexpected JSON type: Null"),
        ('{"examples": [{"x": [[1.0]]}]}', "Feature: x has element with unexpected JSON type: Array"),
        ('{"examples": [{"x": {"b64": 1}}]}', "Feature: x has element with unexpected JSON type: Object"),
        ('{"examples": [{"x": {"b64": "A"}}]}', "Unable to base64 decode"),
        ('{"examples": [{"x": [1.0, 1]}]}', "Unexpected element type in feature: x expecting type: float"),
        ('{"examples": [{"x": [1, "a"]}]}', "Unexpected element type in feature: x expecting type: int64"),
        ('{"examples": [{"x": ["a", true]}]}', "Unexpected element type in feature: x expecting type: bytes"),
        ('{"examples": [{"x": 9223372036854775808}]}', "Feature: x has uint64_t element. Only int64_t is supported."),
        ('{"signature_name": 7, "examples": [{}]}', "'signature_name' key must be a string value"),
    ],
)
def test_bad_bodies_of_examples(scoring: ModelServer, verb: str, body: str, fragment: str) -> None:
    """A body that cannot be turned into examples is 400, says why, and is looked at before the model."""
    assert fragment in refusal(scoring, f"nobody:{verb}", body)


def test_timeout_of_the_rest_api(start: Start, example_models: ModelStore) -> None:
    """A run longer than --rest_api_timeout_in_ms ends with 504."""
    server = start("--rest_api_timeout_in_ms=200", config=model_list(example_models.config("functions"))).ready()
    slow = {"signature_name": "slow", "examples": [{"x": 20000.0}]}
    assert refusal(server, "functions:regress", slow, status=504)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("{", "Missing a name for object member. at offset: 1"),
        ('{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        ('{"a": }', "Invalid value. at offset: 6"),
        ('{"a": 1 "b": 2}', "Missing a comma or '}' after an object member. at offset: 8"),
        ('{"a": [1 2]}', "Missing a comma or ']' after an array element. at offset: 9"),
        ('{"a": [1,]}', "Invalid value. at offset: 9"),
        ('{"a": 1,}', "Missing a name for object member. at offset: 8"),
        ('{"a', "Missing a closing quotation mark in string. at offset: 3"),
        ('{"a\n": 1}', "Invalid escape character in string. at offset: 3"),
        ('{"\\u12g4": 1}', "Incorrect hex digit after \\u escape in string. at offset: 2"),
        ('{"\\ud800": 1}', "The surrogate pair in string is invalid. at offset: 2"),
        ('{"a": 1.}', "Miss fraction part in number. at offset: 8"),
        ('{"a": 1e}', "Miss exponent in number. at offset: 8"),
        ('{"a": 1e999}', "Number too big to be stored in double. at offset: 6"),
    ],
)
def test_what_is_no_json(scoring: ModelServer, body: str, text: str) -> None:
    """The parser's complaint and the byte it is about come in the answer."""
    assert refusal(scoring, "examples:predict", body) == f"JSON Parse error: {text}"


def predict(server: ModelServer, document: Any, *, signature: str = "predict") -> str:
    """Predict over REST with the model's plain signature: twice a vector of floats."""
    text = document if isinstance(document, str) else json.dumps(document)
    return ask(server, "examples:predict", f'{{"signature_name": "{signature}", {text[1:]}')


def test_json_that_python_does_not_read(scoring: ModelServer) -> None:
    """A byte order mark, `Inf`, text after the document, and bytes in strings that are not UTF-8 are all taken."""
    body = b'\xef\xbb\xbf {"signature_name": "predict", "x": "\xff", "instances": [Inf, 1, -Inf]} and more'
    assert '"predictions": [Infinity, 2.0, -Infinity' in ask(scoring, "examples:predict", body)


def test_first_of_equal_keys_counts(scoring: ModelServer) -> None:
    """Of several equal keys the first one counts."""
    assert '"outputs": [\n        2.0\n    ]' in predict(scoring, '{"inputs": [1], "inputs": [5]}')


def test_integers_beyond_64_bits_are_floats(scoring: ModelServer) -> None:
    """An integer too big for 64 bits is a number with a point, and so it is quoted."""
    assert "[3.68934881e+19" in predict(scoring, '{"instances": [18446744073709551616]}')
    assert "100000000000000000000.0" in refusal(scoring, "examples:predict", '{"signature_name": 1e20}')


def test_deeply_nested_bodies(scoring: ModelServer) -> None:
    """Nesting of any depth parses; TensorFlow refuses the tensor."""
    for key in ("inputs", "instances"):
        body = f'{{"signature_name": "predict", "{key}": ' + "[" * 5000 + "1" + "]" * 5000 + "}"
        assert refusal(scoring, "examples:predict", body) == "tensor parsing error: number"


def test_zero_length_lists(scoring: ModelServer) -> None:
    """Columns may be empty, and are answered empty; rows may not."""
    assert json.loads(predict(scoring, {"inputs": []})) == {"outputs": []}
    assert "No values in 'instances' array" in refusal(
        scoring, "examples:predict", {"signature_name": "predict", "instances": []}
    )


def test_mixed_rows(scoring: ModelServer) -> None:
    """Rows are objects or values throughout, and each object has all inputs and no other."""
    for instances, fragment in [
        ([{"number": 1.0}, 2.0], "Expecting object but got list at item 1 of input list"),
        ([1.0, {"number": 1.0}], "Expecting value/list but got object at item 1 of input list"),
        ([{}], "JSON object: {} keys must be equal to: number"),
        ([{"number": 1.0}, {"number": 1.0, "z": 1.0}], "Failed to process element: 1 key: z of 'instances' list."),
        ([[{"number": 1.0}]], "Type: Object is not of expected type: float"),
        ([None], "JSON Value: null Type: Null is not of expected type: float"),
    ]:
        text = refusal(scoring, "examples:predict", {"signature_name": "predict", "instances": instances})
        assert fragment in text, text


def test_quoted_values_are_cut(scoring: ModelServer) -> None:
    """An error quotes a document up to the first piece that starts beyond 256 bytes."""
    text = refusal(scoring, "examples:classify", '{"other": [' + "1234567," * 99 + "0]}")
    quoted = text.removeprefix("JSON Value: ").partition(" When method")[0]
    assert quoted.startswith('{\n    "other": [1234567, 1234567, ')
    assert 256 <= len(quoted) < 256 + len(", 1234567")


def test_escapes_in_answers(scoring: ModelServer) -> None:
    """In an answer's strings only quotes, backslashes and control characters are escaped, these in capitals."""
    body = ask(
        scoring, "examples:classify", '{"signature_name": "\\u001f/\\u007f\\u00fc", "examples": [{}]}', status=400
    )
    assert body.endswith('with the name: \\u001F/\x7f\u00fc"\n}')


def test_bytes_that_are_not_utf8_come_back(scoring: ModelServer) -> None:
    """A string's bytes are quoted as they came, UTF-8 or not."""
    connection = http.client.HTTPConnection("127.0.0.1", scoring.rest_port, timeout=30)
    with contextlib.closing(connection):
        connection.request("POST", "/v1/models/examples:classify", b'{"\xff\xfe": 1}')
        assert b'JSON Value: {\\n    \\"\xff\xfe\\": 1\\n}' in connection.getresponse().read()


def test_a_query_belongs_to_the_path(scoring: ModelServer) -> None:
    """A query makes a verb unknown, and is part of a model's name."""
    document = {"examples": [{"x": 1.0}]}
    assert refusal(scoring, "examples:classify?x=1", document) == (
        "Malformed request: POST /v1/models/examples:classify?x=1"
    )
    answer = scoring.http("GET", "/v1/models/examples?x=1")
    assert (answer.status, "examples?x=1" in answer.body) == (404, True)


def test_verbs_are_lower_case(scoring: ModelServer) -> None:
    """The path's fixed parts may be in capitals, but not its verb."""
    assert "results" in ask(scoring, "examples/VERSIONS/1:classify", {"examples": [{"x": 1.0}]})
    assert "Malformed request" in refusal(scoring, "examples:Classify", {"examples": [{"x": 1.0}]})


def test_version_numbers_beyond_64_bits(scoring: ModelServer) -> None:
    """A version that is no int64 is 400, with or without a model's name."""
    number = "9" * 5000
    for path in (f"/v1/models/examples/versions/{number}", f"/v1/models/versions/{number}"):
        answer = scoring.http("GET", path)
        assert (answer.status, "Failed to convert version: " in answer.body) == (400, True)
    answer = scoring.http("GET", "/v1/models/versions/1")
    assert (answer.status, "Missing model name in request." in answer.body) == (400, True)


def test_targets_that_are_no_uri(scoring: ModelServer) -> None:
    """A path with characters that need percent-encoding is 400 in HTML."""
    answer = scoring.http("GET", "/v1/models/a|b")
    assert (answer.status, answer.content_type) == (400, "text/html")


def test_metadata_layout(scoring: ModelServer) -> None:
    """Metadata is put together from two printed messages, and fields come in the order of their numbers."""
    body = scoring.http("GET", "/v1/models/functions/metadata").body
    assert body.startswith(
        '{\n"model_spec":{\n "name": "functions",\n "version": "1",\n "signature_name": ""\n}\n,\n'
        '"metadata": {"signature_def": {\n "signature_def": {\n'
    )
    assert body.endswith(" }\n}\n}\n}\n")
    signature = json.loads(body)["metadata"]["signature_def"]["signature_def"]["regress"]
    assert list(signature) == ["inputs", "outputs", "method_name", "defaults"]


def test_preflight(scoring: ModelServer, start: Start, example_models: ModelStore) -> None:
    """OPTIONS is 200 with an Origin and 400 without, with an empty body; headers for other origins need the flag."""
    server = start("--rest_api_enable_cors_support", config=model_list(example_models.config("examples"))).ready()
    for asked, allowed in ((scoring, None), (server, "*")):
        answer = asked.http("OPTIONS", "/v1/models/examples:predict", Origin="http://example.org")
        assert (answer.status, answer.body) == (200, "")
        assert answer.headers.get("Access-Control-Allow-Origin") == allowed
        answer = asked.http("OPTIONS", "/v1/models/examples:predict")
        assert (answer.status, answer.body) == (400, "")
        answer = asked.http("GET", "/v1/models/nobody")
        assert answer.headers.get("Access-Control-Allow-Methods") == ("POST, GET" if allowed else None)
    assert "Access-Control-Allow-Origin" not in server.http("GET", "/elsewhere").headers


def test_body_that_is_not_gzipped(scoring: ModelServer) -> None:
    """A body that is said to be gzipped and is not counts as empty."""
    answer = scoring.http("POST", "/v1/models/examples:predict", "{}", Content_Encoding="gzip")
    assert (answer.status, json.loads(answer.body)) == (400, {"error": "JSON Parse error: The document is empty"})
