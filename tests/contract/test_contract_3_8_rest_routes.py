"""Section 3.8 of the contract: the routes of the REST API, status and metadata."""

import json

import pytest
from contract_rest import refusal
from contract_server import ModelServer


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
    assert steady.http("GET", "/v1/models/%61ffine").status == 200
    assert steady.http("GET", "/v1/models/AFFINE").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/"),
        ("GET", "/v1/foo"),
        ("GET", "/v1/models/affine/"),
        ("GET", "/v1/models/affine/versions/"),
        ("GET", "/v1/models/affine/versions/one"),
        ("GET", "/v1/models/affine/versions/-1"),
        ("GET", "/v1/models/affine/metadata/"),
        ("GET", "/v1/models/affine/versions/1/labels/stable"),
        ("GET", "/v1/models/affine:predict"),
        ("POST", "/v1/models/affine"),
        ("POST", "/v1/models/affine/metadata"),
        ("POST", "/v1/models/:predict"),
        ("POST", "/v1/models/affine:train"),
        ("DELETE", "/v1/models/affine"),
        ("PUT", "/v1/models/affine:predict"),
    ],
)
def test_malformed_requests_are_400(steady: ModelServer, method: str, path: str) -> None:
    """Whatever is no route under /v1/ is 400, wrong verbs and trailing slashes included."""
    assert refusal(steady, method, path) == (400, f"Malformed request: {method} {path}")


def test_no_model_list(steady: ModelServer) -> None:
    """There is no list of models."""
    assert refusal(steady, "GET", "/v1/models") == (400, "Missing model name in request.")


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/models/affine", "/metrics", "/healthz"])
def test_elsewhere_is_404_html(steady: ModelServer, path: str) -> None:
    """Paths outside /v1/ are 404 from the HTTP library, in HTML."""
    answer = steady.http("GET", path)
    assert answer.status == 404
    assert answer.content_type.startswith("text/html")
    assert "404 Not Found" in answer.body


def test_zeros_before_a_version_count_for_nothing(steady: ModelServer) -> None:
    """A version number may be as long as it likes if zeros make it so; a larger one than int64 is 400."""
    assert steady.http("GET", f"/v1/models/affine/versions/{'0' * 5000}1").status == 200
    assert refusal(steady, "GET", f"/v1/models/affine/versions/{2**63}")[0] == 400


def test_two_leading_slashes_begin_an_authority(steady: ModelServer) -> None:
    """What follows `//` is a host's name to the HTTP library, not the beginning of the path (from source)."""
    assert steady.http("GET", "//v1/models/affine").status == 404
    assert steady.http("GET", "//anywhere/v1/models/affine").status == 200


@pytest.mark.parametrize("length", ["-1", "ten", "1_0", "0x10"])
def test_content_length_that_is_no_number_is_400(steady: ModelServer, length: str) -> None:
    """A Content-Length that cannot be one is refused at once by the HTTP library, in HTML (from source)."""
    answer = steady.http("POST", "/v1/models/affine:predict", Content_Length=length)
    assert answer.status == 400
    assert answer.content_type.startswith("text/html")


def test_metadata_in_capitals_is_status(steady: ModelServer) -> None:
    """The path of metadata matches in any case, but answers the status unless it is in small letters (from source)."""
    answer = steady.http("GET", "/v1/models/affine/Metadata")
    assert (answer.status, list(json.loads(answer.body))) == (200, ["model_version_status"])


def test_names_and_labels_are_decoded(steady: ModelServer) -> None:
    """A percent-encoded slash or colon belongs to the name or label."""
    assert refusal(steady, "GET", "/v1/models/a%2Fb%3Ac") == (404, "Could not find any versions of model a/b:c")
    body = '{"instances": [2.0]}'
    assert json.loads(steady.http("POST", "/v1/models/affine/labels/st%61ble:predict", body).body) == {
        "predictions": [3.0]
    }
    assert refusal(steady, "POST", "/v1/models/affine/labels/a%2Fb:predict", body) == (
        400,
        "Unrecognized servable version label: a/b",
    )


def test_metadata_of_what_is_not_there_over_rest(steady: ModelServer) -> None:
    """Metadata of an unknown model or version is 404, of an unknown label 400."""
    for path, status in {"nobody": 404, "affine/versions/9": 404, "affine/labels/canary": 400}.items():
        assert refusal(steady, "GET", f"/v1/models/{path}/metadata")[0] == status


def test_metadata_without_a_version_is_of_the_largest(steady: ModelServer) -> None:
    """Metadata resolves a model as requests do, and names the version as a string."""
    for path, version in {"affine": "2", "affine/versions/1": "1"}.items():
        document = json.loads(steady.http("GET", f"/v1/models/{path}/metadata").body)
        assert document["model_spec"]["version"] == version
