"""Section 1.1 of the contract: the syntax of flags, and what stops the process before anything is loaded."""

import subprocess

import pytest
from contract_server import ROOT, ModelServer, ModelStore, Start, program
from contract_target import stand_in_only


def version_of_the_program() -> "subprocess.CompletedProcess[str]":
    """Run `--version`."""
    return subprocess.run([*program(), "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def affine(models: ModelStore) -> tuple[str, str]:
    """Flags that serve one model."""
    models.place("affine", 1)
    return "--model_name=affine", f"--model_base_path={models.root / 'affine'}"


def test_version_prints_two_lines_and_exits_0() -> None:
    """--version prints the server's and the library's version on two lines and exits with 0."""
    done = version_of_the_program()
    assert done.returncode == 0
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "TensorFlow ModelServer",
        "TensorFlow Library",
    ]


@stand_in_only("no other server calls itself one")
def test_stand_in_says_so(steady: ModelServer) -> None:
    """The stand-in calls itself that in --version and in its log."""
    assert "stand-in" in version_of_the_program().stdout
    assert "stand-in" in steady.log


def test_unknown_flags_are_printed_and_ignored(start: Start, affine: tuple[str, str]) -> None:
    """The first argument that is no flag is printed with the usage on stdout, and the server starts without any."""
    server = start("--rest_api_prot=9", "-port=9", "stray", *affine).ready()
    assert server.output.startswith("unknown argument: --rest_api_prot=9\n")
    assert server.output.count("unknown argument") == 1
    assert "--model_base_path=" in server.output


def test_value_after_a_space_is_two_unknown_arguments(start: Start, affine: tuple[str, str]) -> None:
    """`--port 9` sets nothing: the flag without a value is an unknown argument."""
    server = start("--port", "9", *affine).ready()
    assert server.output.startswith("unknown argument: --port\n")


def test_last_of_equal_flags_wins(start: Start, affine: tuple[str, str]) -> None:
    """Of several flags with one name the last one counts, so arguments after an entrypoint's override it."""
    server = start("--model_name=first", *affine, "--model_name=second").ready()
    assert list(server.states("second")) == [1]
    assert server.states("first") == server.states("affine") == {}


def test_bare_boolean_is_true(start: Start, models: ModelStore) -> None:
    """A boolean flag needs no value."""
    models.place("affine", 1)
    labelled = models.config("affine", extra='version_labels { key: "new" value: 1 }')
    server = start(
        "--allow_version_labels_for_unavailable_models", config=f"model_config_list {{ {labelled} }}"
    ).ready()
    assert server.y(label="new") == 3.0


@pytest.mark.parametrize(
    "flag",
    [
        "--enable_batching=1",
        "--enable_batching=True",
        "--enable_batching=",
        "--port=85OO",
        "--file_system_poll_wait_seconds=soon",
        "--file_system_poll_wait_seconds=0.5",
        "--per_process_gpu_memory_fraction=half",
        "--help",
    ],
)
def test_unparsable_value_of_a_known_flag_exits(start: Start, flag: str) -> None:
    """A known flag with a value of another type, or --help, ends the server with status 255 and its usage on stdout."""
    server = start("--model_base_path=/nowhere", flag)
    assert server.exit_status() == 255
    assert "--model_base_path=" in server.output


@pytest.mark.parametrize(
    ("flags", "fragment"),
    [
        ((), "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (("--port=0", "--model_base_path=/m"), "grpc_port or server_options.grpc_socket_path must be set"),
        (("--model_base_path=/m", "--batching_parameters_file=/b"), "batching_parameters_file is set without"),
        (
            (
                "--model_base_path=/m",
                "--tensorflow_session_parallelism=1",
                "--tensorflow_intra_op_parallelism=1",
                "--tensorflow_inter_op_parallelism=1",
            ),
            "You cannot configure all.",
        ),
    ],
    ids=["no model", "no port", "batching file alone", "three kinds of parallelism"],
)
def test_impossible_flags_exit_255(start: Start, flags: tuple[str, ...], fragment: str) -> None:
    """Flags that contradict each other end the server with status 255 and one line on stdout."""
    server = start(*flags)
    assert server.exit_status() == 255
    (line,) = server.output.splitlines()
    assert line.startswith("Failed to start server. Error: INVALID_ARGUMENT: ")
    assert fragment in line
