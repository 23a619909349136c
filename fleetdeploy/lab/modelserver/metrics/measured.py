"""Models whose runs are timed, so that what asks them need not know of metrics.

The real server times `Session::Run` in servables/tensorflow/{predict_util,classifier,regressor}.cc; here the time also
covers the change from TensorProto to tensor and back.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics, now_us
from fleetdeploy.lab.modelserver.servable import Feed, Model, Servable

Note = Callable[[Sequence[Feed], int], None]
"""Told of a run that succeeded: what was fed, and the time it took in microseconds."""


class MeasuredModel:
    """Another model, with a note of each run that succeeds."""

    def __init__(self, model: Model, note: Note) -> None:
        self._model = model
        self._note = note

    @property
    def signatures(self) -> Mapping[str, Any]:
        """SignatureDef by name."""
        return self._model.signatures

    def run(
        self, feeds: Sequence[Feed], fetches: Sequence[str], *, answers: Sequence[Any], timeout_ms: int | None
    ) -> None:
        """Run the model as `servable.Model.run` says."""
        began_us = now_us()
        self._model.run(feeds, fetches, answers=answers, timeout_ms=timeout_ms)
        self._note(feeds, now_us() - began_us)

    def close(self) -> None:
        """Free the model's memory; no run may be in progress."""
        self._model.close()


def timed(servable: Servable, metrics: ServerMetrics, *, name: str, api: str) -> Servable:
    """Count runs of a servable in `runtime_latency`; `name` is that in the request, `api` as in `Predict`."""

    def note(_feeds: Sequence[Feed], took_us: int) -> None:
        metrics.runtime_latency.add(name, api, "TF1", value=took_us)

    return Servable(servable.id, MeasuredModel(servable.model, note))


def counting_examples(servable: Servable, metrics: ServerMetrics, *, name: str) -> Servable:
    """Count the tf.Examples that are fed to a servable, all inputs being fed the same; MultiInference only."""

    def note(feeds: Sequence[Feed], _took_us: int) -> None:
        metrics.examples_read(name, feeds[0].proto.tensor_shape.dim[0].size)

    return Servable(servable.id, MeasuredModel(servable.model, note))
