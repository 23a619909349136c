"""tensorflow.serving.ModelService over gRPC.

See tensorflow_serving/model_servers/model_service_impl.cc.
"""

from typing import Any

import grpc

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.apis.rpc import method
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics
from fleetdeploy.lab.modelserver.models.core import ServerCore
from fleetdeploy.lab.modelserver.models.model_status import model_status
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs


def model_service(core: ServerCore, metrics: ServerMetrics) -> Any:
    """GetModelStatus and HandleReloadConfigRequest."""
    status, management = stubs.get_model_status_pb2, stubs.model_management_pb2
    methods = {
        "GetModelStatus": method(
            lambda request, _: model_status(core.monitor, request),
            status.GetModelStatusRequest,
            status.GetModelStatusResponse,
        ),
        "HandleReloadConfigRequest": method(
            lambda request, _: _reload(core, request, metrics=metrics),
            management.ReloadConfigRequest,
            management.ReloadConfigResponse,
        ),
    }
    return grpc.method_handlers_generic_handler("tensorflow.serving.ModelService", methods)


def _reload(core: ServerCore, request: Any, *, metrics: ServerMetrics) -> Any:
    before = metrics.first_values(request.metric_names)
    if request.config.WhichOneof("config") != "model_config_list":
        raise StatusError(
            Code.INVALID_ARGUMENT,
            "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
            "supported",
        )
    for index, model in enumerate(request.config.model_config_list.config):
        log.info(
            f"\nConfig entry\n\tindex : {index}\n\tpath : {model.base_path}\n\tname : {model.name}"
            f"\n\tplatform : {model.model_platform}"
        )
    try:
        core.reload(request.config)
    except StatusError as problem:
        log.error(f"ReloadConfig failed: {problem.message}")
        raise
    response = stubs.model_management_pb2.ReloadConfigResponse()
    response.status.SetInParent()
    for name, value in metrics.first_values(request.metric_names).items():
        response.metric.add(name=name, int64_value_increase=value - before[name])
    return response
