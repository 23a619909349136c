"""The way to a host, made by Fabric from ssh_config and the inventory, with our own answer to whom to trust.

Fabric accepts any unknown key by default; here every hop, gateways included, gets a client that trusts pinned keys
only, weak algorithms taken away, and timeouts on every phase. Fabric's own settings files are not read.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fabric
import paramiko

from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import HostError
from fleetdeploy.remote.ssh.config import Hop
from fleetdeploy.remote.ssh.failures import translated
from fleetdeploy.remote.ssh.hostkeys import KnownHosts, PinnedKeys, PinnedPolicy
from fleetdeploy.remote.ssh.jumps import gateway
from fleetdeploy.remote.ssh.names import why_not
from fleetdeploy.remote.ssh.private_key import check_key
from fleetdeploy.remote.ssh.pulse import KEEPALIVE_S, KEEPALIVES, keep_alive
from fleetdeploy.remote.ssh.waits import wait_by_monotonic_clock

LOST_AFTER_S = KEEPALIVE_S * KEEPALIVES
"""A link on which nothing that was sent is acknowledged for this long is lost: the kernel sees it first."""

CHANNEL_S = 15.0
"""How long the answer to a channel request may take, in seconds."""

_WEAK = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-sha1", "hmac-sha1-96", "hmac-md5", "hmac-md5-96"],
}


class _PinnedClient(paramiko.SSHClient):
    """A client that holds no host keys itself, so that paramiko asks the policy about every key, before it logs in."""

    def __init__(self, pinned: PinnedKeys) -> None:
        super().__init__()
        self.pinned = pinned
        self.set_missing_host_key_policy(PinnedPolicy(pinned))

    def new_transport(self, sock: Any, **settings: Any) -> paramiko.Transport:
        """What paramiko calls for the connection's transport, before the key exchange."""
        settings["disabled_algorithms"] = _WEAK
        transport = paramiko.Transport(sock, **settings)
        options = transport.get_security_options()
        options.key_types = self.pinned.algorithms(options.key_types)
        if isinstance(sock, socket.socket):
            # paramiko leaves Nagle on, which costs 40 ms a command; and a write that the kernel does not take any more
            # has no deadline there, so what is sent must be acknowledged in time.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if hasattr(socket, "TCP_USER_TIMEOUT"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LOST_AFTER_S * 1000)
        return transport


def make_link(host: Host, *, timeout_s: float) -> Any:
    """A Fabric connection, not yet open, that trusts only pinned keys, all its gateways included."""
    wait_by_monotonic_clock()
    wish = host.connection
    if wish.private_key:
        check_key(wish.private_key, host=host.name)
    with translated(host.name, "reading ssh_config"):
        config = fabric.Config(lazy=True, ssh_config=_ssh_config(wish.ssh_config))
        link = fabric.Connection(
            wish.address,
            user=wish.user,
            port=wish.port,
            config=config,
            gateway=_gateway(host, config.clone()),
            forward_agent=False,
            connect_timeout=max(1, round(timeout_s)),
            connect_kwargs={"key_filename": [str(wish.private_key.expanduser())]} if wish.private_key else {},
        )
    for hop in hops(link):
        name = host.name if hop is link else f"{host.name}'s jump host {hop.original_host}"
        _pin(host, hop, name=name, timeout_s=timeout_s)
    return link


def _gateway(host: Host, config: fabric.Config) -> Any:
    wish = host.connection
    try:
        return gateway(config, wish.address, port=wish.port, jump=wish.proxy_jump)
    except HostError as error:
        error.where = error.where or host.name
        raise


def hops(link: Any) -> Iterator[Any]:
    """The connection and those to its gateways, the one that is reached first last."""
    while link is not None and not isinstance(link, str):
        yield link
        link = link.gateway or None


def open_link(link: Any) -> None:
    """Connect, gateways first. Raises paramiko's errors, or HostKeyRefused before anything is authenticated."""
    link.open()
    for hop in hops(link):
        keep_alive(hop.client.get_transport())


def phase_of(link: Any) -> str:
    """What a link that does not open is busy with, for an error: which of the machines on the way does not answer."""
    for hop in reversed(list(hops(link))):
        if hop is not link and not hop.is_connected:
            return f"connecting to the jump host {hop.original_host}"
    gateways = [hop.original_host for hop in hops(link)][1:]
    return f"connecting through the jump host {gateways[0]}" if gateways else "connecting"


def close_link(link: Any) -> None:
    """End the connection and those to its gateways."""
    for hop in hops(link):
        hop.client.close()


def route(link: Any) -> tuple[Hop, ...]:
    """The hops as :func:`sshconfig.write_ssh_config` takes them."""
    return tuple(
        Hop(
            address=hop.host,
            port=hop.port,
            user=hop.user,
            pinned=hop.client.pinned,
            identity_files=tuple(map(str, hop.connect_kwargs.get("key_filename") or ())),
            proxy_command=hop.gateway if isinstance(hop.gateway, str) else "",
        )
        for hop in hops(link)
    )


def _pin(host: Host, hop: Any, *, name: str, timeout_s: float) -> None:
    files = [host.connection.known_hosts] if host.connection.known_hosts else _known_hosts_files(hop.ssh_config)
    known = KnownHosts.load([path.expanduser() for path in files])
    alias, through = hop.ssh_config.get("hostkeyalias", ""), getattr(hop.gateway, "original_host", "")

    def why_unresolved() -> str:
        return "" if hop.gateway else why_not(hop.host)  # a gateway resolves what is behind it

    pinned = known.pinned(name, hop.host, port=hop.port, alias=alias, through=through, why_unresolved=why_unresolved)
    hop.client = _PinnedClient(pinned)
    hop.connect_timeout = max(1, round(timeout_s))
    hop.connect_kwargs = {
        **hop.connect_kwargs,
        "transport_factory": hop.client.new_transport,
        "banner_timeout": timeout_s,
        "auth_timeout": timeout_s,
        "channel_timeout": CHANNEL_S,
        # As OpenSSH's IdentitiesOnly: with a key named, no others are tried (sshd counts every one as a failure).
        "look_for_keys": not hop.connect_kwargs.get("key_filename"),
    }


def _ssh_config(named: Path | None) -> paramiko.SSHConfig:
    """The named file, or the user's and the system's, as OpenSSH reads them."""
    config = paramiko.SSHConfig()
    paths = [named.expanduser()] if named else [Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config")]
    for path in paths:
        if named or path.is_file():
            with path.open(encoding="utf-8") as file:
                config.parse(file)
    return config


def _known_hosts_files(settings: Any) -> list[Path]:
    named = [name.strip('"') for name in str(settings.get("userknownhostsfile", "")).split() if name != "none"]
    return [Path(name) for name in named] or [Path("~/.ssh/known_hosts")]
