"""Section 1 of the contract: flags, start-up order, exit."""

import signal
import subprocess

import pytest
from contract_server import (
    AVAILABLE,
    FAST_RETRIES,
    ModelServer,
    ModelStore,
    Start,
    free_port,
    is_stand_in,
    model_list,
    program,
    wait_for,
)
from contract_server import ROOT as REPOSITORY


def test_version_prints_two_lines_and_exits_0() -> None:
    """--version prints the server's and the library's version on two lines and exits with 0."""
    done = subprocess.run(
        [*program(), "--version"], cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert [line.partition(":")[0] for line in lines] == ["TensorFlow ModelServer", "TensorFlow Library"]


@pytest.mark.skipif(not is_stand_in(), reason="only the stand-in says that it is one")
def test_stand_in_says_so(steady: ModelServer) -> None:
    """The stand-in calls itself that in --version and in its log."""
    done = subprocess.run(
        [*program(), "--version"], cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=True
    )
    assert "stand-in" in done.stdout
    assert "stand-in" in steady.log


def test_unknown_flags_are_printed_and_ignored(start: Start, models: ModelStore) -> None:
    """A flag that does not exist, or has its value after a space, is printed and the server starts without it."""
    models.place("affine", 1)
    server = start(
        "--no_such_flag=1", "--port", "9", "--model_name=affine", f"--model_base_path={models.root / 'affine'}"
    )
    server.ready()
    assert "unknown argument: --no_such_flag=1" in server.output


def test_last_of_equal_flags_wins(start: Start, models: ModelStore) -> None:
    """Of several flags with one name the last one counts, so arguments after an entrypoint's override it."""
    models.place("affine", 1)
    server = start("--model_name=first", f"--model_base_path={models.root / 'affine'}", "--model_name=second").ready()
    assert server.states("second") == {1: AVAILABLE}
    assert server.states("first") == {}


def test_unparsable_value_of_known_flag_exits(start: Start) -> None:
    """A known flag with a value of the wrong type ends the server with status 255 and its usage."""
    server = start("--file_system_poll_wait_seconds=soon", "--model_base_path=/nowhere")
    assert server.exit_status() == 255
    assert "--model_base_path" in server.output


@pytest.mark.parametrize(
    ("flags", "fragment"),
    [
        ((), "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (("--port=0", "--model_base_path=/m"), "grpc_port or server_options.grpc_socket_path must be set"),
        (("--model_base_path=/m", "--batching_parameters_file=/b"), "batching_parameters_file is set without"),
        (("--model_config_file=/no/such/file",), "/no/such/file"),
    ],
)
def test_impossible_flags_exit_255(start: Start, flags: tuple[str, ...], fragment: str) -> None:
    """Flags that cannot be served end the server with status 255 and one line on stdout."""
    server = start(*flags)
    assert server.exit_status() == 255
    assert "Failed to start server. Error: " in server.output
    assert fragment in server.output


def test_failing_model_at_start_exits_255(start: Start, models: ModelStore) -> None:
    """A model that fails to load at start ends the whole server, after the retries, with the loader's own words."""
    models.place("good", 1)
    models.spoil("bad", 7, missing="saved_model.pb")
    server = start(*FAST_RETRIES, config=model_list(models.config("good"), models.config("bad")))
    assert server.exit_status() == 255
    assert "1 servable(s) did not become available: {{{name: bad version: 7} due to error: NOT_FOUND" in server.output
    assert "Could not find SavedModel .pb or .pbtxt" in server.output


def test_ports_stay_closed_until_every_model_is_there(start: Start, models: ModelStore) -> None:
    """A missing base path keeps both ports closed; the server starts as soon as the model appears."""
    models.place("good", 1)
    server = start(config=model_list(models.config("good"), models.config("late")))
    wait_for(lambda: server.log.count("Could not find base path") > 1, "two scans without the base path")
    assert server.process.poll() is None
    assert not server.listens(server.port)
    assert not server.listens(server.rest_port)
    models.place("late", 1)
    server.ready()
    assert server.states("good") == server.states("late") == {1: AVAILABLE}


def test_log_has_the_ready_markers(steady: ModelServer) -> None:
    """The log names both ports when they are open, gRPC first."""
    log = wait_for(lambda: steady.log if "Exporting HTTP/REST API at" in steady.log else "", "the REST marker")
    assert log.index("Running gRPC ModelServer at") < log.index("Exporting HTTP/REST API at")


def test_sigterm_ends_it_without_drain(start: Start, models: ModelStore) -> None:
    """SIGTERM simply kills the process; there is no handler."""
    models.place("affine", 1)
    server = start("--model_name=affine", f"--model_base_path={models.root / 'affine'}").ready()
    server.process.terminate()
    assert server.exit_status() == -signal.SIGTERM


def test_rest_is_off_on_the_port_of_grpc(start: Start, models: ModelStore) -> None:
    """A REST port equal to the gRPC port is logged, and the server runs on without REST."""
    models.place("affine", 1)
    port = free_port()
    flags = ("--model_name=affine", f"--model_base_path={models.root / 'affine'}")
    server = start(*flags, f"--port={port}", f"--rest_api_port={port}")
    wait_for(lambda: "Skipped exporting HTTP/REST API" in server.log, "the complaint in the log")
    assert server.listens(port)
    assert "Exporting HTTP/REST API at" not in server.log


def test_grpc_on_a_unix_socket(start: Start, models: ModelStore) -> None:
    """With a socket path the server also listens there."""
    models.place("affine", 1)
    path = models.root / "grpc.sock"
    flags = ("--model_name=affine", f"--model_base_path={models.root / 'affine'}")
    server = start(*flags, f"--grpc_socket_path={path}").ready()
    assert path.is_socket()
    assert str(path) in server.log
