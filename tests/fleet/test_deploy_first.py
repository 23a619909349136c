"""The first deploy, and the same again: what is on the hosts then, by the hosts' own tools."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab
from tests.fleet.faults.means import rounds
from tests.fleet.load import load, nothing_failed
from tests.fleet.onlooker import (
    POOLS,
    SshdLog,
    admin_state,
    container,
    everything,
    identities,
    machines,
    make_new,
    on,
    serves,
    tell,
    traffic,
)
from tests.fleet.project import DIRECTORY, EMBEDDER, INVENTORY, Project, Result


@pytest.fixture(scope="module")
def first(lab: Lab, told_logs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, Result]]:
    """Empty hosts after one rolling deploy of two models. The tests of this file only look, and requests run through
    the balancer meanwhile, none of which may fail.
    """
    project = Project(lab, tmp_path_factory.mktemp("first"))
    project.edit("    models:\n", f"    models:{EMBEDDER}")
    result = project.deploy("--json", expect=None)
    with load(project) as report:
        yield project, result
    make_new(lab)
    nothing_failed(report)


@pytest.fixture(scope="module")
def done(first: tuple[Project, Result]) -> Project:
    return first[0]


def test_a_first_deploy_puts_every_model_in_service(lab: Lab, first: tuple[Project, Result]) -> None:
    """On empty hosts one deploy ends with both models served, answered as recorded, and getting traffic everywhere."""
    project, result = first
    assert (result.code, result.json["exit_code"]) == (0, 0), str(result)
    assert result.states() == dict.fromkeys(machines(lab), "changed")
    assert result.last_line == "OK: 3 of 3 hosts changed"
    serves(lab, 1)
    serves(lab, 1, model="embedder")
    with load(project, model="embedder") as report:
        project.run("status", "--exit-code")
    nothing_failed(report)


def test_the_files_on_the_host_are_those_of_the_manifest(lab: Lab, done: Project) -> None:
    """A version directory holds the source's files and no other, and the host's own sha256sum finds each as listed."""
    source = done.root / INVENTORY / "models/ranker/1"
    wanted = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
    for host in machines(lab):
        there = on(lab, host, "sh", "-c", f"cd {DIRECTORY}/models/ranker/1 && find . -type f | cut -c3- | sort")
        assert sorted(there.split("\n")) == sorted(["", *wanted])
        check = f"cd {DIRECTORY}/models/ranker/1 && sha256sum --check --strict {DIRECTORY}/manifests/ranker/1.sha256"
        assert on(lab, host, "sh", "-c", check).count(": OK\n") == len(wanted)
        modes = on(lab, host, "find", f"{DIRECTORY}/models", "-printf", "%y %m\n")
        assert set(modes.splitlines()) == {"d 755", "f 644"}
        assert on(lab, host, "ls", "-A", f"{DIRECTORY}/staging") == ""
        assert on(lab, host, "ls", "-A", f"{DIRECTORY}/models/ranker") == "1\n"


def test_the_container_is_kept_in_its_place(lab: Lab, done: Project) -> None:
    """The container runs on the nvidia runtime with its GPU, read-only, unprivileged, on an internal address alone."""
    for host in machines(lab):
        found = container(lab, host)
        assert found is not None
        limits, config = found["HostConfig"], found["Config"]
        assert limits["Runtime"] == "nvidia"
        assert "NVIDIA_VISIBLE_DEVICES=0" in config["Env"]
        assert {(mount["Destination"], mount["Source"], mount["RW"]) for mount in found["Mounts"]} == {
            ("/models", f"{DIRECTORY}/models", False),
            ("/config", f"{DIRECTORY}/config", False),
        }
        bound = {(port, item["HostIp"], item["HostPort"]) for port, items in found["NetworkSettings"]["Ports"].items()
                 for item in items}  # fmt: skip
        address = lab.host(host).address
        assert bound == {("8500/tcp", address, "8500"), ("8501/tcp", address, "8501")}
        assert config["User"] == "65534:65534"
        assert limits["CapDrop"] == ["ALL"]
        assert limits["CapAdd"] is None
        assert limits["Privileged"] is False
        assert limits["ReadonlyRootfs"] is True
        assert limits["SecurityOpt"] == ["no-new-privileges"]
        assert limits["RestartPolicy"]["Name"] == "unless-stopped"
        assert limits["PidsLimit"] == 4096
        current = on(lab, host, "cat", f"{DIRECTORY}/releases/current").strip()
        labels = {name: value for name, value in config["Labels"].items() if name.startswith("fleetdeploy.")}
        assert labels["fleetdeploy.service"] == "ranking"
        assert labels["fleetdeploy.release"] == current
        record = json.loads(on(lab, host, "cat", f"{DIRECTORY}/releases/{current}.json"))
        assert record["models"] == {"embedder": [1], "ranker": [1]}
        assert len(labels["fleetdeploy.spec"]) == 16
        _process_has_no_rights(lab, host, found["State"]["Pid"])


def _process_has_no_rights(lab: Lab, host: str, pid: int) -> None:
    """What the kernel says of the container's first process, and a write that must not work."""
    rows = dict(line.split(":\t", 1) for line in on(lab, host, "cat", f"/proc/{pid}/status").splitlines())
    assert rows["Uid"].split() == ["65534"] * 4
    assert {rows[name].strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {""}
    assert rows["NoNewPrivs"] == "1"
    mounts = [line.split() for line in on(lab, host, "cat", f"/proc/{pid}/mountinfo").splitlines()]
    options = {row[4]: row[5].split(",") for row in mounts}
    assert [options[place][0] for place in ("/", "/models", "/config")] == ["ro"] * 3


def test_the_nvidia_runtime_was_asked_for_that_device(lab: Lab, done: Project) -> None:
    """The device choice of the inventory is what the host's NVIDIA runtime was told when the container started."""
    for host in machines(lab):
        log = on(lab, host, "cat", "/var/log/nvidia-container-runtime.log")
        assert json.loads(log.splitlines()[-1])["visible_devices"] == "0"


def test_the_same_deploy_again_changes_nothing(lab: Lab, done: Project) -> None:
    """A second run exits 0, says that there is nothing to do, and leaves every file, container and server as it was."""
    serves(lab, 1)
    before, containers = everything(lab), identities(lab)
    result = done.deploy("--json")
    assert result.states() == dict.fromkeys(machines(lab), "ok")
    assert {host["steps_changed"] for host in result.json["hosts"].values()} == {0}
    assert result.last_line == "OK: 3 hosts, nothing to do"
    assert everything(lab) == before
    assert identities(lab) == containers


def test_a_run_without_work_costs_one_connection_and_one_command_a_host(lab: Lab, done: Project) -> None:
    """A run with nothing to do logs in to each host once and runs one command there; of the balancer's host it asks the
    balancer alone, who serves and whom it keeps out for a run.
    """
    logs = {host: SshdLog(lab, host) for host in lab.hosts}
    done.deploy()
    for host in machines(lab):
        log = logs[host].read()
        assert (log.connections, log.logins, log.commands) == (1, 1, 1), log.text
        assert log.channels == ["session"], log.text
    log = logs["lb"].read()
    assert (log.connections, log.logins, log.commands) == (1, 1, 0), log.text
    assert log.channels == ["direct-streamlocal@openssh.com"] * 2, log.text


def test_a_quiet_run_without_work_prints_nothing_but_failures(done: Project) -> None:
    """From cron, a run with nothing to do and `--quiet` prints not a byte."""
    result = done.deploy("--quiet")
    assert (result.stdout, result.stderr) == ("", "")


@pytest.mark.parametrize(
    "words", rounds([["plan"], ["deploy", "--check"], ["status"], ["plan", "--json"]], in_ci=3), ids=" ".join
)
def test_looking_changes_nothing_anywhere(lab: Lab, done: Project, tmp_path: Path, words: list[str]) -> None:
    """With a new version, image and template waiting, `plan`, `--check` and `status` change no byte and no state."""
    waiting = Project(lab, tmp_path)
    waiting.want(version=2, image="fleetdeploy/standin:1.1")
    before, containers = everything(lab), identities(lab)
    result = waiting.run(*words, "--allow-remove") if words != ["status"] else waiting.run(*words)
    assert "gpu1" in result.stdout
    assert everything(lab) == before
    assert identities(lab) == containers
    assert not (waiting.state / "runs").exists()


def test_a_plan_says_what_would_change_and_why(lab: Lab, done: Project, tmp_path: Path) -> None:
    """A plan names the hosts, their files, bytes and links, the configuration's difference, and exits 10 when asked."""
    waiting = Project(lab, tmp_path)
    waiting.edit("    models:\n", f"    models:{EMBEDDER}")
    waiting.want(version=2)
    plan = waiting.run("plan", "--exit-code", expect=10).stdout
    assert plan.splitlines()[0] == "gpu1, gpu2, gpu3"
    assert "service ranking: reload, only the model configuration changed" in plan
    assert re.search(r"stage ranker/2: copy [1-9][0-9]* KiB, the rest linked from 1\n", plan)
    assert "-        versions: 1" in plan
    assert "+        versions: 2" in plan
    assert plan.strip().splitlines()[-1].startswith("PLAN: 3 of 3 hosts would change")
    assert done.run("plan", "--exit-code").stdout.strip().splitlines()[-1] == "PLAN: 0 of 3 hosts would change"


def test_a_host_that_an_operator_drained_stays_drained(lab: Lab, done: Project) -> None:
    """A run with nothing to do does not undrain a host that a person took out of the balancer by hand."""
    tell(lab, "gpu2", "drain")
    try:
        before = admin_state(lab)
        done.deploy()
        assert admin_state(lab) == before
        assert traffic(lab)["gpu2"] == {"DRAIN"}
        lines = done.run("status").stdout.splitlines()
        assert len([line for line in lines if "drained" in line]) == len(POOLS)
    finally:
        tell(lab, "gpu2", "ready")
