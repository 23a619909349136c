"""The files a lab writes for others to read."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from fleetdeploy.lab import assembly, balancer, keys, processes
from fleetdeploy.lab.images import PulledImage
from fleetdeploy.lab.inventory_file import inventory, write_inventory
from fleetdeploy.lab.state import HostRecord, LabPaths, LabRecord

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFleet gpu1"


def record_of(hosts: int, *, ssh_port: int = 22) -> LabRecord:
    fleet = tuple(
        replace(host, door_address=f"127.77.1.{host.number}", doors={22: ssh_port}) for host in assembly.fleet_of(hosts)
    )
    return LabRecord("lab", "up", fleet, 1, "h200", 2)


def test_the_inventory_names_every_host_and_how_to_reach_it(tmp_path: Path) -> None:
    """The inventory is YAML with the groups gpu and balancers, each host's door, the key and the pinned host keys."""
    paths = LabPaths.of("lab", state_home=tmp_path)
    parsed = yaml.safe_load(write_inventory(record_of(2), paths, tmp_path / "a" / "hosts.yml").read_text())["all"]
    assert parsed["vars"] == {
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(paths.client_key),
        "fleetdeploy_known_hosts": str(paths.known_hosts),
    }
    gpus = parsed["children"]["gpu"]
    assert gpus["hosts"] == {
        "gpu1": {"ansible_host": "127.77.1.11", "fleet_address": "10.77.0.11"},
        "gpu2": {"ansible_host": "127.77.1.12", "fleet_address": "10.77.0.12"},
    }
    expected = {"count": 2, "model": "NVIDIA H200", "memory": "140GiB", "compute_capability": "9.0"}
    assert gpus["vars"]["gpus"] == expected
    assert list(parsed["children"]["balancers"]["hosts"]) == ["lb"]


def test_the_inventory_names_the_port_only_where_it_is_another(tmp_path: Path) -> None:
    """A door that could not have port 22 is written with its port."""
    text = inventory(record_of(1, ssh_port=20022), LabPaths.of("lab", state_home=tmp_path))
    hosts = yaml.safe_load(text)["all"]["children"]["gpu"]["hosts"]
    assert hosts["gpu1"]["ansible_port"] == 20022


def test_a_host_is_known_by_door_address_and_name() -> None:
    """A known_hosts line covers every way to name the host, with the port in brackets where it is not 22."""
    host = HostRecord("gpu1", "gpu", 11, "127.77.1.11", {22: 22})
    blob = KEY.rpartition(" ")[0]
    assert keys.known_hosts_line(host, KEY) == f"127.77.1.11,10.77.0.11,gpu1 {blob}\n"
    moved = replace(host, doors={22: 20022})
    assert keys.known_hosts_line(moved, KEY) == f"[127.77.1.11]:20022,10.77.0.11,gpu1 {blob}\n"


def test_the_ssh_config_trusts_nothing_but_the_labs_keys(tmp_path: Path) -> None:
    """The client configuration checks host keys strictly against the lab's own file, for every host."""
    text = keys.ssh_config(record_of(2).hosts, LabPaths.of("lab", state_home=tmp_path))
    assert [line.split()[1] for line in text.splitlines() if line.startswith("Host ")] == ["gpu1", "gpu2", "lb", "*"]
    assert "StrictHostKeyChecking yes" in text
    assert "GlobalKnownHostsFile /dev/null" in text


def test_haproxy_has_one_server_per_host_in_both_backends() -> None:
    """Every host is a REST server that is checked, and a gRPC server that follows it."""
    text = balancer.haproxy_config([host for host in record_of(3).hosts if host.role == "gpu"])
    for number in (1, 2, 3):
        assert f"  server gpu{number} 10.77.0.1{number}:8501 check\n" in text
        assert f"  server gpu{number} 10.77.0.1{number}:8500 proto h2 track ranking_rest/gpu{number}\n" in text


def test_haproxy_repeats_no_request_that_was_sent() -> None:
    """Only a connection that could not be made is tried again: a failed request must be seen to fail."""
    retried = [line.split() for line in balancer.haproxy_config([]).splitlines() if "retry-on" in line]
    assert retried == [["retry-on", "conn-failure"]]


def test_pulled_images_are_cached_under_their_reference() -> None:
    """Two references never share a cache entry, and none leaves the cache directory."""
    references = [
        "tensorflow/serving:2.19.0",
        "tensorflow/serving:2.19.1",
        "tensorflow/serving@sha256:ab",
        "a/b",
        "a_b",
    ]
    found = [PulledImage(reference).key for reference in references]
    assert len(set(found)) == len(references)
    assert not any("/" in key for key in found)


def test_a_missing_program_is_named_by_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """What this machine lacks is said as the packages to install, each once."""
    lacking = {"ssh", "ssh-keygen", "haproxy"}
    monkeypatch.setattr(shutil, "which", lambda name, **_: None if name in lacking else f"/usr/bin/{name}")
    assert processes.missing_packages() == ["haproxy", "openssh-client"]


def test_the_end_of_a_text_is_its_last_lines() -> None:
    """An error shows the last lines of a log, not the first."""
    assert processes.tail("\n".join(map(str, range(30))), lines=3) == "27\n28\n29"
