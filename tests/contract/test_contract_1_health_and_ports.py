"""Sections 1.2 and 1.3 of the contract: the health service, threads and settings of gRPC, ports that are taken."""

import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from contract_server import AVAILABLE, ModelServer, ModelStore, Start, free_port, refused, wait_for

CALL_S = 10.0
SERVING, SERVICE_UNKNOWN = 1, 3


@pytest.fixture
def flags(models: ModelStore) -> tuple[str, ...]:
    """Flags for one model with one version."""
    models.place("affine", 1)
    return ("--model_name=affine", f"--model_base_path={models.root / 'affine'}")


def ended_by(server: ModelServer, number: signal.Signals) -> bool:
    """Wait for the end of the process, and say whether this signal was its cause; a container adds 128 to it."""
    return server.exit_status() in {-number, 128 + number}


def health(channel: grpc.Channel, service: str) -> int:
    """Health/Check; the two messages are short enough to be written by hand."""
    stub = channel.unary_unary("/grpc.health.v1.Health/Check")
    return int(stub(name_field(service), timeout=CALL_S, wait_for_ready=True)[1])


def name_field(service: str) -> bytes:
    """HealthCheckRequest: field 1, a string."""
    return b"\x0a" + bytes([len(service)]) + service.encode() if service else b""


@pytest.fixture(scope="module")
def healthy(module_start: Start, module_models: ModelStore) -> ModelServer:
    """A server with the health service and two threads for gRPC."""
    module_models.place("affine", 1)
    flags = ("--model_name=affine", f"--model_base_path={module_models.root / 'affine'}", "--grpc_max_threads=2")
    return module_start(*flags, "--enable_grpc_healthcheck_service").ready()


@pytest.mark.parametrize("service", ["", "ModelService", "PredictionService"])
def test_health_service_names(healthy: ModelServer, service: str) -> None:
    """With its flag the standard health service says SERVING for the server and its two services by short names."""
    assert health(healthy.channel, service) == SERVING


@pytest.mark.parametrize("service", ["tensorflow.serving.PredictionService", "affine"])
def test_health_of_an_unknown_service(healthy: ModelServer, service: str) -> None:
    """The health of any other name, full service names included, is NOT_FOUND."""
    with refused("NOT_FOUND"):
        health(healthy.channel, service)


def test_health_watch_sends_the_state_and_stays_open(healthy: ModelServer) -> None:
    """Watch sends the present state at once, SERVICE_UNKNOWN for an unknown name, and does not end."""
    watch = healthy.channel.unary_stream("/grpc.health.v1.Health/Watch")
    for service, state in (("ModelService", SERVING), ("no such service", SERVICE_UNKNOWN)):
        stream = watch(name_field(service), timeout=CALL_S)
        assert next(stream)[1] == state
        assert health(healthy.channel, "ModelService") == SERVING
        assert stream.is_active()
        stream.cancel()


def test_health_watchers_take_no_threads(healthy: ModelServer) -> None:
    """More watchers than the server has threads leave it as able to answer as before."""
    watch = healthy.channel.unary_stream("/grpc.health.v1.Health/Watch")
    streams = [watch(b"", timeout=CALL_S) for _ in range(6)]
    assert [next(stream)[1] for stream in streams] == [SERVING] * 6
    assert healthy.states("affine") == {1: AVAILABLE}
    for stream in streams:
        stream.cancel()


def test_no_health_service_without_its_flag(steady: ModelServer) -> None:
    """Without the flag the health service is not implemented."""
    with refused("UNIMPLEMENTED"):
        health(steady.channel, "")


def begin_slow(server: ModelServer, ms: int, count: int) -> list[Any]:
    """So many requests to the slow model at once."""
    return [server.begin_slow(ms) for _ in range(count)]


def test_calls_beyond_the_threads_are_refused(start: Start, models: ModelStore) -> None:
    """--grpc_max_threads=3 runs two calls at a time, one thread waits for calls; a third is RESOURCE_EXHAUSTED."""
    models.place("slow", 1, of="slow")
    server = start("--model_name=slow", f"--model_base_path={models.root / 'slow'}", "--grpc_max_threads=3").ready()
    server.begin_slow(1).result(CALL_S)
    calls = begin_slow(server, 1500, 3)
    ends = sorted(str(call.code().name) for call in calls)
    assert ends == ["OK", "OK", "RESOURCE_EXHAUSTED"]
    server.begin_slow(1).result(CALL_S)


def test_channel_arguments_reach_grpc(start: Start, flags: tuple[str, ...]) -> None:
    """--grpc_channel_arguments are settings of gRPC, here one that sends clients away after their connection's age."""
    server = start(*flags, "--grpc_channel_arguments=grpc.max_connection_age_ms=100,grpc.max_connection_age_grace_ms=1")
    server.ready()
    with socket.create_connection(("127.0.0.1", server.port), timeout=CALL_S) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        while connection.recv(4096):
            pass  # the server closes it, which no idle connection of a server without the setting is


def test_taken_rest_port_is_only_logged(start: Start, flags: tuple[str, ...]) -> None:
    """A REST port that cannot be bound is logged, and the server runs on with gRPC alone."""
    with socket.socket(socket.AF_INET6) as taken:
        taken.bind(("::", 0))
        taken.listen()
        server = start(*flags, f"--rest_api_port={taken.getsockname()[1]}")
        assert server.states("affine") == {1: AVAILABLE}
        wait_for(lambda: "Failed to start HTTP Server at" in server.log, "the complaint in the log")
        assert server.process.poll() is None


@contextlib.contextmanager
def taken_port() -> Iterator[int]:
    """A port that is listened on and not shared."""
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        yield int(taken.getsockname()[1])


def test_taken_grpc_port_exits_255(start: Start, flags: tuple[str, ...]) -> None:
    """A gRPC port that cannot be bound ends the server, after its models are loaded."""
    with taken_port() as port:
        server = start(*flags, f"--port={port}")
        assert server.exit_status() == 255
    assert "Failed to start server. Error: INVALID_ARGUMENT: Failed to BuildAndStart gRPC server" in server.output


def test_taken_grpc_port_crashes_the_health_service(start: Start, flags: tuple[str, ...]) -> None:
    """With the health service's flag a gRPC port that cannot be bound ends the server by SIGSEGV."""
    with taken_port() as port:
        assert ended_by(start(*flags, f"--port={port}", "--enable_grpc_healthcheck_service"), signal.SIGSEGV)


def test_one_rest_thread_never_answers(start: Start, flags: tuple[str, ...]) -> None:
    """With --rest_api_num_threads=1 REST accepts connections and answers no request, while gRPC works."""
    server = start(*flags, "--rest_api_num_threads=1").ready()
    with socket.create_connection(("127.0.0.1", server.rest_port), timeout=1) as connection:
        connection.sendall(b"GET /v1/models/affine HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert server.states("affine") == {1: AVAILABLE}


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
def test_rest_listens_on_ipv6(steady: ModelServer) -> None:
    """REST is bound to all addresses of both families, whatever its marker in the log says."""
    for address in ("::1", "127.0.0.1"):
        with socket.create_connection((address, steady.rest_port), timeout=CALL_S) as connection:
            connection.sendall(b"GET /v1/models/affine HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert connection.recv(15) == b"HTTP/1.1 200 OK"


def test_rest_port_is_off_by_default(start: Start, flags: tuple[str, ...]) -> None:
    """With --rest_api_port=0, which is the default, nothing is said or opened for REST."""
    server = start(*flags, "--rest_api_port=0")
    assert server.states("affine") == {1: AVAILABLE}
    assert "HTTP/REST API" not in server.log
    assert not server.listens(server.rest_port)


def test_grpc_waits_for_the_port_of_its_flag(start: Start, flags: tuple[str, ...]) -> None:
    """The last --port decides, as with arguments after those of the image's entrypoint."""
    port = free_port()
    server = start(*flags, f"--port={port}")
    wait_for(lambda: server.listens(port), "the last port is open")
    assert not server.listens(server.port)
