"""A lab: N GPU hosts and one load balancer on this machine, made and removed as a whole.

::

    lab = Lab("lab")                       # names a lab; touches nothing
    lab.up(hosts=3)                        # gpu1, gpu2, gpu3 and lb, in about five seconds once images are cached
    lab.up(hosts=3, image="tensorflow/serving:2.19.0", owner_pid=os.getpid())   # ends with its owner
    lab = Lab.find("lab")                  # a lab that is there
    lab.ssh("gpu1", ["docker", "ps"])      # -> subprocess.CompletedProcess, through the real sshd
    lab.run_on("gpu1", ["docker", "ps"])   # the same without SSH
    lab.write_inventory(Path("inventories/lab/hosts.yml"))
    lab.reboot("gpu1"); lab.power_off("gpu2"); lab.power_on("gpu2"); lab.start_service("gpu1", "docker")
    lab.status(); lab.images; lab.hosts["gpu1"].address; lab.door("lb", 8501); lab.nsenter_argv(); lab.paths
    lab.down()                             # removes exactly what belongs to it, however far ``up`` came
    leftovers("lab")                       # [] then

Every host has an address 10.77.0.x inside the fleet and a door 127.77.K.x on this machine (see doorway.py): SSH on any
host, and the balancer's REST, gRPC and statistics ports. gpuN is x = 10 + N, lb is x = 10.

What it takes: root on Linux, and Debian's iproute2, iptables, openssh-server, rsync, docker.io and haproxy.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fleetdeploy.errors import LabError
from fleetdeploy.lab import assembly, balancer, gpu, inventory_file, network
from fleetdeploy.lab import host as lab_host
from fleetdeploy.lab.images import ImageSource, PulledImage
from fleetdeploy.lab.leftovers import leftovers, remove_everything
from fleetdeploy.lab.processes import require_lab_machine, require_root, run
from fleetdeploy.lab.state import HostRecord, LabPaths, LabRecord, hold

__all__ = ["HostStatus", "Lab", "LabStatus", "leftovers"]

_MOST_HOSTS = 200


@dataclass(frozen=True)
class HostStatus:
    """What one host does now. ``running`` is whether it is powered on; ``door`` is "address:port" for SSH."""

    name: str
    role: str
    address: str
    door: str
    running: bool
    sshd: bool
    docker: bool


@dataclass(frozen=True)
class LabStatus:
    """What a lab does now. ``phase`` is ``up``, ``starting`` (or an ``up`` that was killed), or ``down``."""

    name: str
    phase: str
    images: tuple[str, ...]
    hosts: tuple[HostStatus, ...]


class Lab:
    """One lab by its name. The object holds nothing but paths: any process may use any lab of its user."""

    def __init__(self, name: str = "lab", *, state_home: Path | None = None, cache_home: Path | None = None) -> None:
        self.paths = LabPaths.of(name, state_home=state_home, cache_home=cache_home)

    @classmethod
    def find(cls, name: str = "lab", *, state_home: Path | None = None, cache_home: Path | None = None) -> Lab:
        """The lab of that name.

        :raises LabError: there is none; the hint lists those there are.
        """
        lab = cls(name, state_home=state_home, cache_home=cache_home)
        if LabRecord.load(lab.paths.record) is None:
            others = sorted(path.parent.name for path in lab.paths.labs.glob("*/lab.json"))
            raise LabError(f"there is no lab {name!r}", hint=_hint_for_missing(others))
        return lab

    # What it is

    @property
    def name(self) -> str:
        return self.paths.name

    @property
    def record(self) -> LabRecord:
        record = LabRecord.load(self.paths.record)
        if record is None:
            raise LabError(f"there is no lab {self.name!r}", hint="make one: fleetdeploy lab up")
        return record

    @property
    def hosts(self) -> Mapping[str, HostRecord]:
        """All hosts by name, the balancer included."""
        return {host.name: host for host in self.record.hosts}

    @property
    def images(self) -> tuple[str, ...]:
        """The image tags every GPU host has."""
        return self.record.images

    def host(self, name: str) -> HostRecord:
        """One host by name.

        :raises LabError: the lab has no such host.
        """
        hosts = self.hosts
        if name not in hosts:
            raise LabError(f"lab {self.name!r} has no host {name!r}", hint=f"it has {', '.join(hosts)}")
        return hosts[name]

    def door(self, host: str, port: int) -> tuple[str, int]:
        """The address and port of this machine that lead to ``port`` of the host."""
        record = self.host(host)
        if port not in record.doors:
            raise LabError(f"port {port} of {host} has no door", hint=f"it has doors for {sorted(record.doors)}")
        return record.door_address, record.doors[port]

    def nsenter_argv(self) -> list[str]:
        """The words to put before a command of this machine so that it runs inside the fleet's network."""
        return ["nsenter", f"--net={network.switch_namespace(self.paths.prefix)}"]

    def status(self) -> LabStatus:
        """Ask every host what it does now."""
        record = self.record
        return LabStatus(record.name, record.phase, record.images, tuple(self._status_of(h) for h in record.hosts))

    def _status_of(self, host: HostRecord) -> HostStatus:
        running = lab_host.process(self.paths, host) is not None
        return HostStatus(
            host.name, host.role, host.address, f"{host.door_address}:{host.ssh_port}", running,
            running and lab_host.sshd_answers(host.door_address, host.ssh_port),
            running and lab_host.docker_answers(self.paths, host),
        )  # fmt: skip

    def write_inventory(self, target: Path) -> Path:
        """Write the lab's hosts as an inventory file, and remember where; see inventory_file.py."""
        record = self.record
        with hold(self.paths.root):
            replace(record, inventory=str(target.absolute())).save(self.paths.record)
        return inventory_file.write_inventory(record, self.paths, target)

    # Up and down

    def up(
        self,
        hosts: int = 3,
        image: str | ImageSource | None = None,
        *,
        owner_pid: int | None = None,
        gpu_model: str = "h200",
        gpu_count: int = 2,
    ) -> None:
        """Make the lab and wait until every host greets on SSH and its Docker engine answers.

        :param image: None for the stand-in model server, built here; a string is pulled from its registry.
        :param owner_pid: the lab ends itself when this process ends, however it ends.
        :raises LabError: it cannot be made here, or a lab of this name is up; nothing is left behind then.
        """
        require_lab_machine()
        if not 1 <= hosts <= _MOST_HOSTS:
            raise LabError(f"a lab has 1 to {_MOST_HOSTS} hosts, not {hosts}")
        gpu.card(gpu_model)
        source = _image_source(image)
        with hold(self.paths.root):
            self._refuse_second()
            remove_everything(self.paths, directory="empty")
            fleet = assembly.fleet_of(hosts)
            record = LabRecord(self.name, "starting", fleet, 0, gpu_model, gpu_count, source.tags, owner_pid)
            try:
                record.save(self.paths.record)
                if owner_pid is not None:
                    assembly.watch_owner(self.paths, owner_pid)
                assembly.assemble(self.paths, record, source)
            except BaseException:
                remove_everything(self.paths)
                raise

    def down(self, *, keep: bool = False) -> None:
        """Remove the lab, whatever state it is in; no lab is fine too. ``keep`` leaves its directory for a look."""
        require_root()
        with hold(self.paths.root):
            remove_everything(self.paths, directory="keep" if keep else "remove")
            if keep and (record := LabRecord.load(self.paths.record)):
                replace(record, phase="down").save(self.paths.record)

    def _refuse_second(self) -> None:
        record = LabRecord.load(self.paths.record)
        if record and record.phase == "up" and any(lab_host.process(self.paths, host) for host in record.hosts):
            raise LabError(f"lab {self.name!r} is up already", hint="fleetdeploy lab status, or fleetdeploy lab down")

    # Using it

    def ssh_argv(self, host: str) -> list[str]:
        """The words that open an SSH session on the host; a remote command may follow."""
        self.host(host)
        return ["ssh", "-F", str(self.paths.ssh_config), host]

    def ssh(
        self, host: str, argv: Sequence[str], *, stdin: str | None = None, timeout_s: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host through its sshd; the words reach it as they are.

        :raises LabError: it could not be run, or (with ``check``) ended with another status than 0.
        """
        return run([*self.ssh_argv(host), "--", shlex.join(argv)], stdin=stdin, timeout_s=timeout_s, check=check)

    def run_on(
        self, host: str, argv: Sequence[str], *, stdin: str | None = None, timeout_s: float = 60, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the host without SSH: works while its sshd or network is broken.

        :raises LabError: the host is off, or as ``ssh``.
        """
        enter = lab_host.enter_argv(self.paths, self.host(host))
        return run([*enter, *argv], stdin=stdin, timeout_s=timeout_s, check=check)

    def balancer_command(self, command: str) -> str:
        """Send one command to HAProxy's admin socket and return its answer."""
        return balancer.ask(assembly.admin_socket(self.paths, assembly.balancer_of(self.record)), command)

    def start_service(self, host: str, service: str) -> None:
        """Start ``sshd``, ``docker`` or ``haproxy`` on the host after it was stopped or killed."""
        self.run_on(host, ["/usr/local/sbin/fdlab-services", service])

    def power_off(self, host: str) -> None:
        """Cut the host's power: its cable goes silent and all its processes end. What it has on disk stays."""
        record = self.host(host)
        with hold(self.paths.root):
            network.cut_cable(self.paths.prefix, record)
            lab_host.stop(self.paths, record)
            network.remove_namespace(network.host_namespace(self.paths.prefix, record.name))

    def power_on(self, host: str, *, wait: bool = True) -> None:
        """Start a host that is off; with ``wait``, return when its sshd and Docker engine answer."""
        record = self.host(host)
        with hold(self.paths.root):
            if lab_host.process(self.paths, record):
                raise LabError("the host is powered on already", where=host)
            network.add_host(self.paths.prefix, record)
            lab_host.start(self.paths, record)
        if wait:
            lab_host.wait_ready(self.paths, [record])
            if record.role == "balancer":
                assembly.wait_balancer(self.paths, record)

    def reboot(self, host: str, *, wait: bool = True) -> None:
        """Cut the host's power and start it again."""
        self.power_off(host)
        self.power_on(host, wait=wait)


def _hint_for_missing(others: list[str]) -> str:
    return f"there are: {', '.join(others)}" if others else "make one: fleetdeploy lab up"


def _image_source(image: str | ImageSource | None) -> ImageSource:
    if image is None:
        from fleetdeploy.lab.standin_image.source import StandInImage  # noqa: PLC0415 - needs what only the lab installs

        return StandInImage()
    return PulledImage(image) if isinstance(image, str) else image
