"""Warm-up: requests recorded with a model are made of it before it serves, and a failing one fails the load.

See tensorflow_serving/servables/tensorflow/saved_model_warmup.cc and saved_model_warmup_util.cc.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from google.protobuf.message import DecodeError

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.inference.classify import classify
from fleetdeploy.lab.modelserver.inference.multi_inference import multi_inference, multi_inference_model_spec
from fleetdeploy.lab.modelserver.inference.predict import predict
from fleetdeploy.lab.modelserver.inference.regress import regress
from fleetdeploy.lab.modelserver.loading import tfrecord
from fleetdeploy.lab.modelserver.metrics.measured import counting_examples, timed
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics, now_us
from fleetdeploy.lab.modelserver.servable import Servable
from fleetdeploy.lab.modelserver.status import Code, StatusError, from_os_error
from fleetdeploy.tfserving import stubs

REQUESTS_FILE: Final = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS: Final = 1000

_REPLAYED: Final[Mapping[str, tuple[str, Callable[..., Any]]]] = {
    "classify_log": ("Classify", classify),
    "multi_inference_log": ("MultiInference", multi_inference),
    "predict_log": ("Predict", predict),
    "regress_log": ("Regress", regress),
}
"""Kind of record to the name of its API and what answers its request."""


class WarmUp(NamedTuple):
    """How versions are warmed up."""

    iterations: int
    """How often each recorded request is made."""
    check_method_names: bool
    """Whether --enable_signature_method_name_check is set."""


def warm_up(servable: Servable, directory: str, *, how: WarmUp, metrics: ServerMetrics) -> None:
    """Make each recorded request of a version that was just loaded.

    A version without a file is as good as warm. Raises what a request raises; DATA_LOSS for a file that is no
    TFRecord, INVALID_ARGUMENT for a record that is no PredictionLog and for more than 1000 of them, UNIMPLEMENTED for
    kinds of requests that cannot be replayed.
    """
    path = Path(directory, REQUESTS_FILE)
    if not path.exists():
        log.info(f"No warmup data file found at {path}")
        return
    began_us = now_us()
    log.info(f"Starting to read warmup data for model at {path}")
    count = 0
    try:
        for record in tfrecord.records(_read(path)):
            prediction_log = _parse(record, path)
            for _ in range(how.iterations):
                _replay(servable, prediction_log, check_method_names=how.check_method_names, metrics=metrics)
            count += 1
            if count > MAX_RECORDS:
                raise StatusError(
                    Code.INVALID_ARGUMENT, f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}"
                )
    except tfrecord.DamagedRecord as problem:
        status = f"{Code.DATA_LOSS.name}: {problem}"
        metrics.warmed_up(directory, status, took_us=now_us() - began_us, records=count)
        raise StatusError(
            Code.DATA_LOSS, f"{problem}. Please verify your warmup data is in TFRecord format."
        ) from problem
    elapsed_us = now_us() - began_us
    metrics.warmed_up(directory, Code.OK.name, took_us=elapsed_us, records=count)
    log.info(
        f"Finished reading warmup data for model at {path}. Number of warmup records read: {count}. "
        f"Elapsed time (microseconds): {elapsed_us}."
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as problem:
        raise from_os_error(problem, path) from problem


def _parse(record: bytes, path: Path) -> Any:
    try:
        return stubs.prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as problem:
        text = record.decode(errors="replace")
        raise StatusError(Code.INVALID_ARGUMENT, f"Failed to parse warmup record: {text} from {path}") from problem


def _replay(servable: Servable, prediction_log: Any, *, check_method_names: bool, metrics: ServerMetrics) -> None:
    """Make one recorded request; a record of no kind is passed over."""
    kind = prediction_log.WhichOneof("log_type")
    if kind is None:
        return
    if kind not in _REPLAYED:
        number = prediction_log.DESCRIPTOR.fields_by_name[kind].number
        raise StatusError(Code.UNIMPLEMENTED, f"Unsupported log_type for warmup: {number}")
    api, answer = _REPLAYED[kind]
    request = getattr(prediction_log, kind).request
    if answer is multi_inference:
        counted = counting_examples(servable, metrics, name=multi_inference_model_spec(request).name)
    else:
        counted = timed(servable, metrics, name=request.model_spec.name, api=api)
    answer(counted, request, timeout_ms=None, check_method_names=check_method_names)
