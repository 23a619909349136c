"""Section 1.2 of the contract: what each flag does, as far as it shows from outside, and its default."""

import re
import socket
import time

from contract_server import (
    AVAILABLE,
    DEADLINE_S,
    ModelServer,
    ModelStore,
    Start,
    free_port,
    model_list,
    wait_for,
)
from contract_target import HANGS_S

_DEFAULTS = {
    "port": "8500", "grpc_socket_path": '""', "rest_api_port": "0", "rest_api_timeout_in_ms": "30000",
    "rest_api_enable_cors_support": "false", "model_name": '"default"', "model_base_path": '""',
    "model_config_file": '""', "model_config_file_poll_wait_seconds": "0", "file_system_poll_wait_seconds": "1",
    "num_load_threads": "0", "num_unload_threads": "0", "max_num_load_retries": "5",
    "load_retry_interval_micros": "60000000", "flush_filesystem_caches": "true",
    "allow_version_labels_for_unavailable_models": "false", "enable_batching": "false",
    "batching_parameters_file": '""', "enable_per_model_batching_parameters": "false", "enable_model_warmup": "true",
    "num_request_iterations_for_warmup": "0", "monitoring_config_file": '""', "ssl_config_file": '""',
    "use_alts_credentials": "false", "per_process_gpu_memory_fraction": "0", "saved_model_tags": '"serve"',
    "tensorflow_session_parallelism": "0", "tensorflow_intra_op_parallelism": "0",
    "tensorflow_inter_op_parallelism": "0", "tensorflow_session_config_file": '""', "platform_config_file": '""',
    "grpc_channel_arguments": '""', "enable_grpc_healthcheck_service": "false", "enable_profiler": "true",
    "remove_unused_fields_from_bundle_metagraph": "true", "enable_signature_method_name_check": "false",
    "prefer_tflite_model": "false", "num_tflite_interpreters_per_pool": "1", "xla_cpu_compilation_enabled": "false",
    "xla_gpu_compilation_enabled": "false", "thread_pool_factory_config_file": '""', "mixed_precision": '""',
    "enable_serialization_as_tensor_content": "false",
}  # fmt: skip


def test_defaults(start: Start) -> None:
    """The usage names every flag of the contract's table with its default value."""
    server = start("--help")
    assert server.exit_status() == 255
    shown = dict(re.findall(r"^\s*--(\w+)=(\S*)", server.output, re.MULTILINE))
    found = {name: re.sub(r"^(\d+)\.0+$", r"\1", shown.get(name, "absent")) for name in _DEFAULTS}
    assert found == _DEFAULTS


def test_grpc_listens_on_every_ipv4_address(steady: ModelServer) -> None:
    """The gRPC port is bound to all addresses of the machine."""
    with socket.create_connection(("127.0.0.2", steady.port), timeout=DEADLINE_S) as connection:
        assert connection.getpeername()[0] == "127.0.0.2"


def test_config_file_wins_over_name_and_path(start: Start) -> None:
    """With a config file --model_name and --model_base_path are not looked at."""
    server = start("--model_name=ignored", "--model_base_path=/nowhere", config=model_list()).ready()
    assert server.http("GET", "/v1/models/ignored").status == 404
    assert "/nowhere" not in server.log


def test_rest_is_off_on_the_port_of_grpc(start: Start, models: ModelStore) -> None:
    """A REST port equal to the gRPC port is logged, and the server runs on without REST."""
    models.place("affine", 1)
    port = free_port()
    flags = ("--model_name=affine", f"--model_base_path={models.root / 'affine'}")
    server = start(*flags, f"--port={port}", f"--rest_api_port={port}")
    wait_for(lambda: "Skipped exporting HTTP/REST API" in server.log, "the complaint in the log")
    assert server.listens(port)
    assert "Exporting HTTP/REST API at" not in server.log


def test_tags_must_equal_those_of_the_model(start: Start, models: ModelStore) -> None:
    """A model without exactly the wanted tags does not load."""
    models.place("affine", 1)
    flags = ("--max_num_load_retries=0", "--model_name=affine", f"--model_base_path={models.root / 'affine'}")
    server = start(*flags, "--saved_model_tags=serve,gpu")
    assert server.exit_status() == 255
    assert "NOT_FOUND: Could not find meta graph def matching supplied tags" in server.output


def test_retries_are_extra_attempts(start: Start, models: ModelStore) -> None:
    """A load is tried once and then --max_num_load_retries times, --load_retry_interval_micros apart."""
    models.spoil("bad", 1, missing="saved_model.pb")
    began = time.monotonic()
    flags = ("--model_name=bad", f"--model_base_path={models.root / 'bad'}")
    server = start("--max_num_load_retries=3", "--load_retry_interval_micros=400000", *flags)
    assert server.exit_status() == 255
    assert time.monotonic() - began > 3 * 0.4
    assert server.log.count("Loading servable: {name: bad version: 1} failed: NOT_FOUND") == 4
    assert "exhausted max_num_retries: 3" in server.log


def test_scan_interval_0_scans_once(start: Start, models: ModelStore) -> None:
    """With interval 0 the base path is looked at once, and versions that appear later are not seen."""
    models.place("affine", 1)
    flags = ("--model_name=affine", f"--model_base_path={models.root / 'affine'}")
    server = start("--file_system_poll_wait_seconds=0", *flags).ready()
    models.place("affine", 2)
    time.sleep(1.2)  # more than the default interval
    assert server.states("affine") == {1: AVAILABLE}


def test_negative_scan_interval_never_scans(start: Start, models: ModelStore) -> None:
    """With a negative interval nothing is ever looked at, and the server waits for its model for ever."""
    models.place("affine", 1)
    flags = ("--model_name=affine", f"--model_base_path={models.root / 'affine'}")
    server = start("--file_system_poll_wait_seconds=-1", *flags)
    wait_for(lambda: "(Re-)adding model: affine" in server.log, "the model to be added")
    time.sleep(HANGS_S)
    assert server.process.poll() is None
    assert not server.listens(server.port)


def test_config_file_is_read_once_by_default(start: Start, models: ModelStore) -> None:
    """Without a poll interval a change of the config file is not seen."""
    models.place("affine", 1)
    path = models.root / "once.config"
    path.write_text(model_list(models.config("affine")))
    server = start(f"--model_config_file={path}").ready()
    path.write_text(model_list())
    time.sleep(1.5)  # more than the smallest interval there is
    assert server.log.count("Adding/updating models.") == 1
    assert server.states("affine") == {1: AVAILABLE}
