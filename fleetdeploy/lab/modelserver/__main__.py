"""The program: `python -m fleetdeploy.lab.modelserver --port=8500 ...`.

Start-up order as in tensorflow_serving/model_servers/main.cc and server.cc: models first, ports last. There is no
signal handler and no drain: SIGTERM ends the process.
"""

import os
import signal
import sys
import threading
import time
import traceback
from typing import Final, NoReturn

from fleetdeploy.lab.modelserver import flags as command_line
from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.apis.grpc_server import start_grpc_server
from fleetdeploy.lab.modelserver.apis.monitoring import monitoring_page
from fleetdeploy.lab.modelserver.apis.prediction import Prediction
from fleetdeploy.lab.modelserver.apis.rest_routes import RestApi
from fleetdeploy.lab.modelserver.apis.rest_server import start_rest_server
from fleetdeploy.lab.modelserver.environment import Environment
from fleetdeploy.lab.modelserver.faults.board import FaultBoard
from fleetdeploy.lab.modelserver.faults.loader import FaultyLoader
from fleetdeploy.lab.modelserver.flags import Flags
from fleetdeploy.lab.modelserver.loading.loader import Loader
from fleetdeploy.lab.modelserver.loading.options import load_options
from fleetdeploy.lab.modelserver.loading.thread_pool_factory import check_thread_pool_factory
from fleetdeploy.lab.modelserver.metrics.server_metrics import ServerMetrics
from fleetdeploy.lab.modelserver.models import config as configs
from fleetdeploy.lab.modelserver.models.core import ServerCore
from fleetdeploy.lab.modelserver.models.lifecycle import Lifecycle, LoadSettings
from fleetdeploy.lab.modelserver.models.serving_table import ServingTable
from fleetdeploy.lab.modelserver.models.states import StateBus
from fleetdeploy.lab.modelserver.runtime.tensorflow_c import TensorFlow
from fleetdeploy.lab.modelserver.status import Code, StatusError

PROGRAM: Final = "tensorflow_model_server"


def main(arguments: list[str]) -> int:
    """Run the server; returns the exit status if it does not start."""
    parsed = command_line.parse(arguments)
    if parsed.usage_wanted:
        for problem in parsed.problems:
            log.error(problem)
        _print(command_line.usage(PROGRAM))
        return 255
    try:
        environment = Environment.read()
        if parsed.flags.version:
            _print(
                f"TensorFlow ModelServer: {environment.build} (fleetdeploy's stand-in, not TensorFlow Serving)\n"
                f"TensorFlow Library: {TensorFlow().version}\n"
            )
            return 0
        if parsed.unknown:
            _print(f"unknown argument: {parsed.unknown[0]}\n{command_line.usage(PROGRAM)}")
        _serve(parsed.flags, environment)
    except StatusError as problem:
        _print(f"Failed to start server. Error: {problem}\n")
        return 255


def _serve(flags: Flags, environment: Environment) -> NoReturn:
    """Load the models, open the ports, and stay. Raises StatusError if it cannot start."""
    _check(flags)
    log.info(f"This is fleetdeploy's stand-in for {PROGRAM}, build {environment.build}. It is not TensorFlow Serving.")
    if flags.model_config_file:
        config = configs.read_config(flags.model_config_file)
    else:
        log.info(
            f"Building single TensorFlow model file config:  model_name: {flags.model_name} "
            f"model_base_path: {flags.model_base_path}"
        )
        config = configs.single_model(flags.model_name, flags.model_base_path)
    metrics = ServerMetrics()
    core = _build_core(flags, environment, metrics)
    core.reload(config)
    flag_s = flags.model_config_file_poll_wait_seconds
    poll_s = flag_s if environment.config_poll_s is None else environment.config_poll_s
    if flags.model_config_file and poll_s > 0:
        threading.Thread(target=_poll_config, args=(core, flags, poll_s), name="config", daemon=True).start()
    prediction = Prediction(core, flags, metrics=metrics)
    check_thread_pool_factory(flags.thread_pool_factory_config_file)
    server = start_grpc_server(core, prediction, flags)
    if flags.rest_api_port == flags.port != 0:
        log.error("server_options.http_port cannot be same as grpc_port. Skipped exporting HTTP/REST API.")
    elif flags.rest_api_port:
        start_rest_server(RestApi(core, prediction, flags, monitoring=monitoring_page(flags, metrics)), flags)
    server.wait_for_termination()
    raise AssertionError("nothing stops the gRPC server")


def _check(flags: Flags) -> None:
    """Refuse combinations of flags that the real server refuses (Server::BuildAndStart)."""
    refused = {
        "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set.": not flags.port
        and not flags.grpc_socket_path,
        "Either use_alts_credentials must be false or ssl_config_file must be empty.": flags.use_alts_credentials
        and bool(flags.ssl_config_file),
        "Both server_options.model_base_path and server_options.model_config_file are empty!": not flags.model_base_path
        and not flags.model_config_file,
    }
    for message, applies in refused.items():
        if applies:
            raise StatusError(Code.INVALID_ARGUMENT, message)


def _build_core(flags: Flags, environment: Environment, metrics: ServerMetrics) -> ServerCore:
    bus, table = StateBus(), ServingTable()
    loader = Loader(TensorFlow(), load_options(flags), metrics=metrics)
    settings = LoadSettings(
        load_threads=flags.num_load_threads,
        unload_threads=flags.num_unload_threads,
        max_retries=max(0, flags.max_num_load_retries),
        retry_interval_s=min(flags.load_retry_interval_micros / 1e6, 1e9),  # a sleep cannot be much longer
        tick_s=environment.tick_s,
    )
    faults = FaultBoard(environment.faults_file, memory_budget_bytes=environment.memory_budget_bytes)
    lifecycle = Lifecycle(FaultyLoader(loader, faults), settings, bus=bus, table=table)
    scan_s = environment.scan_interval_s
    core = ServerCore(
        lifecycle,
        bus=bus,
        table=table,
        scan_interval_s=flags.file_system_poll_wait_seconds if scan_s is None else scan_s,
        initial_load_threads=4 * len(os.sched_getaffinity(0)),
        labels_for_unavailable=flags.allow_version_labels_for_unavailable_models,
    )
    lifecycle.start()
    return core


def _poll_config(core: ServerCore, flags: Flags, interval_s: float) -> NoReturn:
    """Apply the config file again and again, changed or not."""
    while True:
        began = time.monotonic()
        try:
            config = configs.read_config(flags.model_config_file)
        except StatusError as problem:
            log.error(f"Failed to read ModelServerConfig file: {problem.message}")
        else:
            try:
                core.reload(config)
            except StatusError as problem:
                log.error(f"PollFilesystemAndReloadConfig failed to ReloadConfig: {problem.message}")
        time.sleep(max(0.0, interval_s - (time.monotonic() - began)))


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _end_process(event: threading.ExceptHookArgs) -> NoReturn:
    """A defect in a thread of the stand-in ends it, instead of leaving a server that hangs."""
    problem = event.exc_value or event.exc_type()
    log.fatal("defect in the stand-in: " + "".join(traceback.format_exception(problem)))
    os._exit(70)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends at once, as SIGTERM does
    threading.excepthook = _end_process
    # C++ takes any bytes; what is not UTF-8 in an argument is named nowhere else, so it need not be kept.
    status = main([os.fsencode(argument).decode(errors="replace") for argument in sys.argv[1:]])
    sys.stdout.flush()
    os._exit(status)  # threads of TensorFlow and pools with loads in progress must not hold up the end
