"""Metrics that the page names, but which have no cells here.

They are registered when the real program starts, so that their TYPE lines are always there. Most of them belong to
parts of TensorFlow that serving does not use (tf.data, checkpoints, TPUs, XLA); the real server fills only the few of
`_KEPT_INSIDE`, whose values TensorFlow's C API does not tell. The definitions are in core/framework/metrics.cc,
cc/saved_model/metrics.cc and core/common_runtime/eager/context.cc, all under tensorflow/.
"""

from typing import Final

from fleetdeploy.lab.modelserver.metrics.cells import Counter, Gauge, Histogram
from fleetdeploy.lab.modelserver.metrics.exposition import AnyMetric

_KEPT_INSIDE: Final = {
    "counter": ("core/graph_build_calls", "core/graph_build_time_usecs", "core/graph_unused_outputs"),
    "histogram": (
        "core/graph_pending_queue_length_histogram",
        "core/graph_run_input_tensor_bytes",
        "core/graph_run_output_tensor_bytes",
    ),
}
_NOT_BY_FLAGS: Final = {"counter": ("serving/request_log_count",), "gauge": ("serving/mlmd_map",)}
"""Filled by a request logger and with session metadata, neither of which a flag of the server turns on."""
_OF_OTHER_PARTS: Final = {
    "counter": (
        "core/checkpoint/sharding/callback_duration",
        "core/checkpoint/sharding/num_checkpoint_shards_written",
        "core/checkpoint/write/checkpoint_size",
        "core/checkpoint/write/training_time_saved",
        "core/eager_client_error_count",
        "core/function_graph_optimization_time_usecs",
        "core/saved_model/write/api",
        "core/saved_model/write/count",
        "core/test_counters",
        "core/xla_compilation_time_usecs",
        "core/xla_compilations",
        "data/autoshard_rewrite_batch_size/eligible",
        "data/autoshard_rewrite_batch_size/reason",
        "data/autotune",
        "data/autotune_stopping_criteria",
        "data/bytes_consumed",
        "data/bytes_fetched",
        "data/bytes_produced",
        "data/bytes_read",
        "data/dense_feature",
        "data/elements",
        "data/experiment",
        "data/fetch_op",
        "data/filename",
        "data/fingerprint",
        "data/iterator_busy",
        "data/iterator_lifetime",
        "data/optimization",
        "data/ragged_feature",
        "data/service/client_iterators",
        "data/service/cross_trainer_cache_queries",
        "data/service/data_transfer_protocol_error",
        "data/service/data_transfer_protocol_used",
        "data/service/jobs_created",
        "data/service/snapshot_bytes_committed",
        "data/service/workers_created",
        "data/sparse_feature",
        "tpu/op_error_count",
        "tpu/variable_distribution_time",
        "tpu/xla_spmd_cores_per_replica",
    ),
    "gauge": (
        "core/checkpoint/sharding/callback_description",
        "core/eager_context_created",
        "core/saved_model/found_fingerprint_on_load",
        "core/saved_model/read/path_and_singleprint",
        "core/saved_model/write/fingerprint",
        "core/saved_model/write/path",
        "core/saved_model/write/path_and_singleprint",
        "data/autoshard",
        "data/model",
        "data/service/cross_trainer_cache_size_bytes",
    ),
    "histogram": (
        "core/checkpoint/read/read_durations",
        "core/checkpoint/write/async_write_durations",
        "core/checkpoint/write/write_durations",
        "data/buffered_vs_budget_ratio",
        "data/getnext_duration",
        "data/iterator_gap",
        "data/used_vs_budget_ratio",
    ),
}


def unused_metrics() -> list[AnyMetric]:
    """Metrics without cells, of the kinds that they are registered with."""
    made: list[AnyMetric] = []
    for names in (_KEPT_INSIDE, _NOT_BY_FLAGS, _OF_OTHER_PARTS):
        made += [Counter(f"/tensorflow/{name}") for name in names.get("counter", ())]
        made += [Gauge(f"/tensorflow/{name}") for name in names.get("gauge", ())]
        made += [Histogram(f"/tensorflow/{name}", limits=()) for name in names.get("histogram", ())]
    return made
