"""Section 1.4 of the contract: the container image, through the docker command line alone.

IMAGE names the image; DOCKER_HOST may name an engine elsewhere: models are copied into containers, and requests are
made inside them.
"""

import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from contract_server import wait_for
from contract_target import IMAGE

pytestmark = pytest.mark.skipif(not IMAGE, reason="IMAGE=... names no container image")

DOCKER_S: Final = 120.0
GRACE_S: Final = 2.0
READY: Final = "Exporting HTTP/REST API at"
SERVER: Final = "--entrypoint=tensorflow_model_server"

EXPORT: Final = """
import sys
from pathlib import Path
import tensorflow as tf

class Line(tf.Module):
    def __init__(self, slope):
        self.slope = tf.Variable(slope)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def serve(self, x):
        return {"y": self.slope * x + 1.0}

for name, slope in (("saved", 3.0), ("lite", 5.0)):
    line = Line(slope)
    tf.saved_model.save(line, f"{sys.argv[1]}/{name}/1", {"serving_default": line.serve})
lite = tf.lite.TFLiteConverter.from_saved_model(f"{sys.argv[1]}/lite/1").convert()
Path(sys.argv[1], "saved", "1", "model.tflite").write_bytes(lite)
"""


def docker(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the docker command."""
    done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=DOCKER_S, check=False)
    assert not check or done.returncode == 0, f"docker {' '.join(words)}: {done.stderr[-2000:]}"
    return done


class Container:
    """One container of the image."""

    def __init__(self, name: str) -> None:
        self.name = name

    @property
    def log(self) -> str:
        """What it wrote so far."""
        done = docker("logs", self.name)
        return done.stdout + done.stderr

    @property
    def state(self) -> Any:
        """State, as docker inspects it."""
        return json.loads(docker("inspect", self.name).stdout)[0]["State"]

    def ready(self) -> "Container":
        """Wait until it says that both ports are open."""

        def open_or_ended() -> bool:
            log = self.log
            assert READY in log or self.state["Running"], f"the container ended: {log[-2000:]}"
            return READY in log

        wait_for(open_or_ended, "the ready marker", deadline_s=DOCKER_S)
        return self

    def stop(self) -> float:
        """Stop it with two seconds of grace; how long that took, in seconds."""
        began = time.monotonic()
        docker("stop", "-t", str(int(GRACE_S)), self.name)
        return time.monotonic() - began

    def run(self, script: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a bash script inside."""
        return docker("exec", self.name, "bash", "-c", script, "bash", *words, check=check)

    def rest(self, method: str, path: str, body: str = "", *, port: int = 8501) -> tuple[int, str]:
        """Status and body of a REST call."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(body)}"]
        script = f'exec 3<>/dev/tcp/127.0.0.1/{port}; printf "%s" "$1" >&3; cat <&3'
        answer = self.run(script, "\r\n".join([*lines, "", body])).stdout
        head, _, rest = answer.replace("\r\n", "\n").partition("\n\n")
        return int(head.split()[1]), rest

    def serves(self, model: str, *, port: int = 8501) -> bool:
        """Whether a version of the model is available."""
        status, body = self.rest("GET", f"/v1/models/{model}", port=port)
        return status == 200 and '"AVAILABLE"' in body

    def predictions(self, model: str = "model") -> list[float]:
        """Answer of the model to 1 and 2."""
        status, body = self.rest("POST", f"/v1/models/{model}:predict", '{"instances": [1.0, 2.0]}')
        assert status == 200, body
        return list(json.loads(body)["predictions"])


Make = Callable[..., Container]


@contextlib.contextmanager
def making(lines: Path, scratch: Path) -> Iterator[Make]:
    """A function that starts containers with options of docker, `flags` after the image, and a model in the place `at`.

    All are removed at the end.
    """
    names = (f"fleetdeploy-image-{os.getpid()}-{number}" for number in itertools.count(time.monotonic_ns()))
    made: list[str] = []

    def start(*options: str, flags: tuple[str, ...] = (), at: str = "/models/model") -> Container:
        name = next(names)
        made.append(name)
        docker("create", "--name", name, "--network=none", *options, IMAGE, *flags)
        inside = Path(at).relative_to("/")
        shutil.copytree(lines / "saved", scratch / name / inside)
        # The image has /models, and there a container with a read-only root may have a volume.
        there = inside.parts[:1] == ("models",)
        docker("cp", f"{scratch / name}/{'models/.' if there else '.'}", f"{name}:/{'models' if there else ''}")
        docker("start", name)
        return Container(name)

    try:
        yield start
    finally:
        for name in made:
            docker("rm", "--force", "--volumes", name, check=False)


@pytest.fixture
def make(lines: Path, tmp_path: Path) -> Iterator[Make]:
    """Start containers."""
    with making(lines, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def plain(lines: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """A container without options, for tests that only ask."""
    with making(lines, tmp_path_factory.mktemp("plain")) as start:
        yield start().ready()


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of 3x + 1, and beside it in its version directory a TensorFlow Lite model of 5x + 1."""
    root = tmp_path_factory.mktemp("lines")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", EXPORT, str(root)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return root


@pytest.fixture(scope="module")
def config() -> Any:
    """The image's configuration, as docker inspects it."""
    return json.loads(docker("image", "inspect", IMAGE).stdout)[0]["Config"]


def test_entrypoint_is_the_script(config: Any) -> None:
    """The image starts its script, without further words."""
    assert config["Entrypoint"] == ["/usr/bin/tf_serving_entrypoint.sh"]
    assert not config.get("Cmd")


def test_image_names_model_and_path(config: Any) -> None:
    """MODEL_NAME is model and MODEL_BASE_PATH is /models."""
    assert {"MODEL_NAME=model", "MODEL_BASE_PATH=/models"} <= set(config["Env"])


def test_image_exposes_both_ports(config: Any) -> None:
    """The image exposes 8500 for gRPC and 8501 for REST."""
    assert {"8500/tcp", "8501/tcp"} <= set(config["ExposedPorts"])


def test_image_has_no_health_check_and_no_stop_signal(config: Any) -> None:
    """Docker is told neither how to check the server's health nor how to stop it."""
    assert not config.get("Healthcheck")
    assert not config.get("StopSignal")


def test_server_runs_as_root_on_both_ports(plain: Container) -> None:
    """Without options the server runs as root, serves /models/model by that name, and listens on 8500 and 8501."""
    assert plain.serves("model")
    assert plain.run("exec 3<>/dev/tcp/127.0.0.1/8500").returncode == 0
    assert plain.run("echo $UID").stdout.strip() == "0"


def test_process_1_is_bash(plain: Container) -> None:
    """The script does not hand its process over to the server: process 1 stays bash."""
    words = plain.run("cat /proc/1/cmdline").stdout.split("\0")
    assert words[0].endswith("bash")
    assert words[1] == "/usr/bin/tf_serving_entrypoint.sh"


def test_environment_names_the_model(make: Make) -> None:
    """MODEL_NAME is the model's name and its directory's."""
    assert make("--env=MODEL_NAME=ranker", at="/models/ranker").ready().serves("ranker")


def test_environment_names_the_base_path(make: Make) -> None:
    """MODEL_BASE_PATH is where that directory lies."""
    assert make("--env=MODEL_BASE_PATH=/srv/deep", at="/srv/deep/model").ready().serves("model")


def test_words_after_the_image_win(make: Make) -> None:
    """Flags after the image's name come after those of the script, and so win over them."""
    container = make(flags=("--model_name=other", "--rest_api_port=8601")).ready()
    assert container.serves("other", port=8601)
    assert "localhost:8501" not in container.log


def test_sigterm_changes_nothing(plain: Container) -> None:
    """After SIGTERM to its process 1 the container serves as before."""
    docker("kill", "--signal=TERM", plain.name)
    assert plain.predictions() == [4.0, 7.0]
    assert plain.state["Running"]


def test_stop_waits_its_whole_grace_and_kills(make: Make) -> None:
    """Process 1 ignores SIGTERM: `docker stop` waits as long as it is told to, and the container ends with 137."""
    container = make().ready()
    assert container.stop() >= GRACE_S
    assert container.state["ExitCode"] == 137


def test_init_and_the_server_as_entrypoint_end_at_sigterm(make: Make) -> None:
    """With --init and the server itself as entrypoint SIGTERM ends the container at once, with 143."""
    container = make(
        "--init", SERVER, flags=("--rest_api_port=8501", "--model_name=model", "--model_base_path=/models/model")
    ).ready()
    assert container.stop() < GRACE_S
    assert container.state["ExitCode"] == 143


def test_failing_start_ends_the_container(make: Make) -> None:
    """A server that cannot start ends its container with 255 and says why."""
    container = make(flags=("--model_config_file=/no/such/file",))
    wait_for(lambda: not container.state["Running"], "the container's end", deadline_s=DOCKER_S)
    assert container.state["ExitCode"] == 255
    assert "Failed to start server. Error: " in container.log


def test_version_of_the_image() -> None:
    """The server is on the path, and says its version without any model."""
    done = docker("run", "--rm", "--network=none", SERVER, IMAGE, "--version")
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "TensorFlow ModelServer",
        "TensorFlow Library",
    ]


def test_saved_model_runs(plain: Container) -> None:
    """A SavedModel is loaded and run."""
    assert plain.predictions() == [4.0, 7.0]


def test_tflite_model_runs(make: Make) -> None:
    """With --prefer_tflite_model the TensorFlow Lite model of the version directory is loaded and run instead."""
    assert make(flags=("--prefer_tflite_model",)).ready().predictions() == [6.0, 11.0]


def test_read_only_root_and_another_user_are_enough(make: Make) -> None:
    """The server needs neither root nor a file system to write to."""
    container = make("--read-only", "--volume=/models", "--user=65534:65534", "--cap-drop=ALL").ready()
    assert container.predictions() == [4.0, 7.0]
