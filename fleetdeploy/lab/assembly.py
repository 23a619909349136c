"""Making a lab out of nothing: network, doorway, keys, hosts, images, load balancer, waits overlapped."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fleetdeploy.errors import LabError
from fleetdeploy.lab import balancer, gpu, images, keys, network
from fleetdeploy.lab import host as lab_host
from fleetdeploy.lab.processes import ProcessId, log_tail, start_daemon
from fleetdeploy.lab.state import DOOR_NETWORK, HostRecord, LabPaths, LabRecord, write_atomically
from fleetdeploy.lab.waiting import wait_until

_BALANCER = HostRecord("lb", "balancer", 10)
_BALANCER_DOORS = (22, balancer.REST_PORT, balancer.GRPC_PORT, balancer.STATS_PORT)


def fleet_of(count: int) -> tuple[HostRecord, ...]:
    """The hosts of a lab with ``count`` GPU hosts: gpu1, gpu2, ... and lb."""
    return (*(HostRecord(f"gpu{number}", "gpu", 10 + number) for number in range(1, count + 1)), _BALANCER)


def assemble(paths: LabPaths, record: LabRecord, source: images.ImageSource) -> None:
    """Make everything and wait until it works; the record is then ``up``. The lab's directory must be held.

    :raises LabError: something could not be made; what there is then is for the caller to remove.
    """
    lab_host.require_file_systems(paths)
    network.add_switch(paths.prefix)
    for host in record.hosts:
        network.add_host(paths.prefix, host)
    record = _open_doors(paths, record)
    keys.write_client_files(paths, record.hosts)
    client_key = keys.make_key(paths.client_key, comment=f"lab {record.name}")
    for host in record.hosts:
        lab_host.prepare(paths, host, _outfit(host, record), client_key=client_key)
    lb = balancer_of(record)
    machines = [host for host in record.hosts if host.role == "gpu"]
    lab_host.start(paths, lb)  # it starts while the others get their images
    images.furnish(paths, source, [paths.host(host.name) / "docker" for host in machines])
    for host in machines:
        lab_host.start(paths, host)
    lab_host.wait_ready(paths, record.hosts)
    wait_balancer(paths, lb)
    replace(record, phase="up").save(paths.record)


def _outfit(host: HostRecord, record: LabRecord) -> lab_host.Outfit:
    if host.role == "balancer":
        machines = [other for other in record.hosts if other.role == "gpu"]
        configuration = {"etc/haproxy/haproxy.cfg": balancer.haproxy_config(machines)}
        return lab_host.Outfit(services=("sshd", "haproxy", "docker"), files=configuration)
    return lab_host.Outfit(gpu_table=gpu.table(gpu.card(record.gpu), record.gpu_count, host=host.name))


def _open_doors(paths: LabPaths, record: LabRecord) -> LabRecord:
    """Start the doorway, and note which doors it opened."""
    config, answer = paths.root / "doorway.json", paths.root / "doors.json"
    wanted = [
        {"name": host.name, "number": host.number, "target": host.address, "ports": list(_doors_of(host))}
        for host in record.hosts
    ]
    namespace = str(network.switch_namespace(paths.prefix))
    write_atomically(config, json.dumps({"network": DOOR_NETWORK, "namespace": namespace, "hosts": wanted}))
    log = paths.log_directory / "doorway.log"
    program = Path(__file__).with_name("doorway.py")
    process = start_daemon(
        [sys.executable, "-I", str(program), str(config), str(answer)],
        log=log, marker=paths.prefix, state=paths.root,
    )  # fmt: skip
    wait_until(
        lambda: answer.exists() or not process.alive(),
        "the doorway is open", deadline_s=20, on_timeout=lambda: log_tail(log),
    )  # fmt: skip
    if not answer.exists():
        raise LabError("the doorway ended while it started", detail=log_tail(log))
    opened = json.loads(answer.read_text())
    hosts = tuple(_with_doors(host, opened["hosts"][host.name]) for host in record.hosts)
    record = replace(record, slot=opened["slot"], hosts=hosts)
    record.save(paths.record)
    return record


def watch_owner(paths: LabPaths, owner_pid: int) -> None:
    """Start the process that removes the lab when its owner ends.

    :raises LabError: there is no such process.
    """
    owner = ProcessId.of(owner_pid)
    if owner is None or not owner.alive():
        raise LabError(f"the lab's owner, process {owner_pid}, does not run")
    arguments = [paths.name, str(paths.state_home), str(paths.cache_home), str(owner.pid), str(owner.started)]
    start_daemon(
        [sys.executable, "-m", "fleetdeploy.lab.watcher", *arguments],
        log=paths.log_directory / "watcher.log",
        marker=paths.prefix,
        state=paths.root,
        PYTHONPATH=str(Path(__file__).parents[2]),
    )


def balancer_of(record: LabRecord) -> HostRecord:
    """The lab's load balancer host."""
    return next(host for host in record.hosts if host.role == "balancer")


def admin_socket(paths: LabPaths, host: HostRecord) -> Path:
    """HAProxy's admin socket as this machine sees it.

    :raises LabError: the balancer host is off.
    """
    return lab_host.path_on(paths, host, balancer.ADMIN_SOCKET)


def wait_balancer(paths: LabPaths, host: HostRecord, *, deadline_s: float = 30) -> None:
    """Wait until HAProxy answers on its admin socket.

    :raises LabError: it does not by then; the detail is the end of its log.
    """

    def answers() -> bool:
        with contextlib.suppress(OSError):
            return "HAProxy" in balancer.ask(admin_socket(paths, host), "show info")
        return False

    wait_until(
        answers,
        f"{host.name}: HAProxy answers",
        deadline_s=deadline_s,
        on_timeout=lambda: lab_host.logs(paths, host),
    )


def _doors_of(host: HostRecord) -> Sequence[int]:
    return _BALANCER_DOORS if host.role == "balancer" else (22,)


def _with_doors(host: HostRecord, opened: Mapping[str, object]) -> HostRecord:
    doors = opened["doors"]
    assert isinstance(doors, dict)
    return replace(
        host, door_address=str(opened["address"]), doors={int(port): int(door) for port, door in doors.items()}
    )
