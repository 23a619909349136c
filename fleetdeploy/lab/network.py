"""The fleet's network: a bridge in a namespace of its own, and one namespace per host with a cable (veth) to it.

Nothing is added to the machine's own network namespace, so its routes and packet filters are neither used nor changed,
and no packet of the fleet can leave the machine.
"""

from __future__ import annotations

from pathlib import Path

from fleetdeploy.lab.processes import run
from fleetdeploy.lab.state import FLEET_NETWORK, HostRecord

NAMESPACES = Path("/run/netns")


def switch_namespace(prefix: str) -> Path:
    """The namespace with the bridge."""
    return NAMESPACES / f"{prefix}sw"


def host_namespace(prefix: str, host: str) -> Path:
    """The namespace of one host."""
    return NAMESPACES / f"{prefix}{host}"


def namespaces_of(prefix: str) -> list[Path]:
    """The network namespaces that exist under this prefix."""
    return sorted(NAMESPACES.glob(f"{prefix}*")) if NAMESPACES.is_dir() else []


def add_switch(prefix: str) -> None:
    """Make the namespace with the bridge. Its own address is where the doorway and load generators come from."""
    namespace = switch_namespace(prefix).name
    run(["ip", "netns", "add", namespace])
    _batch(
        namespace,
        "link set lo up",
        "link add br0 type bridge",
        f"address add {FLEET_NETWORK}.1/16 dev br0",
        "link set br0 up",
    )
    # A host that is off is noticed after three unanswered questions for its address: one second instead of three.
    knob = "/proc/sys/net/ipv4/neigh/br0/retrans_time_ms"
    run(["nsenter", f"--net={NAMESPACES / namespace}", "sh", "-c", f"echo 300 >{knob}"])


def add_host(prefix: str, host: HostRecord) -> None:
    """Make a host's namespace and plug its eth0 into the bridge.

    The hardware address follows from the host's number: after a reboot its neighbours must not ask for the old one.
    """
    namespace = host_namespace(prefix, host.name).name
    run(["ip", "netns", "add", namespace])
    port = _bridge_port(host)
    hardware = f"02:fd:00:00:00:{host.number:02x}"
    _batch(
        switch_namespace(prefix).name,
        f"link add {port} type veth peer name eth0 address {hardware} netns {namespace}",
        f"link set {port} master br0 up",
    )
    _batch(namespace, "link set lo up", f"address add {host.address}/16 dev eth0", "link set eth0 up")


def cut_cable(prefix: str, host: HostRecord) -> None:
    """Take the host off the bridge at once: no FIN, no RST, as when its power is cut."""
    switch = switch_namespace(prefix).name
    run(["ip", "-n", switch, "link", "delete", _bridge_port(host)], check=False)
    run(["ip", "-n", switch, "neighbour", "delete", host.address, "dev", "br0"], check=False)


def remove_namespace(path: Path) -> None:
    """Remove a namespace with all links in it. It must hold no process any more."""
    run(["ip", "netns", "delete", path.name], check=False)
    path.unlink(missing_ok=True)


def _bridge_port(host: HostRecord) -> str:
    return f"port{host.number}"


def _batch(namespace: str, *commands: str) -> None:
    run(["ip", "-n", namespace, "-batch", "-"], stdin="\n".join(commands) + "\n")
