"""From a resolved service and what its host has to the container it shall run in."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from fleetdeploy.domain.redaction import SHOWN
from fleetdeploy.domain.secret import Secret, is_fingerprint
from fleetdeploy.domain.service import ContainerSpec, DesiredService, ServiceWish

GRPC_PORT = 8500
REST_PORT = 8501
MODELS_TARGET = "/models"
CONFIG_TARGET = "/config"
METRICS_FLAG = f"--monitoring_config_file={CONFIG_TARGET}/monitoring.config"
"""In a container's command: its server reads what ``write_monitoring`` wrote."""
ENTRYPOINT = ("/usr/bin/tensorflow_model_server",)

OWN_FLAGS = ("port", "rest_api_port", "model_config_file", "model_config_file_poll_wait_seconds")
"""Server flags that fleetdeploy sets itself and an inventory may not."""

_SECRET = re.compile(r"(?i)password|passwd|secret|token|credential|private|(?:^|_)key(?:$|_)|apikey")

DEFAULT_FLAGS = {
    # With 0 load threads a failing load sleeps inside the server's own loop and blocks every other model.
    "num_load_threads": "2",
    "num_unload_threads": "1",
    # The default, 5 retries a minute apart, would keep a broken version LOADING for more than 5 minutes.
    "max_num_load_retries": "1",
    "load_retry_interval_micros": "1000000",
    # Labels are checked before anything is loaded, so without this a server whose file has labels never starts.
    "allow_version_labels_for_unavailable_models": "true",
}


def container_name(service: str) -> str:
    """The name of a service's container; the one it replaced keeps ``.previous`` behind it."""
    return f"fleetdeploy-{service}"


def previous_name(service: str) -> str:
    """The name under which the container before the present one is kept, stopped, for a revert."""
    return f"{container_name(service)}.previous"


def bind_address(bind: str, addresses: Sequence[str]) -> str | None:
    """The host address a service binds to: ``bind`` itself, or the host's lowest address inside that network.

    None when the host has no address in it.
    """
    if "/" not in bind:
        return bind
    network = ipaddress.ip_network(bind, strict=False)
    inside = sorted(address for address in map(ipaddress.ip_address, addresses) if address in network)
    return str(inside[0]) if inside else None


def server_flags(wish: ServiceWish) -> tuple[str, ...]:
    """The server's arguments, in a fixed order so that an unchanged service gives an unchanged hash."""
    flags = {**DEFAULT_FLAGS, **wish.flags}
    own = {
        "port": str(GRPC_PORT),
        "rest_api_port": str(REST_PORT),
        "model_config_file": f"{CONFIG_TARGET}/model.config",
    }
    said = tuple(f"--{name}={value}" for name, value in (*own.items(), *sorted(flags.items())))
    return (*said, METRICS_FLAG) if wish.metrics else said


def environment(wish: ServiceWish) -> Mapping[str, str]:
    """The container's environment; the NVIDIA runtime reads the device choice from it."""
    chosen = {name: value.reveal() if isinstance(value, Secret) else value for name, value in wish.environment.items()}
    if wish.runtime == "nvidia":
        chosen["NVIDIA_VISIBLE_DEVICES"] = wish.gpus.visible_devices()
    return chosen


def shown_environment(values: Mapping[str, str]) -> Mapping[str, str]:
    """The environment as plans and reports may show it: secrets, and what a name gives away as one, are masked."""
    return {
        name: SHOWN if is_fingerprint(value) else "***" if _SECRET.search(name) else value
        for name, value in sorted(values.items())
    }


def changed_fields(recorded: Mapping[str, object], spec: ContainerSpec) -> tuple[str, ...]:
    """The names of the fields in which ``spec`` differs from a recorded container's, in alphabetical order."""
    return tuple(sorted(name for name, value in spec.fields().items() if recorded.get(name) != value))


def container_spec(
    desired: DesiredService, *, address: str, image_id: str, recorded: Mapping[str, object] | None = None
) -> ContainerSpec:
    """The container of ``desired`` on a host whose bind address and local image id are known.

    An empty ``image_id`` stands for an image that still has to be pulled. ``recorded`` are the fields of the container
    in the host's release record: secrets that are still the same keep their fingerprints.
    """
    wish = desired.wish
    before = (recorded or {}).get("environment")
    known = before if isinstance(before, Mapping) else {}
    return ContainerSpec(
        name=container_name(wish.name),
        image=wish.image,
        image_id=image_id,
        entrypoint=ENTRYPOINT,
        command=server_flags(wish),
        environment=environment(wish),
        mounts=(
            (str(wish.directory / "models"), MODELS_TARGET),
            (str(wish.directory / "config"), CONFIG_TARGET),
        ),
        ports={GRPC_PORT: (address, wish.ports.grpc), REST_PORT: (address, wish.ports.rest)},
        runtime=wish.runtime,
        user=wish.user,
        memory_bytes=wish.memory_bytes,
        fingerprints={
            name: value.fingerprint(known.get(name))
            for name, value in wish.environment.items()
            if isinstance(value, Secret)
        },
    )
