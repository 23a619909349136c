"""A SavedModel in memory: its signatures and a way to run them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics, now_us
from fleetdeploy.lab.modelserver.runtime import tensors
from fleetdeploy.lab.modelserver.runtime.tensorflow_c import Output, Session, TensorFlow
from fleetdeploy.lab.modelserver.servable import Feed
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

_INIT_SIGNATURE: Final = "__saved_model_init_op"
_INIT_COLLECTIONS: Final = ("saved_model_main_op", "legacy_init_op")


class SavedModel:
    """A loaded SavedModel; of its MetaGraphDef only the signatures are kept, as the real server does by default."""

    def __init__(self, tensorflow: TensorFlow, session: Session, *, metrics: ServerMetrics) -> None:
        self._tensorflow = tensorflow
        self._session = session
        self._metrics = metrics
        meta_graph = stubs.meta_graph_pb2.MetaGraphDef.FromString(session.meta_graph_def)
        session.meta_graph_def = b""
        self.write_version = "2" if meta_graph.HasField("object_graph_def") else "1"
        self.has_init_op = _INIT_SIGNATURE in meta_graph.signature_def or any(
            name in meta_graph.collection_def for name in _INIT_COLLECTIONS
        )
        self.signatures: Mapping[str, Any] = {  # copies, so that the graph does not stay in memory with them
            name: stubs.meta_graph_pb2.SignatureDef.FromString(definition.SerializeToString())
            for name, definition in meta_graph.signature_def.items()
        }
        self._places: dict[str, Output | None] = {}
        for signature in self.signatures.values():
            for info in [*signature.inputs.values(), *signature.outputs.values()]:
                self._places[info.name] = session.output(info.name)

    def run(
        self, feeds: Sequence[Feed], fetches: Sequence[str], *, answers: Sequence[Any], timeout_ms: int | None
    ) -> None:
        """Run the graph: `fetches` are tensor names, each of `answers` is an empty TensorProto for one of them.

        `timeout_ms` of None waits as long as it takes. Raises StatusError from TensorFlow.
        """
        options = None if timeout_ms is None else stubs.config_pb2.RunOptions(timeout_in_ms=timeout_ms)
        owned: list[int] = []
        try:
            placed = []
            for feed in feeds:
                tensor = tensors.from_proto(self._tensorflow, feed.proto, alias=feed.alias)
                owned.append(tensor)
                placed.append((self._place(feed.name), tensor))
            places = [self._place(name) for name in fetches]
            self._metrics.direct_session_runs.add()
            began_us = now_us()
            fetched = self._session.run(
                placed, places, run_options=options.SerializeToString() if options is not None else None
            )
            self._metrics.graph_ran(now_us() - began_us)
            owned.extend(fetched)
            for tensor, answer in zip(fetched, answers, strict=True):
                tensors.to_proto(self._tensorflow, tensor, answer)
        finally:
            for tensor in owned:
                self._tensorflow.delete_tensor(tensor)

    def close(self) -> None:
        """Free the model's memory; no run may be in progress."""
        self._session.close()

    def _place(self, name: str) -> Output:
        place = self._places[name]
        if place is None:
            raise StatusError(
                Code.INVALID_ARGUMENT,
                f"Tensor {name}, specified in either feed_devices or fetch_devices was not found in the Graph",
            )
        return place
