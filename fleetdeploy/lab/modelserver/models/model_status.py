"""GetModelStatus: what became of the versions of a model.

See tensorflow_serving/model_servers/get_model_status_impl.cc.
"""

from typing import Any

from fleetdeploy.lab.modelserver.models.states import StateMonitor, VersionState
from fleetdeploy.lab.modelserver.servable import ServableId
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs


def model_status(monitor: StateMonitor, request: Any) -> Any:
    """Answer a GetModelStatusRequest; a version label in it is ignored, as there. Raises StatusError."""
    if not request.HasField("model_spec"):
        raise StatusError(Code.INVALID_ARGUMENT, "Missing ModelSpec")
    spec = request.model_spec
    response = stubs.get_model_status_pb2.GetModelStatusResponse()
    if spec.HasField("version"):
        state = monitor.version(ServableId(spec.name, spec.version.value))
        if state is None:
            raise StatusError(Code.NOT_FOUND, f"Could not find version {spec.version.value} of model {spec.name}")
        states = [state]
    else:
        states = monitor.versions(spec.name)
        if not states:
            raise StatusError(Code.NOT_FOUND, f"Could not find any versions of model {spec.name}")
    for state in states:
        _add_status(response, state)
    return response


def _add_status(response: Any, state: VersionState) -> None:
    entry = response.model_version_status.add(version=state.id.version, state=int(state.state))
    entry.status.SetInParent()
    if state.error is not None:
        entry.status.error_code = int(state.error.code)
        entry.status.error_message = state.error.message
