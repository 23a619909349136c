"""Run one method of tensorflow/serving's own test file: `python run_method.py CHECKOUT METHOD`.

The file is run as it is, as a program. Bazel would have put three things in place that are made here instead:
the checkout's `tensorflow_serving.model_servers.test_util` next to the installed `tensorflow_serving.apis`, the module
`portpicker`, of which the test needs one function, and (by the caller) the directory tree of TEST_SRCDIR.
"""

import importlib.util
import runpy
import socket
import sys
from pathlib import Path
from types import ModuleType

import tensorflow_serving

TEST_FILE = Path("tensorflow_serving/model_servers/tensorflow_model_server_test.py")
CLASS = "TensorflowModelServerTest"


def pick_unused_port() -> int:
    """A TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


def _provide_portpicker() -> None:
    """Use the package `portpicker` where it is installed, else the one function that is asked of it."""
    if importlib.util.find_spec("portpicker") is None:
        module = ModuleType("portpicker")
        module.pick_unused_port = pick_unused_port  # type: ignore[attr-defined]
        sys.modules["portpicker"] = module


def main(checkout: Path, method: str) -> None:
    """Run the method; the process exits with unittest's status."""
    # At the end: the installed protobuf modules come first, and the checkout fills in what the wheel does not have.
    tensorflow_serving.__path__.append(str(checkout / "tensorflow_serving"))
    _provide_portpicker()
    test_file = str(checkout / TEST_FILE)
    sys.argv = [test_file, f"{CLASS}.{method}"]
    runpy.run_path(test_file, run_name="__main__")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
