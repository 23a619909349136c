"""Senders of requests whose right answers are known: gRPC over long-lived channels, REST over kept connections."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import grpc

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import golden, predict, stubs

CHANNELS: Final = 2
CONNECTIONS: Final = 2
NEW_CONNECTION_EVERY: Final = 10
"""One in so many REST requests of a sender goes over a connection of its own."""


@dataclass(frozen=True)
class Case:
    """One request with the answers of all versions that were recorded for the same inputs."""

    model: str
    request: GoldenRequest
    answers: tuple[GoldenRequest, ...]

    def judge(self, answer: dict[str, object], version: int | None) -> tuple[str, str]:
        """(the version that was right, "") or ("", what is wrong); ``version`` is the one that the server named."""
        named = [item for item in self.answers if version is None or item.version in {None, version}]
        if not named:
            return "", f"version {version} answered, which the golden file does not list"
        wrong: tuple[str, ...] = ()
        for expected in named:
            wrong = golden.compare(expected, answer)
            if not wrong:
                return f"{self.model}/{expected.version or version or '?'}", ""
        among = "" if len(named) == 1 else f" (nor is it any of the other {len(named) - 1} versions')"
        return "", f"{self.request.name}: {'; '.join(wrong)}{among}"


def cases(model: str, requests: Sequence[GoldenRequest]) -> tuple[Case, ...]:
    """The golden requests of a model, those of one name, signature and inputs taken together; newest version first."""
    groups: dict[str, list[GoldenRequest]] = {}
    for request in requests:
        groups.setdefault(f"{request.name}\n{request.signature}\n{sorted(request.inputs.items())}", []).append(request)
    return tuple(
        Case(model, group[0], tuple(sorted(group, key=lambda item: -(item.version or 0)))) for group in groups.values()
    )


Send = Callable[[int], tuple[Case, dict[str, object], "int | None"]]
"""Sends request number n and returns its case, the answer and the version that the server named."""


class GrpcSender:
    """One long-lived channel. Use it in one thread."""

    def __init__(self, target: str, chosen: Sequence[Case], *, timeout_s: float) -> None:
        # A subchannel pool of its own: channels with equal arguments would share one TCP connection.
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        self._channel = grpc.insecure_channel(target, options=options)
        self._stub = stubs.prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._cases = [(case, predict.grpc_request(case.model, case.request)) for case in chosen]
        self._timeout_s = timeout_s

    def send(self, number: int) -> tuple[Case, dict[str, object], int | None]:
        """Raises grpc.RpcError or NotHealthy."""
        case, message = self._cases[number % len(self._cases)]
        response = self._stub.Predict(message, timeout=self._timeout_s)
        return case, predict.grpc_answer(response), predict.grpc_version(response) or None

    def close(self) -> None:
        self._channel.close()


class RestSender:
    """One kept-alive connection, and now and then a new one. Use it in one thread."""

    def __init__(self, target: str, chosen: Sequence[Case], *, timeout_s: float) -> None:
        self._host, self._port = split_target(target)
        self._cases = [(case, predict.rest_path(case.model), predict.rest_body(case.request)) for case in chosen]
        self._timeout_s = timeout_s
        self._kept = self._connection()

    def send(self, number: int) -> tuple[Case, dict[str, object], int | None]:
        """Raises OSError, http.client.HTTPException or NotHealthy."""
        case, path, body = self._cases[number % len(self._cases)]
        if number % NEW_CONNECTION_EVERY == NEW_CONNECTION_EVERY - 1:
            connection = self._connection()
            try:
                content = self._post(connection, path, body, {"Connection": "close"})
            finally:
                connection.close()
        else:
            try:
                content = self._post(self._kept, path, body, {})
            except (OSError, http.client.HTTPException):
                self._kept.close()  # the next request connects anew
                raise
        return case, predict.rest_answer(content, case.request), None

    def _post(self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        connection.request("POST", path, body, {"Content-Type": "application/json", **headers})
        response = connection.getresponse()
        content = response.read()
        if response.status != http.client.OK:
            raise HttpStatusError(response.status, content)
        return content

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)

    def close(self) -> None:
        self._kept.close()


class HttpStatusError(Exception):
    """An HTTP answer other than 200."""

    def __init__(self, status: int, content: bytes) -> None:
        super().__init__(content[:300].decode("utf-8", "replace"))
        self.status = status


def split_target(target: str) -> tuple[str, int]:
    """``HOST:PORT`` in two. Raises InputError."""
    host, _, port = target.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise InputError(f"expected HOST:PORT, got {target!r}", hint="such as 10.0.0.1:8501")
    return host.strip("[]"), int(port)
