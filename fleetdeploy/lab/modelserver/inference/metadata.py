"""What a servable can be asked.

See tensorflow_serving/servables/tensorflow/get_model_metadata_impl.cc.
"""

from typing import Any, Final

from fleetdeploy.lab.modelserver.servable import Servable
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

SIGNATURE_DEF: Final = "signature_def"


def check_metadata_fields(request: Any) -> None:
    """Refuse a GetModelMetadataRequest for nothing, or for something else than the signatures."""
    if not request.metadata_field:
        raise StatusError(Code.INVALID_ARGUMENT, "GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise StatusError(Code.INVALID_ARGUMENT, f"Metadata field {field} is not supported")


def model_metadata(servable: Servable) -> Any:
    """Return a GetModelMetadataResponse with the signatures of the model."""
    response = stubs.get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.id.name
    response.model_spec.version.value = servable.id.version
    signatures = stubs.get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.model.signatures.items():
        signatures.signature_def[name].CopyFrom(definition)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response
