"""One host of a lab: its directory, its first process, and the ways into it that need no network.

A host is a set of Linux namespaces (mount, UTS, IPC, PID, network) over an overlay of the machine's own root. Its
directory ``<state>/hosts/<name>`` holds what survives a reboot: ``upper`` (its changes to the root), ``root``, ``srv``
and ``docker``, which are bound over /root, /srv and /var/lib/docker.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fleetdeploy.errors import LabError
from fleetdeploy.lab import cgroups, keys, network
from fleetdeploy.lab.processes import ProcessId, end_processes, log_tail, processes_of, run, start_daemon
from fleetdeploy.lab.state import HostRecord, LabPaths, write_atomically
from fleetdeploy.lab.waiting import wait_until

_FILES = Path(__file__).parent / "hostfiles"
_GPU_PROGRAMS = ("nvidia-smi", "nvidia-container-runtime", "nvidia-container-runtime-hook")
_GPU_TABLE = "etc/fdlab/gpus.tsv"
DOCKER_SOCKET = "/run/docker.sock"
_SYSTEM_TOP_DIRECTORIES = frozenset(
    {"bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32", "opt", "proc", "root", "run", "sbin", "srv", "sys"}
    | {"tmp", "usr", "var"}
)


@dataclass(frozen=True)
class Outfit:
    """What a host is equipped with: its services, in start order, and files of its own (path under / to text)."""

    services: Sequence[str] = ("sshd", "docker")
    files: Mapping[str, str] = field(default_factory=dict)
    gpu_table: str = ""
    """What the host's GPUs answer (see gpu.table); without it the host has neither GPUs nor NVIDIA's programs."""
    docker_options: Mapping[str, object] = field(default_factory=dict)
    isolated: bool = True
    """False leaves the host in the machine's own network: only for pulling an image."""


def prepare(paths: LabPaths, host: HostRecord, outfit: Outfit, *, client_key: str) -> None:
    """Write everything the host finds when it starts. Its ``docker`` directory is left alone if it is there already."""
    home = paths.host(host.name)
    modes = {"upper": 0o755, "work": 0o755, "merged": 0o755, "srv": 0o755, "docker": 0o710, "root": 0o700}
    for name, mode in modes.items():
        _directory(home / name, mode=mode)
    _directory(home / "root/.ssh", mode=0o700)
    write_atomically(home / "root/.ssh/authorized_keys", f"{client_key}\n", mode=0o600)

    upper = home / "upper"
    for name, text in {**_system_files(paths, host, outfit), **outfit.files}.items():
        _put(upper / name, text)
    private = keys.host_key_path(paths, host.name)
    keys.host_key(paths, host.name)
    _put(upper / "etc/ssh/fdlab_host_ed25519", private.read_text(), mode=0o600)
    _put(upper / "usr/local/sbin/fdlab-services", (_FILES / "fdlab-services").read_text(), mode=0o755)
    if outfit.gpu_table:
        _put(upper / _GPU_TABLE, outfit.gpu_table)
        for program in _GPU_PROGRAMS:
            _put(upper / "usr/local/bin" / program, (_FILES / program).read_text(), mode=0o755)


def require_file_systems(paths: LabPaths) -> None:
    """Check that hosts can stand on this machine's file systems, before one fails to start for a reason only logs tell.

    :raises LabError: a part of the system that hosts need is a mount of its own, or the state cannot carry an overlay.
    """
    for part in ("/etc", "/usr", "/var"):
        if os.path.ismount(part):
            raise LabError(f"{part} is a file system of its own: hosts, which are overlays of /, would find it empty")
    kind = run(["stat", "--file-system", "--format=%T", str(paths.root)]).stdout.strip()
    if kind == "overlayfs" or set(str(paths.root)) & set(",:\\"):
        raise LabError(
            f"no overlay can be made on {paths.root} ({kind})",
            hint="set XDG_STATE_HOME to a directory on ext4, xfs, btrfs or tmpfs, without , : or \\ in its path",
        )


def _system_files(paths: LabPaths, host: HostRecord, outfit: Outfit) -> dict[str, str]:
    """The files in /etc that must not be the machine's own: names, accounts, shell start-up, services."""
    sshd = (_FILES / "sshd_config").read_text()
    if keys.openssh_version() >= (9, 8):  # every client comes from the one address of the doorway
        sshd += "PerSourcePenalties no\n"
    daemon: dict[str, object] = {
        "storage-driver": "overlay2",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "cgroup-parent": f"/{paths.prefix}{host.name}",
        **outfit.docker_options,
    }
    if outfit.gpu_table:
        daemon["runtimes"] = {"nvidia": {"path": "/usr/local/bin/nvidia-container-runtime", "runtimeArgs": []}}
    files = {
        "etc/hostname": f"{host.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n{host.address} {host.name}\n",
        "etc/machine-id": f"{uuid.uuid4().hex}\n",
        "etc/passwd": _passwd(),
        "etc/shadow": "root:*:19000:0:99999:7:::\n",
        "etc/bash.bashrc": "",
        "etc/environment": "",
        "etc/ssh/fdlab_sshd_config": sshd,
        "etc/docker/daemon.json": json.dumps(daemon, indent=2) + "\n",
        "etc/fdlab/services": "".join(f"{name}\n" for name in outfit.services),
    }
    if outfit.isolated:  # no resolver can be reached: asking one would cost seconds per question
        files |= {"etc/resolv.conf": "", "etc/nsswitch.conf": _NSSWITCH}
    return files


_NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\nprotocols: files\n"


def _passwd() -> str:
    """The machine's accounts, with a root that has a plain shell and home, whatever the machine's root has."""
    lines = Path("/etc/passwd").read_text().splitlines()
    others = [line for line in lines if not line.startswith("root:")]
    return "\n".join(["root:x:0:0:root:/root:/bin/bash", *others]) + "\n"


def _put(path: Path, text: str, *, mode: int = 0o644) -> None:
    _directory(path.parent)
    path.unlink(missing_ok=True)
    write_atomically(path, text, mode=mode)
    path.chmod(mode)


def _directory(path: Path, *, mode: int = 0o755) -> None:
    """Make a directory with this very mode, whatever the umask: the modes in ``upper`` are those the host sees."""
    if path.is_dir():
        return
    _directory(path.parent)
    path.mkdir()
    path.chmod(mode)


def hidden_directories() -> list[str]:
    """Directories of the machine that look empty on a host: all under / that no Linux system has of its own."""
    return sorted(
        entry.path
        for entry in os.scandir("/")
        if entry.is_dir(follow_symlinks=False) and entry.name not in _SYSTEM_TOP_DIRECTORIES
    )


def start(paths: LabPaths, host: HostRecord, *, isolated: bool = True) -> ProcessId:
    """Power the host on. Returns at once; ``wait_ready`` waits for its services."""
    home = paths.host(host.name)
    namespace = network.host_namespace(paths.prefix, host.name)
    process = start_daemon(
        [
            *(["nsenter", f"--net={namespace}"] if isolated else []),
            "unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child",
            "/bin/sh", str(_FILES / "init.sh"), str(home), host.name, *hidden_directories(),
        ],
        log=_log(paths, host),
        marker=_marker(paths, host),
        state=paths.root,
    )  # fmt: skip
    write_atomically(home / "process.json", json.dumps([process.pid, process.started]))
    return process


def _marker(paths: LabPaths, host: HostRecord) -> str:
    return f"{paths.prefix}{host.name}-"  # the hyphen keeps gpu1 apart from gpu10


def _log(paths: LabPaths, host: HostRecord) -> Path:
    return paths.log_directory / f"{host.name}.log"


def stop(paths: LabPaths, host: HostRecord) -> None:
    """End all of the host's processes at once, containers included, as a power cut does.

    The process that made the host's PID namespace is among them; with the namespace's first process all others end.
    """
    namespace = network.host_namespace(paths.prefix, host.name)
    marker = _marker(paths, host)
    end_processes(lambda: processes_of(marker, [namespace]))
    (paths.host(host.name) / "process.json").unlink(missing_ok=True)
    cgroups.remove(f"{paths.prefix}{host.name}")


def process(paths: LabPaths, host: HostRecord) -> ProcessId | None:
    """The process that holds the host's namespaces, or None while the host is off."""
    try:
        found = ProcessId(*json.loads((paths.host(host.name) / "process.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return found if found.alive() else None


def enter_argv(paths: LabPaths, host: HostRecord) -> list[str]:
    """The words to put before a command so that it runs on the host as root, without SSH.

    :raises LabError: the host is off.
    """
    holder = process(paths, host)
    if holder is None:
        raise LabError("the host is powered off", where=host.name)
    proc = f"/proc/{holder.pid}"
    return ["nsenter", f"--target={holder.pid}", "--mount", "--uts", "--ipc", "--net",
            f"--pid={proc}/ns/pid_for_children", "--"]  # fmt: skip


def path_on(paths: LabPaths, host: HostRecord, path: str) -> Path:
    """A path of the host as this machine sees it; no part of it may be a symbolic link.

    :raises LabError: the host is off.
    """
    holder = process(paths, host)
    if holder is None:
        raise LabError("the host is powered off", where=host.name)
    return Path(f"/proc/{holder.pid}/root{path}")


def docker_answers(paths: LabPaths, host: HostRecord) -> bool:
    """Whether the host's Docker engine answers a ping now."""
    return process(paths, host) is not None and _ping(path_on(paths, host, DOCKER_SOCKET))


def _ping(path: Path) -> bool:
    connection = http.client.HTTPConnection("docker", timeout=5)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
            channel.settimeout(5)
            channel.connect(str(path))
            connection.sock = channel
            connection.request("GET", "/_ping")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def sshd_answers(address: str, port: int) -> bool:
    """Whether an SSH server greets on this address now."""
    try:
        with socket.create_connection((address, port), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def wait_ready(paths: LabPaths, hosts: Iterable[HostRecord], *, deadline_s: float = 60) -> None:
    """Wait until every host greets on its SSH port and its Docker engine answers.

    :raises LabError: a host ended or is not ready by then; the detail is the end of its logs.
    """
    for host in hosts:
        for answers, what in ((_sshd_ready, "sshd answers"), (docker_answers, "the Docker engine answers")):
            _wait(paths, host, answers, what, deadline_s=deadline_s)


def wait_docker(paths: LabPaths, host: HostRecord, *, deadline_s: float = 60) -> None:
    """Wait until the host's Docker engine answers; errors as ``wait_ready``."""
    _wait(paths, host, docker_answers, "the Docker engine answers", deadline_s=deadline_s)


def _wait(
    paths: LabPaths, host: HostRecord, check: Callable[[LabPaths, HostRecord], bool], what: str, *, deadline_s: float
) -> None:
    wait_until(
        lambda: _alive(paths, host) and check(paths, host),
        f"{host.name}: {what}",
        deadline_s=deadline_s,
        on_timeout=lambda: logs(paths, host),
    )


def _sshd_ready(_paths: LabPaths, host: HostRecord) -> bool:
    return sshd_answers(host.door_address, host.ssh_port)


def _alive(paths: LabPaths, host: HostRecord) -> bool:
    if process(paths, host) is None:
        raise LabError("the host ended while it started", where=host.name, detail=logs(paths, host))
    return True


def logs(paths: LabPaths, host: HostRecord) -> str:
    """The last lines of everything the host logs."""
    upper = paths.host(host.name) / "upper/var/log"
    own = [_log(paths, host), *(upper / f"{name}.log" for name in ("sshd", "dockerd", "haproxy"))]
    return "\n".join(log_tail(path) for path in own if path.exists())
