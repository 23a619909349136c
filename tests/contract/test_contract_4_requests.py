"""Section 4 of the contract: which requests the server counts, and how."""

import json
import re
from typing import Final

import pytest
from contract_examples import classify, example, infer, regress, spec_of
from contract_server import ModelServer, ModelStore, Start, floats, model_list, refused
from prometheus_page import (
    EXAMPLE_LIMITS,
    LATENCY,
    LATENCY_LIMITS,
    PATH,
    REQUESTS,
    RUNTIME,
    Growth,
    limits,
    page,
    samples,
    with_page,
)

pytest_plugins = ["contract_examples_plugin", "prometheus_plugin"]

THREE: Final = [example(x=float(number)) for number in (1, 2, 3)]


@pytest.fixture(scope="module")
def examples(example_models: ModelStore, module_start: Start, tmp_path_factory: pytest.TempPathFactory) -> ModelServer:
    """A server with the page and a model for Classify and Regress."""
    flag = with_page(tmp_path_factory.mktemp("monitoring"))
    started: ModelServer = module_start(flag, config=model_list(example_models.config("examples")))
    return started.ready()


# --- requests over gRPC


def test_predict(monitored: ModelServer) -> None:
    """A Predict that succeeds counts as OK, with its own latency and that of the runtime, by the model's name alone."""
    growth = Growth(monitored)
    monitored.y(version=1)
    assert growth.now(REQUESTS, f"{LATENCY}_count", f"{RUNTIME}_count") == {
        f'{REQUESTS}{{model_name="affine",status="OK"}}': 1,
        f'{LATENCY}_count{{model_name="affine",API="Predict",entrypoint="GRPC"}}': 1,
        f'{RUNTIME}_count{{model_name="affine",API="Predict",runtime="TF1"}}': 1,
    }


def test_predict_counts_the_run(monitored: ModelServer) -> None:
    """TensorFlow's own counters have no labels, and grow with each run."""
    growth = Growth(monitored)
    monitored.y()
    core = ":tensorflow:core:"
    assert growth.now(f"{core}direct_session_runs", f"{core}graph_runs") == {
        f"{core}direct_session_runs{{}}": 1,
        f"{core}graph_runs{{}}": 1,
    }
    assert growth.now(f"{core}graph_run_time_usecs", f"{core}graph_run_time_usecs_histogram_count").keys() == {
        f"{core}graph_run_time_usecs{{}}",
        f"{core}graph_run_time_usecs_histogram_count{{}}",
    }


def test_predict_that_fails(monitored: ModelServer) -> None:
    """A failure counts under the name of its code and of the model that was asked for, and has no latency."""
    growth = Growth(monitored)
    with refused("NOT_FOUND"):
        monitored.y("nobody")
    with refused("NOT_FOUND"):
        monitored.y(version=7)
    with refused("INVALID_ARGUMENT"):
        monitored.predict("affine", nope=floats(1.0))
    assert growth.now(REQUESTS, f"{LATENCY}_count", f"{RUNTIME}_count") == {
        f'{REQUESTS}{{model_name="nobody",status="NOT_FOUND"}}': 1,
        f'{REQUESTS}{{model_name="affine",status="NOT_FOUND"}}': 1,
        f'{REQUESTS}{{model_name="affine",status="INVALID_ARGUMENT"}}': 1,
    }


def test_predict_without_a_name(monitored: ModelServer) -> None:
    """A request that names no model counts under an empty name."""
    growth = Growth(monitored)
    with refused("INVALID_ARGUMENT"):
        monitored.predict("")
    assert growth.now(REQUESTS) == {f'{REQUESTS}{{model_name="",status="INVALID_ARGUMENT"}}': 1}


def test_what_grpc_does_not_count(monitored: ModelServer) -> None:
    """GetModelStatus and GetModelMetadata count nowhere, whether they succeed or not."""
    growth = Growth(monitored)
    monitored.status("affine")
    monitored.metadata("affine", "signature_def")
    with refused("NOT_FOUND"):
        monitored.status("nobody")
    with refused("INVALID_ARGUMENT"):
        monitored.metadata("affine")
    assert growth.now(REQUESTS, f"{LATENCY}_count", f"{RUNTIME}_count") == {}


def test_classify_and_regress(examples: ModelServer) -> None:
    """Classify and Regress count as Predict does; their examples are not counted."""
    growth = Growth(examples)
    classify(examples, spec_of("examples"), *THREE)
    regress(examples, spec_of("examples", "regress"), *THREE)
    with refused("INVALID_ARGUMENT"):
        regress(examples, spec_of("examples"), *THREE)
    assert growth.now(
        REQUESTS, f"{LATENCY}_count", f"{RUNTIME}_count", ":tensorflow:serving:request_example_counts_count"
    ) == {
        f'{REQUESTS}{{model_name="examples",status="OK"}}': 2,
        f'{REQUESTS}{{model_name="examples",status="INVALID_ARGUMENT"}}': 1,
        f'{LATENCY}_count{{model_name="examples",API="Classify",entrypoint="GRPC"}}': 1,
        f'{LATENCY}_count{{model_name="examples",API="Regress",entrypoint="GRPC"}}': 1,
        f'{RUNTIME}_count{{model_name="examples",API="Classify",runtime="TF1"}}': 1,
        f'{RUNTIME}_count{{model_name="examples",API="Regress",runtime="TF1"}}': 1,
    }


def test_multi_inference(examples: ModelServer) -> None:
    """MultiInference counts its examples, in buckets of powers of two, and no request."""
    growth = Growth(examples)
    infer(examples, [(spec_of("examples"), "classify")], *THREE)
    counts, total = ":tensorflow:serving:request_example_counts", ":tensorflow:serving:request_example_count_total"
    assert growth.now(REQUESTS, f"{LATENCY}_count", f"{RUNTIME}_count", total, f"{counts}_sum", f"{counts}_count") == {
        f'{total}{{model="examples"}}': 3,
        f'{counts}_sum{{model="examples"}}': 3,
        f'{counts}_count{{model="examples"}}': 1,
    }
    assert limits(page(examples), counts, 'model="examples"') == EXAMPLE_LIMITS


def test_latency_buckets(monitored: ModelServer) -> None:
    """Latencies are in microseconds, in 33 buckets from 10 on that grow by 1.8, and one above; counts add up."""
    monitored.y()
    lines = page(monitored)
    labels = 'model_name="affine",API="Predict",entrypoint="GRPC"'
    assert limits(lines, LATENCY, labels) == LATENCY_LIMITS
    assert limits(lines, RUNTIME, 'model_name="affine",API="Predict",runtime="TF1"') == LATENCY_LIMITS
    found = samples(monitored)
    counts = [found[f'{LATENCY}_bucket{{{labels},le="{limit}"}}'] for limit in LATENCY_LIMITS]
    assert counts == sorted(counts)
    assert counts[-1] == found[f"{LATENCY}_count{{{labels}}}"]
    assert found[f"{LATENCY}_sum{{{labels}}}"] >= 10 * (counts[-1] - counts[0])


def test_sum_and_count_follow_the_buckets(monitored: ModelServer) -> None:
    """Of one histogram the sum comes after the last bucket and the count after the sum, with six digits at most."""
    monitored.y()
    lines = [line for line in page(monitored) if line.startswith(LATENCY) and 'API="Predict",entrypoint="GRPC"' in line]
    labels = 'model_name="affine",API="Predict",entrypoint="GRPC"'
    bucket, total, count = lines[33:36]
    assert bucket.startswith(f'{LATENCY}_bucket{{{labels},le="+Inf"}} ')
    assert re.fullmatch(rf"{LATENCY}_sum{{{labels}}} ([0-9]{{1,6}}|[0-9.]{{1,7}}|[0-9.]{{1,7}}e\+[0-9]{{2}})", total)
    assert count == f"{LATENCY}_count{{{labels}}} {bucket.rpartition(' ')[2]}"


# --- requests over REST


def test_status_poll(monitored: ModelServer) -> None:
    """A status poll counts as a request, with an empty API; an unknown model counts under its own name."""
    growth = Growth(monitored)
    assert monitored.http("GET", "/v1/models/affine").status == 200
    assert monitored.http("GET", "/v1/models/affine/versions/1/metadata").status == 200
    assert monitored.http("GET", "/v1/models/nobody").status == 404
    assert growth.now(REQUESTS, f"{LATENCY}_count", f"{RUNTIME}_count") == {
        f'{REQUESTS}{{model_name="affine",status="OK"}}': 2,
        f'{REQUESTS}{{model_name="nobody",status="NOT_FOUND"}}': 1,
        f'{LATENCY}_count{{model_name="affine",API="",entrypoint="REST"}}': 2,
    }


def test_rest_predict(monitored: ModelServer) -> None:
    """Over REST the API is in lower case for the request, but not for the runtime."""
    growth = Growth(monitored)
    assert monitored.http("POST", "/v1/models/affine:predict", json.dumps({"instances": [1.0]})).status == 200
    assert monitored.http("POST", "/v1/models/affine:predict", "{}").status == 400
    assert growth.now(REQUESTS, f"{LATENCY}_count", f"{RUNTIME}_count") == {
        f'{REQUESTS}{{model_name="affine",status="OK"}}': 1,
        f'{REQUESTS}{{model_name="affine",status="INVALID_ARGUMENT"}}': 1,
        f'{LATENCY}_count{{model_name="affine",API="predict",entrypoint="REST"}}': 1,
        f'{RUNTIME}_count{{model_name="affine",API="Predict",runtime="TF1"}}': 1,
    }


def test_rest_requests_that_fit_no_route(monitored: ModelServer) -> None:
    """Everything under /v1/ counts: what fits no route has an empty name, and so has an OPTIONS request."""
    growth = Growth(monitored)
    assert monitored.http("GET", "/v1/nothing").status == 400
    assert monitored.http("GET", "/v1/models/affine:predict").status == 400
    assert monitored.http("DELETE", "/v1/models/affine").status == 400
    assert monitored.http("OPTIONS", "/v1/models/affine", Origin="http://somewhere").status == 200
    assert monitored.http("OPTIONS", "/v1/models/affine").status == 400
    assert growth.now(REQUESTS, f"{LATENCY}_count") == {
        f'{REQUESTS}{{model_name="",status="INVALID_ARGUMENT"}}': 3,
        f'{REQUESTS}{{model_name="",status="OK"}}': 1,
        f'{REQUESTS}{{model_name="",status="FAILED_PRECONDITION"}}': 1,
        f'{LATENCY}_count{{model_name="",API="",entrypoint="REST"}}': 1,
    }


def test_rest_version_that_is_too_large(monitored: ModelServer) -> None:
    """A version beyond 64 bits is refused under the name of the model."""
    growth = Growth(monitored)
    assert monitored.http("GET", f"/v1/models/affine/versions/{2**64}").status == 400
    assert growth.now(REQUESTS) == {f'{REQUESTS}{{model_name="affine",status="INVALID_ARGUMENT"}}': 1}


def test_what_rest_does_not_count(monitored: ModelServer) -> None:
    """Requests outside /v1/ count nowhere, those for the page included."""
    growth = Growth(monitored)
    monitored.http("GET", "/")
    monitored.http("GET", PATH)
    monitored.http("POST", "/v2/models/affine:predict", "{}")
    assert growth.now(REQUESTS, f"{LATENCY}_count") == {}


def test_labels_are_escaped(monitored: ModelServer) -> None:
    """Quotes and backslashes in the value of a label have a backslash before them; a name is decoded first."""
    monitored.http("GET", "/v1/models/a%22b%5Cc%20d")
    assert REQUESTS + r'{model_name="a\"b\\c d",status="NOT_FOUND"} 1' in page(monitored)


def test_cells_are_ordered(monitored: ModelServer) -> None:
    """Samples of one metric are ordered by the values of their labels."""
    for name in ("zz", "Z", "aa"):
        monitored.http("GET", f"/v1/models/{name}")
    keys = [line.rpartition(" ")[0] for line in page(monitored) if line.startswith(f"{REQUESTS}{{")]
    found = [re.findall(r'"((?:[^"\\]|\\.)*)"', key) for key in keys]
    assert len(found) > 3
    assert found == sorted(found)
