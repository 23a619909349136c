"""Loads version directories the way the flags ask for.

Follows SavedModelBundleFactory, SavedModelBundleSourceAdapter (tensorflow_serving/servables/tensorflow) and
SimpleLoader (tensorflow_serving/core): the model, then its batching, then its warm-up, then its size once more.
"""

from pathlib import Path
from typing import Any, Final

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.loading.batch_scheduler import BatchScheduler
from fleetdeploy.lab.modelserver.loading.batching import BatchedModel
from fleetdeploy.lab.modelserver.loading.batching_options import BatchingOptions, batch_threads, batching_options
from fleetdeploy.lab.modelserver.loading.disk_size import disk_size_bytes
from fleetdeploy.lab.modelserver.loading.options import LoadOptions
from fleetdeploy.lab.modelserver.loading.warmup import warm_up
from fleetdeploy.lab.modelserver.messages import BatchingParameters
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics, now_us
from fleetdeploy.lab.modelserver.runtime.saved_model import SavedModel
from fleetdeploy.lab.modelserver.runtime.tensorflow_c import TensorFlow
from fleetdeploy.lab.modelserver.runtime.tflite import LiteModel, LiteRuntime
from fleetdeploy.lab.modelserver.servable import Model, Servable, ServableId
from fleetdeploy.lab.modelserver.status import StatusError, from_os_error
from fleetdeploy.lab.modelserver.text_proto import read_text_proto
from fleetdeploy.tfserving import stubs

TFLITE_FILE: Final = "model.tflite"
BATCHING_FILE: Final = "batching_params.pbtxt"

_LITE_BATCH_SIZE: Final = 500
_LITE_ENQUEUED_PER_POOL: Final = 100


class Loader:
    """Makes models of version directories."""

    def __init__(self, tensorflow: TensorFlow, options: LoadOptions, *, metrics: ServerMetrics) -> None:
        self._tensorflow = tensorflow
        self._metrics = metrics
        self._options = options
        self._lite = LiteRuntime()
        self._lite_pools = max(1, options.tflite_pools)
        batched = options.prefer_tflite and options.tflite_interpreters_per_pool > 1
        self._lite_scheduler = BatchScheduler(self._lite_pools) if batched else None
        self._scheduler = None if options.batching is None else BatchScheduler(batch_threads(options.batching))

    def load(self, servable: ServableId, path: str) -> Model:
        """Load one version and warm it up.

        Raises StatusError with the C++ loader's own code and text, or with what is wrong with the version's batching
        parameters or its warm-up; nothing of it stays in memory then.
        """
        try:
            disk_size_bytes(path)
        except StatusError as problem:
            attempt = f"Error while attempting to reserve resources to load servable {servable}"
            raise StatusError(problem.code, f"{attempt}: {problem.message}") from problem
        model = self._bare_model(servable, path)
        try:
            model = self._batched(model, path)
            if self._options.warm_up is not None:
                warm_up(Servable(servable, model), path, how=self._options.warm_up, metrics=self._metrics)
            disk_size_bytes(path)  # as there: files that vanished while they were read fail the load
        except BaseException:
            model.close()
            raise
        return model

    def _bare_model(self, servable: ServableId, path: str) -> Model:
        lite = Path(path, TFLITE_FILE)
        if self._options.prefer_tflite and lite.exists():
            log.info(f"Reading TensorFlow Lite model of {servable} from: {lite}")
            return self._lite_model(lite)
        log.info(f"Reading SavedModel of {servable} from: {path}")
        config = self._session_config(servable).SerializeToString()
        return self._counted_load(path, config)

    def _counted_load(self, path: str, config: bytes) -> SavedModel:
        """Load a SavedModel and count the attempt; a directory that holds none is not counted as one."""
        began_us = now_us()
        try:
            session = self._tensorflow.load_saved_model(path, self._options.tags, config=config)
        except StatusError:
            if any(Path(path, name).exists() for name in ("saved_model.pb", "saved_model.pbtxt")):
                self._metrics.load_failed(path, took_us=now_us() - began_us)
            raise
        took_us = now_us() - began_us
        model = SavedModel(self._tensorflow, session, metrics=self._metrics)
        restored = Path(path, "variables", "variables.index").exists()
        self._metrics.loaded(
            path,
            took_us=took_us,
            write_version=model.write_version,
            has_fingerprint=Path(path, "fingerprint.pb").exists(),
            runs=restored + model.has_init_op,
        )
        return model

    def _lite_model(self, file: Path) -> Model:
        """Load a `model.tflite`; with several interpreters per pool requests are batched (TfLiteSession::Create)."""
        try:
            content = file.read_bytes()
        except OSError as problem:
            raise from_os_error(problem, file) from problem
        model = LiteModel(self._tensorflow, self._lite, content, interpreters=self._lite_pools)
        if self._lite_scheduler is None:
            return model
        per_pool = self._options.tflite_interpreters_per_pool
        options = BatchingOptions(
            max_batch_size=_LITE_BATCH_SIZE,
            max_execution_batch_size=model.batch_size if model.batch_size > 1 else -(-_LITE_BATCH_SIZE // per_pool),
            batch_timeout_s=0.0,
            max_enqueued_batches=_LITE_ENQUEUED_PER_POOL * self._lite_pools,
            split_large=True,
        )
        unseen = ServerMetrics()  # the queue of a TensorFlow Lite session counts nothing
        return BatchedModel(model, self._tensorflow, scheduler=self._lite_scheduler, options=options, metrics=unseen)

    def _session_config(self, servable: ServableId) -> Any:
        """ConfigProto for one version."""
        config = stubs.config_pb2.ConfigProto()
        config.CopyFrom(self._options.session_config)
        if self._options.session_metadata:
            config.experimental.session_metadata.name = servable.name
            config.experimental.session_metadata.version = servable.version
        mixed = self._options.mixed_precision
        if mixed == "bfloat16":
            log.info("Running inference with bfloat16 auto mixed precision")
            rewriter = config.graph_options.rewrite_options
            rewriter.auto_mixed_precision_onednn_bfloat16 = type(rewriter).ON
        elif mixed:
            log.warning(f"{mixed} auto mixed precision is not supported. Valid option: bfloat16")
        return config

    def _batched(self, model: Model, path: str) -> Model:
        """Put a model behind queues, if it is to be batched. Raises INVALID_ARGUMENT for its parameters."""
        if self._scheduler is None:
            return model
        parameters = self._options.batching
        if self._options.batching_per_model:
            file = Path(path, BATCHING_FILE)
            if not file.exists():
                return model
            parameters = read_text_proto(str(file), BatchingParameters())
        log.info("Wrapping session to perform batch processing")
        options = batching_options(parameters)
        return BatchedModel(model, self._tensorflow, scheduler=self._scheduler, options=options, metrics=self._metrics)
