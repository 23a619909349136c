"""TF Serving's traps, met by a running stand-in under load: reloads that hang, lists that stick, flaps, lost GPUs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest

from fleetdeploy.lab import models
from fleetdeploy.lab.fleet import Lab
from tests.fleet.onlooker import container, drained, identity, machines, on, serves, traffic
from tests.fleet.project import CONTAINER, DIRECTORY, INVENTORY, PLAYBOOK, REPOSITORY, Project, Result

RELOAD = """
import sys, grpc
from google.protobuf import text_format
from fleetdeploy.tfserving import stubs
address, deadline, text = sys.argv[1:]
request = stubs.model_management_pb2.ReloadConfigRequest()
text_format.Parse(text, request.config)
try:
    with grpc.insecure_channel(address) as channel:
        stub = stubs.model_service_pb2_grpc.ModelServiceStub(channel)
        stub.HandleReloadConfigRequest(request, timeout=float(deadline))
except grpc.RpcError as error:
    print(error.code().name, error.details())
"""


def somebody_reloads(lab: Lab, host: str, *entries: str, deadline_s: float = 10) -> str:
    """A reload past us, by whoever reaches the port. Returns the error's code and text, empty after an OK."""
    address, text = f"{lab.host(host).address}:8500", f"model_config_list {{ {' '.join(entries)} }}"
    argv = [*lab.nsenter_argv(), sys.executable, "-c", RELOAD, address, str(deadline_s), text]
    done = subprocess.run(argv, cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


def entry(name: str, version: int, *, platform: str = "tensorflow", path: str = "", more: str = "") -> str:
    named = f'model_platform: "{platform}" ' if platform else ""
    policy = f"model_version_policy {{ specific {{ versions: {version} }} }}"
    return f'config {{ name: "{name}" base_path: "{path or f"/models/{name}"}" {named}{policy} {more} }}'


RANKER = entry("ranker", 1)


def taken_back(lab: Lab, result: Result) -> None:
    """Exit 3, gpu1 reverted, every host in service with version 1."""
    assert result.code == 3, str(result)
    assert result.states() == {"gpu1": "reverted", "gpu2": "skipped", "gpu3": "skipped"}
    assert result.last_line == "FAILED: gpu1; gpu1 reverted, every host serves what it served before"
    assert traffic(lab) == {host: {"UP"} for host in machines(lab)}
    assert drained(lab) == []
    serves(lab, 1)


def deploy_taken_back(lab: Lab, served: Project, *, image: str | None = None) -> Result:
    """Under load version 2 is deployed and taken back, and no request fails."""
    served.want(version=2, image=image)
    result = served.deploy("--json", expect=None)
    taken_back(lab, result)
    return result


def started(lab: Lab, host: str) -> str:
    return identity(lab, host)[1]


# Reloads that hang


@pytest.mark.long
@pytest.mark.fault("F19")
def test_a_hung_server_is_restarted_while_it_is_drained(lab: Lab, served: Project) -> None:
    """A server whose reload lock somebody's reload holds for ever (serving#1565) is restarted once, and serves the new
    version; the others are reloaded as ever, and no request is lost.
    """
    said = somebody_reloads(lab, "gpu1", RANKER, entry("nowhere", 1), deadline_s=3)
    assert said.startswith("DEADLINE_EXCEEDED"), said
    before = {host: identity(lab, host) for host in machines(lab)}
    served.want(version=2)
    result = served.deploy("--json", expect=None, timeout_s=240)
    assert result.code == 0, str(result)
    serves(lab, 2)
    after = {host: identity(lab, host) for host in machines(lab)}
    assert after["gpu1"][0] == before["gpu1"][0], "the same container"
    assert [host for host in after if after[host] != before[host]] == ["gpu1"]
    told = [event["message"] for event in served.events() if event["kind"] == "step_progress"]
    assert [text for text in told if "never ended" in text and "its container is restarted" in text], told


# Lists that a server refused, and remembers


REFUSED: Mapping[str, tuple[str, str]] = {
    "bad platform": (entry("other", 1, platform="caffe"), "unsupported platform caffe"),
    "duplicate name": (RANKER, "multiple times"),
    "relative path": (entry("other", 1, path="models/other"), "absolute path"),
}


@pytest.mark.long
@pytest.mark.fault("F31")
def test_lists_that_were_refused_do_not_stand_in_the_way(lab: Lab, served: Project) -> None:
    """After bad lists of somebody else, each refused, a deploy goes through in the same processes."""
    before = {host: identity(lab, host) for host in machines(lab)}
    for text, words in REFUSED.values():
        assert words in somebody_reloads(lab, "gpu1", RANKER, text)
    served.want(version=2)
    served.deploy()
    serves(lab, 2)
    assert {host: identity(lab, host) for host in machines(lab)} == before


@pytest.mark.fault("F31")
def test_a_server_that_refuses_every_list_is_restarted_on_the_way_back(lab: Lab, served: Project) -> None:
    """A remembered list without a platform spoils all later ones: the host goes back, restarted while it is drained,
    and the same command goes through after that.
    """
    assert "INVALID_ARGUMENT" in somebody_reloads(lab, "gpu1", RANKER, entry("other", 1, platform=""))
    before = {host: started(lab, host) for host in machines(lab)}
    served.want(version=2)
    result = served.deploy("--json", expect=None)
    taken_back(lab, result)
    assert "the server refused the reload: INVALID_ARGUMENT" in result.stderr
    assert [host for host in before if started(lab, host) != before[host]] == ["gpu1"]
    served.deploy()
    serves(lab, 2)


@pytest.mark.long
@pytest.mark.fault("F31")
def test_labels_are_asked_of_the_server_and_move_after_a_refusal(lab: Lab, served: Project) -> None:
    """A label that somebody points to a version which is not loaded is refused; ours moves with the next deploy."""
    served.want(version=2)
    served.edit("versions: [2]", "versions: [2], labels: {stable: 2}")
    served.deploy("playbooks/at_once.yml")
    elsewhere = entry("ranker", 2, more='version_labels { key: "stable" value: 9 }')
    assert "not currently available for inference" in somebody_reloads(lab, "gpu1", elsewhere)
    served.want(version=4)
    served.edit("versions: [4]", "versions: [4], labels: {stable: 4}")
    served.deploy()
    serves(lab, 4)
    assert served.deploy().last_line == "OK: 3 hosts, nothing to do"


# File, flaps, GPUs, slow answers


def between(project: Project, script: str) -> None:
    """Have the playbook run a script on each host between `activate` and `verify`."""
    command = json.dumps(["sh", "-c", script])
    line = "    - verify: {timeout: 5m, golden: true, min_healthy_time: 0s}"
    project.edit(line, f"    - run: {{argv: {command}, changes: false}}\n{line}", file=PLAYBOOK)


@pytest.mark.long
def test_a_file_that_something_else_writes_is_found(lab: Lab, served: Project) -> None:
    """What lies on disk is read back after the activation: a server that restarts would serve something else."""
    between(served, f"sed -i 's/versions: 2/versions: 1/' {DIRECTORY}/config/model.config")
    result = deploy_taken_back(lab, served)
    assert "model.config on the host reads 'versions: 1' in line" in result.stderr
    assert "where 'versions: 2' was meant" in result.stderr


@pytest.mark.fault("F19")
def test_a_server_that_restarts_while_it_is_watched_is_not_healthy(lab: Lab, served: Project) -> None:
    """AVAILABLE before and after, with a crash in between: the host goes back to what it served."""
    served.edit("min_healthy_time: 0s", "min_healthy_time: 30s", file=PLAYBOOK)
    served.want(version=2)
    running = served.deploy_until(kind="step_progress", host="gpu1", task="verify")
    found = container(lab, "gpu1")
    assert found is not None
    on(lab, "gpu1", "kill", "-9", str(_pid_on(lab, "gpu1", found)))
    result = running.end()
    assert result.code == 3, str(result)
    assert "restarted 1 time by Docker" in result.stderr
    serves(lab, 1)
    assert traffic(lab) == {host: {"UP"} for host in machines(lab)}


def _pid_on(lab: Lab, host: str, found: Mapping[str, Mapping[str, object]]) -> int:
    """The container's first process, as its host numbers it."""
    pid = found["State"]["Pid"]
    assert isinstance(pid, int)
    return pid


@pytest.mark.fault("F18")
def test_a_container_that_loses_its_gpu_is_found(lab: Lab, served: Project) -> None:
    """The GPU vanishes from a running container, which answers on the CPU: the rollout stops, the host goes back and
    has its GPU again, as a restart gives it back.
    """
    assert on(lab, "gpu1", "docker", "exec", CONTAINER, "nvidia-smi", "-L").startswith("GPU 0: ")
    lost = "echo 'Failed to initialize NVML: Unknown Error'; exit 255"
    place = f"/run/fdlab/containers/$(docker ps --quiet --no-trunc --filter name=^{CONTAINER}$)/nvidia-smi"
    between(served, f'(echo "#!/bin/sh"; echo "{lost}") >{place}')
    result = deploy_taken_back(lab, served)
    assert "the server lost its GPU: nvidia-smi in its container ended with status 255" in result.stderr
    assert "Failed to initialize NVML: Unknown Error" in result.stderr
    assert on(lab, "gpu1", "docker", "exec", CONTAINER, "nvidia-smi", "-L").startswith("GPU 0: ")


@pytest.mark.long
@pytest.mark.fault("F19")
@pytest.mark.fault("F18")
def test_a_version_that_answers_too_slowly_is_taken_back(lab: Lab, served: Project) -> None:
    """Right answers that come after the bound are none: the error says how long it waited and what is allowed."""
    served.edit("golden: true,", "golden: true, request_timeout: 1s,", file=PLAYBOOK)
    faulty(served, 2, {"latency_ms": 3000})
    result = deploy_taken_back(lab, served)
    assert "had no answer after 1.0 s; 1 s are allowed" in result.stderr


def faulty(project: Project, version: int, faults: Mapping[str, object]) -> None:
    """Ship the version with a fault in it."""
    extra = project.root / INVENTORY / f"models/ranker/{version}/assets.extra"
    extra.mkdir(exist_ok=True)
    (extra / "standin_faults.json").write_text(json.dumps(faults), encoding="utf-8")


@pytest.mark.fault("F15")
def test_a_server_that_loops_at_start_is_told_with_its_count(lab: Lab, served: Project) -> None:
    """A version that fails at the start of a new container ends it again and again: known at once, with the log."""
    faulty(served, 2, {"load_error": "NOT_FOUND: injected"})
    result = deploy_taken_back(lab, served, image="fleetdeploy/standin:1.1")
    # How its server ended is known as well, unless the look falls between two of its ends.
    assert re.search(r"restarted \d+ times? by Docker", result.stderr), result.stderr
    assert "did not become available" in result.stderr, "the last lines of its log"


@pytest.mark.fault("F16")
def test_a_burnt_number_is_named_with_the_way_out(lab: Lab, served: Project) -> None:
    """A version that fails to load in a running server: its number, the server's words, and a new number as the way."""
    faulty(served, 2, {"load_error": "NOT_FOUND: injected"})
    result = deploy_taken_back(lab, served)
    assert "ranker: version 2 failed to load: NOT_FOUND: " in result.stderr
    assert "publish it under a new number" in result.stderr
    served.want(version=models.VERSIONS["ranker"][-1])
    served.deploy()
    serves(lab, 4)
