"""The inventory: hosts and groups as the operator wrote them, merged and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from fleetdeploy.domain.service import ServiceWish


@dataclass(frozen=True)
class Connection:
    """How SSH reaches a host (Ansible's connection variables). ``None`` leaves it to ssh_config or the default.

    ``ssh_config`` stands in for the user's own; ``proxy_jump`` is as OpenSSH's ``-J`` takes it; ``become`` asks for
    root through sudo.
    """

    address: str
    port: int | None = None
    user: str | None = None
    private_key: Path | None = None
    known_hosts: Path | None = None
    ssh_config: Path | None = None
    become: bool = False
    proxy_jump: str | None = None


@dataclass(frozen=True)
class DeclaredGpus:
    """What the inventory says a host has; empty and 0: it does not say. ``driver`` may be no more than a branch."""

    count: int
    model: str = ""
    memory_bytes: int = 0
    compute_capability: str = ""
    driver: str = ""


@dataclass(frozen=True)
class BalancerWish:
    """Who sends a host its traffic: a balancer on ``host``, and the pools (backends) of each service.

    ``kind`` names a file of ``fleetdeploy/balancers``; ``server`` is this host's name in every pool; ``notes`` is
    whether the balancer may keep notes of who keeps it out.
    """

    kind: str
    host: str
    socket: str
    server: str
    pools: Mapping[str, tuple[str, ...]]
    notes: bool = True

    @property
    def place(self) -> tuple[str, str, str]:
        """Its kind, host and socket: two wishes with the same are for the same balancer."""
        return self.kind, self.host, self.socket

    @property
    def all_pools(self) -> tuple[str, ...]:
        """The pools of all services, in alphabetical order."""
        return tuple(sorted({pool for pools in self.pools.values() for pool in pools}))


@dataclass(frozen=True)
class Host:
    """A host with its merged variables. ``variables`` holds all of them, reserved ones included."""

    name: str
    connection: Connection
    variables: Mapping[str, object] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    gpus: DeclaredGpus | None = None
    services: tuple[ServiceWish, ...] = ()
    balancer: BalancerWish | None = None


@dataclass(frozen=True)
class Group:
    """A group: the hosts named in it directly, and its child groups, in file order."""

    name: str
    hosts: tuple[str, ...] = ()
    children: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """All hosts in inventory order, and all groups (``all`` and ``ungrouped`` included)."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, Group]
    sources: tuple[Path, ...] = ()
