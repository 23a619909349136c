"""A model server of a host, asked by gRPC through the host's SSH connection."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import grpc

from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import DeadlineExceeded, FleetdeployError, HostError, NoAnswer, NotHealthy, ReloadRefused
from fleetdeploy.remote.host_words import printable
from fleetdeploy.remote.ssh.relay import Relay
from fleetdeploy.tfserving import model_config, predict, stubs

T = TypeVar("T")
_OPTIONS = (
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    # A server that was just started is tried again soon, not after gRPC's usual growing pauses.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)


class RemoteServing:
    """:class:`fleetdeploy.domain.protocols.Serving`, by the services of tensorflow_serving/apis."""

    def __init__(self, relay: Relay, *, host: str, check: Callable[[], None] = lambda: None) -> None:
        self._host = host
        self._check_lease = check
        self._relay = relay
        self._channel = grpc.insecure_channel(f"unix:{relay.path}", options=_OPTIONS)
        self._models = stubs.model_service_pb2_grpc.ModelServiceStub(self._channel)
        self._predictions = stubs.prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def reload(self, config_text: str, *, deadline_s: float) -> None:
        """Send the configuration. The server may go on with it after a DeadlineExceeded (server_core.cc)."""
        self._check_lease()
        request = stubs.model_management_pb2.ReloadConfigRequest()
        request.config.CopyFrom(model_config.parse(config_text, where="model.config"))
        try:
            response = self._models.HandleReloadConfigRequest(request, timeout=deadline_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise DeadlineExceeded(
                    f"the reload was not answered within {deadline_s:g} s; the server may still be at it",
                    where=self._host,
                    hint="ask for the model status: a new model that never becomes AVAILABLE blocks every reload",
                ) from error
            if error.code() is grpc.StatusCode.UNAVAILABLE:  # nobody was there to refuse anything
                raise self._unhealthy("the reload", error) from error
            raise ReloadRefused(f"the server refused the reload: {_said(error)}", where=self._host) from error
        if response.status.error_code:
            raise ReloadRefused(
                f"the server refused the reload: {_code(response.status.error_code)}: {response.status.error_message}",
                where=self._host,
            )

    def status(self, model: str, *, deadline_s: float) -> tuple[VersionState, ...]:
        """All versions this process has ever seen, in the server's order (descending)."""
        request = stubs.get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = model
        try:
            response = self._models.GetModelStatus(request, timeout=deadline_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.NOT_FOUND:
                return ()
            raise self._unhealthy(f"GetModelStatus of {model}", error) from error
        return tuple(self._state(entry) for entry in response.model_version_status)

    def label(self, model: str, label: str, *, deadline_s: float) -> int | None:
        """Asked of GetModelMetadata, which finds its model as a request does: GetModelStatus ignores labels."""
        message = self._metadata_request(model)
        message.model_spec.version_label = label
        try:
            response = self._predictions.GetModelMetadata(message, timeout=deadline_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.INVALID_ARGUMENT:  # "Unrecognized servable version label"
                return None
            raise self._unhealthy(f"label {label} of {model}", error) from error
        return int(response.model_spec.version.value)

    def predict(self, model: str, request: GoldenRequest, *, version: int, deadline_s: float) -> Mapping[str, object]:
        """Inputs without a type in ``request.dtypes`` get the one of the model's signature; one deadline for both."""
        what, began_s = f"Predict of {model} version {version}", time.monotonic()
        try:
            if any(name not in request.dtypes for name in request.inputs):
                request = replace(request, dtypes=self._dtypes(model, request, version=version, deadline_s=deadline_s))
            message = self._here(lambda: predict.grpc_request(model, request, version=version))
            left_s = max(0.0, deadline_s - (time.monotonic() - began_s))
            response = self._predictions.Predict(message, timeout=left_s)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise self._slow(what, time.monotonic() - began_s, bound_s=deadline_s) from error
            raise self._unhealthy(what, error) from error
        return self._here(lambda: predict.grpc_answer(response))

    def close(self) -> None:
        """End the channel and its relay."""
        self._channel.close()
        self._relay.close()

    def _dtypes(self, model: str, request: GoldenRequest, *, version: int, deadline_s: float) -> Mapping[str, str]:
        message = self._metadata_request(model)
        message.model_spec.version.value = version
        response = self._predictions.GetModelMetadata(message, timeout=deadline_s)
        signatures = stubs.get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        inputs = signatures.signature_def[request.signature].inputs
        known = {name: _dtype(inputs[name].dtype) for name in request.inputs if name in inputs}
        return {**known, **request.dtypes}

    @staticmethod
    def _metadata_request(model: str) -> Any:
        message = stubs.get_model_metadata_pb2.GetModelMetadataRequest()
        message.model_spec.name = model
        message.metadata_field.append("signature_def")
        return message

    def _state(self, entry: Any) -> VersionState:
        try:
            state = State(stubs.get_model_status_pb2.ModelVersionStatus.State.Name(entry.state))
        except ValueError:
            state = State.UNKNOWN
        code, message = entry.status.error_code, entry.status.error_message
        return VersionState(int(entry.version), state, printable(f"{_code(code)}: {message}") if code else "")

    def _unhealthy(self, doing: str, error: grpc.RpcError) -> NotHealthy:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            return NotHealthy(f"{doing}: {_said(error)}", where=self._host)
        refusal = self._relay.refusal  # better than what gRPC can know about a closed socket
        return NoAnswer(f"{doing}: {f'UNAVAILABLE: {refusal}' if refusal else _said(error)}", where=self._host)

    def _slow(self, what: str, took_s: float, *, bound_s: float) -> NotHealthy:
        return NotHealthy(
            f"{what} had no answer after {took_s:.1f} s; {bound_s:g} s are allowed",
            where=self._host,
            hint="a server that lost its GPU computes on the CPU, slowly and silently: look at its log and at "
            "nvidia-smi; a first request that compiles kernels is slow too, and a warm-up file cures that",
        )

    def _here(self, work: Callable[[], T]) -> T:
        """Name the host in errors of code that knows no host; an input that fits no tensor is not healthy either."""
        try:
            return work()
        except HostError as error:
            error.where = error.where or self._host
            raise
        except FleetdeployError as error:
            raise NotHealthy(error.message, where=self._host, hint=error.hint) from error


def _said(error: grpc.RpcError) -> str:
    """``CODE: text`` as the server sent it."""
    return f"{error.code().name}: {error.details() or ''}".rstrip(": ")


def _code(number: int) -> str:
    """The name of an error code of tensorflow/core/protobuf/error_codes.proto."""
    try:
        return str(stubs.error_codes_pb2.Code.Name(number))
    except ValueError:
        return f"code {number}"


def _dtype(number: int) -> str:
    """The name as tensors.to_proto takes it: DT_FLOAT."""
    return str(stubs.types_pb2.DataType.Name(number))
