"""From a service to its container: flags, devices, mounts, addresses, and a hash that changes only when they do."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulation.controller import desired

from fleetdeploy.domain.service import ContainerSpec, GpuRequest, spec_hash
from fleetdeploy.planning.container import OWN_FLAGS, bind_address, container_spec, server_flags


def spec(**changes: object) -> ContainerSpec:
    service = desired(1)
    return container_spec(
        replace(service, wish=replace(service.wish, **changes)),  # type: ignore[arg-type]
        address="10.0.0.1",
        image_id="sha256:1",
    )


@pytest.mark.parametrize(
    ("bind", "addresses", "found"),
    [
        ("10.1.2.3", (), "10.1.2.3"),
        ("10.0.0.0/8", ("127.0.0.1", "10.0.0.9", "10.0.0.10"), "10.0.0.9"),
        ("10.0.0.1/8", ("10.200.0.1",), "10.200.0.1"),
        ("10.0.0.0/8", ("192.168.0.1", "fe80::1"), None),
        ("fd00::/8", ("10.0.0.1", "fd00::2", "fd00::1"), "fd00::1"),
        ("10.0.0.0/8", (), None),
    ],
)
def test_a_service_binds_to_the_lowest_address_in_its_network(
    bind: str, addresses: tuple[str, ...], found: str | None
) -> None:
    """Addresses are compared as numbers, not as text, and a network without an address of the host gives None."""
    assert bind_address(bind, addresses) == found


def test_the_container_is_what_the_product_promises() -> None:
    """Ports on one address, models and configuration mounted, the chosen devices, the server as entry point."""
    made = spec(gpus=GpuRequest(devices=(0, 3)), environment={"TF_CPP_MIN_LOG_LEVEL": "1"})
    assert made.name == "fleetdeploy-ranking"
    assert made.entrypoint == ("/usr/bin/tensorflow_model_server",)
    assert made.ports == {8500: ("10.0.0.1", 8500), 8501: ("10.0.0.1", 8501)}
    assert made.mounts == (
        ("/srv/fleetdeploy/ranking/models", "/models"),
        ("/srv/fleetdeploy/ranking/config", "/config"),
    )
    assert made.environment == {"NVIDIA_VISIBLE_DEVICES": "0,3", "TF_CPP_MIN_LOG_LEVEL": "1"}
    assert made.restart == "unless-stopped"
    assert made.user == "65534:65534"


@pytest.mark.parametrize(
    ("request_", "devices"),
    [(GpuRequest(), "void"), (GpuRequest(all=True), "all"), (GpuRequest(count=2), "0,1"),
     (GpuRequest(devices=(3, 1)), "3,1")],
)  # fmt: skip
def test_devices_as_the_nvidia_runtime_reads_them(request_: GpuRequest, devices: str) -> None:
    """A service that wants no GPU gets ``void``: without the variable the runtime would hand over nothing or all."""
    assert spec(gpus=request_).environment["NVIDIA_VISIBLE_DEVICES"] == devices


def test_metrics_are_one_more_flag() -> None:
    """With them the server reads its file of the mounted directory; without, nothing of a container changes."""
    assert spec(metrics=True).command == (*spec().command, "--monitoring_config_file=/config/monitoring.config")
    assert not any("monitoring" in flag for flag in spec().command)


def test_another_runtime_gets_no_devices() -> None:
    """The NVIDIA variable belongs to the NVIDIA runtime."""
    assert "NVIDIA_VISIBLE_DEVICES" not in spec(runtime="runc").environment


def test_flags_of_the_inventory_win_over_defaults_but_not_over_ours() -> None:
    """Load threads can be set; where the server listens and what it reads cannot."""
    flags = server_flags(replace(desired(1).wish, flags={"num_load_threads": "7", "zeta": "1", "alpha": "2"}))
    assert "--num_load_threads=7" in flags
    assert flags.index("--alpha=2") < flags.index("--zeta=1")
    assert flags[:3] == ("--port=8500", "--rest_api_port=8501", "--model_config_file=/config/model.config")
    assert {"port", "rest_api_port", "model_config_file", "model_config_file_poll_wait_seconds"} == set(OWN_FLAGS)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.text("ABC_", min_size=1), st.text(max_size=5), max_size=5), st.randoms())
def test_the_spec_hash_does_not_know_the_order_of_keys(variables: dict[str, str], chance: object) -> None:
    """Environment and flags in another order, or read back from JSON, are the same container."""
    turned = dict(sorted(variables.items(), reverse=True))
    one, two = spec(environment=variables, flags=variables), spec(environment=turned, flags=turned)
    assert one.spec_hash == two.spec_hash == spec_hash(two.fields())


def test_every_field_is_in_the_hash() -> None:
    """A change of any field needs a new container, so it gives another hash."""
    base = spec()
    others = {
        "name": "x", "image": "x", "image_id": "x", "entrypoint": ("x",), "command": ("x",), "environment": {"x": "x"},
        "mounts": (("x", "x"),), "ports": {1: ("x", 1)}, "runtime": "x", "user": "x", "memory_bytes": 1,
        "pids_limit": 1, "restart": "no",
    }  # fmt: skip
    assert set(others) == set(base.fields())
    hashes = {replace(base, **{name: value}).spec_hash for name, value in others.items()}  # type: ignore[arg-type]
    assert len(hashes | {base.spec_hash}) == len(others) + 1
