"""SSH keys of a lab, and the files with which any SSH client of this machine reaches its hosts safely."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from fleetdeploy.lab.processes import run
from fleetdeploy.lab.state import HostRecord, LabPaths, write_atomically


def make_key(path: Path, *, comment: str) -> str:
    """Make an ed25519 key pair at ``path`` and ``path``.pub unless it is there; return the public half, one line."""
    public = path.with_name(f"{path.name}.pub")
    if not (path.exists() and public.exists()):
        path.unlink(missing_ok=True)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return public.read_text().strip()


def known_hosts_line(host: HostRecord, public_key: str) -> str:
    """One known_hosts entry for every way to name the host: its door, its fleet address, its name."""
    door = host.door_address if host.ssh_port == 22 else f"[{host.door_address}]:{host.ssh_port}"
    kind, blob = public_key.split()[:2]
    return f"{door},{host.address},{host.name} {kind} {blob}\n"


def ssh_config(hosts: Iterable[HostRecord], paths: LabPaths) -> str:
    """An OpenSSH client configuration with one alias per host; it trusts the lab's known_hosts and nothing else.

    The key exchange is named because OpenSSH's default one costs the client 0.1 s of processor time per connection.
    """
    blocks = [
        f"""Host {host.name}
  HostName {host.door_address}
  Port {host.ssh_port}
  HostKeyAlias {host.name}
"""
        for host in hosts
    ]
    blocks.append(f"""Host *
  User root
  IdentityFile "{paths.client_key}"
  IdentitiesOnly yes
  UserKnownHostsFile "{paths.known_hosts}"
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking yes
  BatchMode yes
  KexAlgorithms curve25519-sha256
  ConnectTimeout 10
  LogLevel ERROR
""")
    return "".join(blocks)


def write_client_files(paths: LabPaths, hosts: Iterable[HostRecord]) -> None:
    """Write known_hosts and ssh_config from the keys the hosts have."""
    hosts = list(hosts)
    lines = [known_hosts_line(host, host_key(paths, host.name)) for host in hosts]
    write_atomically(paths.known_hosts, "".join(lines))
    write_atomically(paths.ssh_config, ssh_config(hosts, paths), mode=0o600)


def host_key(paths: LabPaths, host: str) -> str:
    """The public half of the key the host was given, made on first use."""
    return make_key(host_key_path(paths, host), comment=host)


def host_key_path(paths: LabPaths, host: str) -> Path:
    """Where the private half of a host's key is kept."""
    return paths.root / "keys" / host


def openssh_version() -> tuple[int, int]:
    """The version of this machine's OpenSSH; the server's is the same package's."""
    done = run(["ssh", "-V"])
    found = re.search(r"OpenSSH_(\d+)\.(\d+)", done.stderr + done.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)
