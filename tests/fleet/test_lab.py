"""The lab itself: real hosts, reached as real hosts are, that leave nothing behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetdeploy.errors import LabError
from fleetdeploy.lab import network
from fleetdeploy.lab.fleet import Lab, leftovers
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.tiny_image import BrokenImage, TinyImage

IMAGE = TinyImage().tags[0]
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def small(tiny_image: TinyImage) -> Iterator[Lab]:
    lab = Lab(f"s{os.getpid()}")
    lab.up(hosts=2, image=tiny_image, owner_pid=os.getpid())
    try:
        yield lab
    finally:
        lab.down()
    assert leftovers(lab.name) == []


def ssh(lab: Lab, host: str, *options: str) -> subprocess.CompletedProcess[str]:
    argv = ["ssh", "-F", str(lab.paths.ssh_config), *options, host, "hostname"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, check=False)


def test_every_host_is_reached_by_ssh_with_the_written_files(small: Lab) -> None:
    """The ssh_config and known_hosts that the lab writes let any OpenSSH client log in to every host by its name."""
    assert [ssh(small, name).stdout for name in small.hosts] == ["gpu1\n", "gpu2\n", "lb\n"]


def test_another_key_is_refused_as_host_key_and_as_user_key(small: Lab, tmp_path: Path) -> None:
    """A host with another key than the pinned one is refused by the client, and another user key by the host."""
    other = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(other)], check=True, timeout=30)
    kind, blob = other.with_suffix(".pub").read_text().split()[:2]
    (tmp_path / "known_hosts").write_text(f"gpu1 {kind} {blob}\n")
    changed = ssh(small, "gpu1", "-o", f"UserKnownHostsFile={tmp_path}/known_hosts")
    assert changed.returncode == 255
    assert "Host key verification failed" in changed.stderr
    plain = ["ssh", "-F", "none", "-i", str(other), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
             "-o", f"UserKnownHostsFile={small.paths.known_hosts}", "-o", "IdentityAgent=none",
             f"root@{small.host('gpu1').door_address}", "hostname"]  # fmt: skip
    if small.host("gpu1").ssh_port != 22:
        plain[1:1] = ["-p", str(small.host("gpu1").ssh_port)]
    stranger = subprocess.run(plain, capture_output=True, text=True, timeout=30, check=False)
    assert stranger.returncode == 255
    assert "Permission denied (publickey)" in stranger.stderr


def test_a_container_on_the_nvidia_runtime_sees_its_device(small: Lab) -> None:
    """The nvidia runtime starts a container for devices the host has, and records which were asked for."""
    argv = ["docker", "run", "--rm", "--runtime=nvidia", "-e", "NVIDIA_VISIBLE_DEVICES=0,1", IMAGE, "env"]
    assert "NVIDIA_VISIBLE_DEVICES=0,1" in small.ssh("gpu1", argv).stdout
    log = small.ssh("gpu1", ["cat", "/var/log/nvidia-container-runtime.log"]).stdout
    assert json.loads(log.splitlines()[-1])["visible_devices"] == "0,1"


@pytest.mark.parametrize(("devices", "message"), [
    (["-e", "NVIDIA_VISIBLE_DEVICES=0,7"], "device error: 7: unknown device"),
    ([], "NVIDIA_VISIBLE_DEVICES is not set"),
])  # fmt: skip
def test_a_container_for_a_device_the_host_lacks_is_refused(small: Lab, devices: list[str], message: str) -> None:
    """The nvidia runtime refuses a device that the host does not have, and a container that names none at all."""
    argv = ["docker", "run", "--rm", "--runtime=nvidia", *devices, IMAGE, "env"]
    done = small.ssh("gpu1", argv, check=False)
    assert done.returncode != 0
    assert message in done.stderr


def test_nvidia_smi_answers_as_the_inventory_says(small: Lab, tmp_path: Path) -> None:
    """The fake nvidia-smi and the written inventory describe the same GPUs."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,compute_cap", "--format=csv,noheader,nounits"]
    answers = small.ssh("gpu2", query).stdout.splitlines()
    assert answers == ["NVIDIA H200, 143771, 9.0"] * 2
    inventory = small.write_inventory(tmp_path / "lab" / "hosts.yml").read_text()
    assert '{count: 2, model: "NVIDIA H200", memory: "140GiB", compute_capability: "9.0"}' in inventory


def test_nvidia_smi_refuses_what_the_real_one_refuses(small: Lab) -> None:
    """An unknown field and an unknown device get the real tool's words and exit status."""
    field = small.ssh("gpu1", ["nvidia-smi", "--query-gpu=frobs", "--format=csv"], check=False)
    assert (field.returncode, field.stdout.strip()) == (2, 'Field "frobs" is not a valid field to query.')
    device = small.ssh("gpu1", ["nvidia-smi", "-L", "-i", "5"], check=False)
    assert (device.returncode, device.stdout.strip()) == (6, "No devices were found")


def test_a_reboot_keeps_files_and_restarts_containers(small: Lab) -> None:
    """After a reboot /srv is as before, a container with a restart policy runs again, and the boot id is another."""
    script = "mkdir -p /srv/a && echo kept >/srv/a/one && ln /srv/a/one /srv/two && mv /srv/a /srv/b"
    small.ssh("gpu2", ["sh", "-c", script])
    small.ssh("gpu2", ["docker", "run", "-d", "--name", "stays", "--restart", "unless-stopped", IMAGE])
    boot = small.ssh("gpu2", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout
    small.reboot("gpu2")
    assert small.ssh("gpu2", ["cat", "/srv/b/one"]).stdout == "kept\n"
    assert small.ssh("gpu2", ["cat", "/proc/sys/kernel/random/boot_id"]).stdout != boot
    running = ["docker", "inspect", "--format", "{{.State.Running}}", "stays"]
    wait_until(lambda: "true" in small.ssh("gpu2", running).stdout, "the container runs again", deadline_s=20)
    small.ssh("gpu2", ["docker", "rm", "-f", "stays"])


def test_a_host_that_is_off_is_off(small: Lab) -> None:
    """A host whose power is cut answers nobody, and does again when it is back."""
    small.power_off("gpu1")
    try:
        assert ssh(small, "gpu1").returncode == 255
        assert [host.running for host in small.status().hosts] == [False, True, True]
    finally:
        small.power_on("gpu1")
    assert ssh(small, "gpu1").stdout == "gpu1\n"


def test_a_killed_docker_engine_is_started_again(small: Lab) -> None:
    """A host outlives its Docker engine, which can be started again with the images it had."""
    small.run_on("gpu1", ["sh", "-c", 'kill -9 "$(cat /run/docker.pid)"'])
    assert small.ssh("gpu1", ["docker", "ps"], check=False).returncode != 0
    small.start_service("gpu1", "docker")
    asked = ["docker", "image", "inspect", "--format", "{{.Id}}", IMAGE]
    wait_until(lambda: small.ssh("gpu1", asked, check=False).returncode == 0, "the engine is back", deadline_s=30)


def test_all_hosts_have_the_same_image_id(small: Lab) -> None:
    """An image has one id on all hosts, as if all had pulled it from one registry."""
    asked = ["docker", "image", "inspect", "--format", "{{.Id}}", IMAGE]
    assert small.ssh("gpu1", asked).stdout == small.ssh("gpu2", asked).stdout


def test_haproxy_knows_every_host_and_finds_them_down(small: Lab) -> None:
    """HAProxy answers on its admin socket, and a host without a container is DOWN for REST and gRPC alike."""

    def all_down() -> bool:
        rows = [line.split(",") for line in small.balancer_command("show stat").splitlines()]
        states = {(row[0], row[1]): row[17] for row in rows if len(row) > 17 and row[1].startswith("gpu")}
        wanted = {(pool, host) for pool in ("ranking_rest", "ranking_grpc") for host in ("gpu1", "gpu2")}
        return states.keys() == wanted and all(state.startswith("DOWN") for state in states.values())

    wait_until(all_down, "all servers are DOWN", deadline_s=10)


def test_a_host_that_answers_is_up_until_it_does_not(lab: Lab) -> None:
    """HAProxy finds a host UP for REST and gRPC once its model server answers, and DOWN when that has gone."""

    def states() -> set[str]:
        rows = [line.split(",") for line in lab.balancer_command("show stat").splitlines()]
        return {row[17] for row in rows if len(row) > 17 and row[1] == "gpu1"}

    address, name = lab.host("gpu1").address, "answers"
    lab.ssh("gpu1", ["sh", "-c", "mkdir -p /srv/answers && echo 'model_config_list {}' >/srv/answers/model.config"])
    lab.ssh("gpu1", [
        "docker", "run", "-d", "--name", name, "--runtime=nvidia", "-e", "NVIDIA_VISIBLE_DEVICES=0",
        "-p", f"{address}:8501:8501", "-p", f"{address}:8500:8500", "-v", "/srv/answers:/answers:ro",
        lab.images[0], "--model_config_file=/answers/model.config",
    ])  # fmt: skip
    try:
        wait_until(lambda: states() == {"UP"}, "gpu1 is UP", deadline_s=60, interval_s=0.1)
    finally:
        lab.ssh("gpu1", ["docker", "rm", "-f", name])
        lab.ssh("gpu1", ["rm", "-rf", "/srv/answers"])
    wait_until(lambda: states() == {"DOWN"}, "gpu1 is DOWN", deadline_s=10, interval_s=0.1)


def test_the_balancer_answers_through_its_door(small: Lab) -> None:
    """The balancer's REST port is reached from this machine, and says that no host serves."""
    with socket.create_connection(small.door("lb", 8501), timeout=10) as connection:
        connection.sendall(b"GET /v1/models/ranker HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 503")


def test_a_command_can_join_the_fleets_network(small: Lab) -> None:
    """A command of this machine can run inside the fleet's network, where hosts have their own addresses."""
    script = "import socket; print(socket.create_connection(('10.77.0.12', 22), 5).recv(4).decode())"
    done = subprocess.run([*small.nsenter_argv(), sys.executable, "-I", "-c", script], capture_output=True, text=True,
                          timeout=30, check=True)  # fmt: skip
    assert done.stdout == "SSH-\n"


def test_a_second_up_is_refused_and_harms_nothing(small: Lab, tiny_image: TinyImage) -> None:
    """`up` of a lab that is up is an error, and so is one from another state directory; the lab stays as it is."""
    with pytest.raises(LabError, match="is up already"):
        small.up(hosts=1, image=tiny_image)
    assert ssh(small, "gpu1").stdout == "gpu1\n"


def test_a_lab_is_not_taken_over_from_another_state_directory(small: Lab, tmp_path: Path) -> None:
    """A lab of the same name with its state elsewhere is neither removed nor replaced."""
    with pytest.raises(LabError, match="with its state in"):
        Lab(small.name, state_home=tmp_path).down()
    assert ssh(small, "gpu1").stdout == "gpu1\n"


def test_two_labs_live_side_by_side(small: Lab, tiny_image: TinyImage) -> None:
    """A second lab comes and goes, with a state directory of its own, and the first does not notice."""
    other = Lab(f"u{os.getpid()}")
    try:
        other.up(hosts=1, image=tiny_image, owner_pid=os.getpid())
        assert other.record.slot != small.record.slot
        assert ssh(other, "gpu1").stdout == "gpu1\n"
        assert (
            other.ssh("gpu1", ["cat", "/etc/machine-id"]).stdout != small.ssh("gpu1", ["cat", "/etc/machine-id"]).stdout
        )
    finally:
        other.down()
    assert leftovers(other.name) == []
    assert ssh(small, "gpu1").stdout == "gpu1\n"


def test_down_twice_and_down_without_a_record_leave_nothing(tiny_image: TinyImage) -> None:
    """`down` removes a lab whose state directory is damaged, and is content when there is no lab."""
    lab = Lab(f"d{os.getpid()}")
    lab.up(hosts=1, image=tiny_image, owner_pid=os.getpid())
    lab.paths.record.unlink()
    (lab.paths.host("gpu1") / "process.json").unlink()
    lab.down()
    assert leftovers(lab.name) == []
    lab.down()
    assert leftovers(lab.name) == []


OWNER = """
import os, sys, time
from fleetdeploy.lab.fleet import Lab
from tests.fleet import tiny_image
Lab(sys.argv[1]).up(hosts=1, image=getattr(tiny_image, sys.argv[2])(), owner_pid=os.getpid())
print("up", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("moment", ["network", "image", "up"])
def test_a_lab_ends_with_its_killed_owner(moment: str) -> None:
    """SIGKILL of the process that owns a lab leaves nothing, be it while the lab is made or when it is up."""
    lab = Lab(f"k{os.getpid()}")
    image = "SlowImage" if moment == "image" else "TinyImage"
    argv = [sys.executable, "-c", OWNER, lab.name, image]
    owner = subprocess.Popen(argv, cwd=REPOSITORY, stdout=subprocess.PIPE)
    try:
        with owner:
            assert owner.stdout is not None
            sign = {
                "network": network.host_namespace(lab.paths.prefix, "gpu1"),
                "image": lab.paths.cache / f"{lab.paths.prefix}golden" / "scratch" / "loaded",
            }
            if moment in sign:
                wait_until(sign[moment].exists, "the moment has come", deadline_s=30, interval_s=0.001)
            else:
                assert owner.stdout.readline() == b"up\n"
            owner.send_signal(signal.SIGKILL)
        wait_until(lambda: not leftovers(lab.name), "nothing is left", deadline_s=60)
        assert not list(lab.paths.cache.glob("golden-slow*"))
    finally:
        lab.down()


def test_a_failed_up_leaves_nothing() -> None:
    """`up` with an image that cannot be built raises, and removes what it had made by then."""
    lab = Lab(f"b{os.getpid()}")
    with pytest.raises(LabError, match="cannot be built"):
        lab.up(hosts=1, image=BrokenImage(), owner_pid=os.getpid())
    assert leftovers(lab.name) == []
    assert not list(lab.paths.cache.glob("golden-broken*"))


def test_an_image_that_cannot_be_pulled_is_an_error_and_leaves_the_machine_alone() -> None:
    """A registry that does not answer is an error, and the engine that asked it changed no network setting."""

    def machine() -> tuple[str, str]:
        links = subprocess.run(["ip", "-oneline", "address"], capture_output=True, text=True, timeout=10, check=True)
        return links.stdout, Path("/proc/sys/net/ipv4/ip_forward").read_text()

    lab, before = Lab(f"p{os.getpid()}"), machine()
    with pytest.raises(LabError, match=r"cannot pull 127\.0\.0\.1:1/none:1"):
        lab.up(hosts=1, image="127.0.0.1:1/none:1", owner_pid=os.getpid())
    assert leftovers(lab.name) == []
    assert machine() == before
