"""The inventory a lab writes: its hosts as an operator would describe them, in Ansible's YAML form.

It says what the machines are and how to reach them. What they shall serve belongs to the operator and stays in the
``group_vars`` beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from fleetdeploy.lab import gpu
from fleetdeploy.lab.state import HostRecord, LabPaths, LabRecord, write_atomically


def inventory(record: LabRecord, paths: LabPaths) -> str:
    """The inventory as YAML: groups ``gpu`` and ``balancers``, and how SSH reaches and trusts their hosts."""
    facts = gpu.inventory_facts(gpu.card(record.gpu), record.gpu_count)
    machines = [host for host in record.hosts if host.role == "gpu"]
    balancers = [host for host in record.hosts if host.role == "balancer"]
    return f"""\
# Written by `fleetdeploy lab up` for the lab "{record.name}"; the next one overwrites it. Services go into group_vars.
all:
  vars:
    ansible_user: root
    ansible_ssh_private_key_file: {_scalar(paths.client_key)}
    fleetdeploy_known_hosts: {_scalar(paths.known_hosts)}
  children:
    gpu:
      vars:
        gpus: {_flow(facts)}
      hosts:
{_hosts(machines)}    balancers:
      hosts:
{_hosts(balancers)}"""


def write_inventory(record: LabRecord, paths: LabPaths, target: Path) -> Path:
    """Write the inventory to ``target``, making its directory; return ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(target, inventory(record, paths))
    return target


def remove_inventory(target: Path, name: str) -> None:
    """Remove ``target`` if, by its first line, it is the inventory of that lab; any other file stays."""
    if not target.is_file():
        return
    first_line = target.read_text(encoding="utf-8", errors="replace").split("\n", 1)[0]
    if f'for the lab "{name}"' in first_line:
        target.unlink()


def _hosts(hosts: list[HostRecord]) -> str:
    lines = []
    for host in hosts:
        lines.append(f"        {host.name}:\n          ansible_host: {host.door_address}\n")
        if host.ssh_port != 22:
            lines.append(f"          ansible_port: {host.ssh_port}\n")
        lines.append(f"          fleet_address: {host.address}\n")
    return "".join(lines)


def _flow(mapping: Mapping[str, object]) -> str:
    return "{" + ", ".join(f"{key}: {_scalar(value)}" for key, value in mapping.items()) + "}"


def _scalar(value: object) -> str:
    """JSON's scalars are YAML's too, and a quoted "9.0" stays text."""
    return json.dumps(value if isinstance(value, (int, str)) else str(value))
