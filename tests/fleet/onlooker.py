"""What a test sees of the hosts and the balancer with the host's own tools, past everything that is tested."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.tfserving import golden, predict
from tests.fleet.project import CONTAINER, DIRECTORY

POOLS = ("ranking_rest", "ranking_grpc")
_SSHD_LOG = "/var/log/sshd.log"
_SSHD_CONFIG = "/etc/ssh/fdlab_sshd_config"
_MAKE_NEW = """
docker ps --all --quiet | xargs --no-run-if-empty docker rm --force >/dev/null
rm -rf /srv/*
"""
_CHANGES_BY_ITSELF = {"var/log/sshd.log", "var/log/dockerd.log", "var/log/haproxy.log"}


def machines(lab: Lab) -> list[str]:
    return [name for name, host in lab.hosts.items() if host.role == "gpu"]


def on(lab: Lab, host: str, *argv: str, check: bool = True) -> str:
    """What a command prints on the host, without SSH."""
    return lab.run_on(host, argv, check=check).stdout


def everywhere(lab: Lab, script: str) -> None:
    """Run a shell script on every GPU host at once."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: on(lab, name, "sh", "-c", script), machines(lab)))


def make_new(lab: Lab) -> None:
    """Take everything off the hosts that a deploy or a test put there, and clear the balancer's mind."""
    for host in lab.status().hosts:
        if not host.running:
            lab.power_on(host.name)
        elif host.role == "gpu" and not host.docker:
            lab.start_service(host.name, "docker")
            wait_docker(lab, host.name)
    everywhere(lab, _MAKE_NEW)
    for name in machines(lab):
        tell(lab, name, "ready")


def wait_docker(lab: Lab, host: str) -> None:
    argv = ["docker", "ps", "--quiet"]
    wait_until(lambda: lab.run_on(host, argv, check=False).returncode == 0, "Docker answers", deadline_s=60)


def tell_everything(lab: Lab) -> None:
    """Set every sshd's LogLevel to DEBUG1, where it tells each channel that is opened."""
    for host in lab.hosts:
        on(lab, host, "sh", "-c", f"echo LogLevel DEBUG1 >>{_SSHD_CONFIG} && kill -HUP $(cat /run/sshd.pid)")
    wait_until(lambda: all(host.sshd for host in lab.status().hosts), "sshd answers again", deadline_s=20)


@contextmanager
def no_session_left(lab: Lab) -> Iterator[Callable[[], list[str]]]:
    """At its end no session of SSH goes on that began in the block, on any GPU host; meanwhile what it yields names the
    hosts with one. Tests that cut links leave some behind, which end by sshd's own patience.
    """

    def sessions() -> set[tuple[str, str]]:
        found = {name: on(lab, name, "pgrep", "-f", "^sshd.*: root", check=False) for name in machines(lab)}
        return {(name, process) for name, text in found.items() for process in text.split()}

    before = sessions()
    yield lambda: sorted({name for name, _ in sessions() - before})
    wait_until(lambda: sessions() <= before, "nobody is connected", deadline_s=60)


# Containers


def container(lab: Lab, host: str, name: str = CONTAINER) -> dict[str, Any] | None:
    """``docker inspect`` of one container; None when there is none."""
    text = on(lab, host, "docker", "inspect", "--type", "container", name, check=False)
    found = json.loads(text or "[]")
    return found[0] if found else None


def identity(lab: Lab, host: str) -> tuple[str, str]:
    """The container's id and when it started: the same as long as the same process serves."""
    found = container(lab, host)
    assert found is not None, f"no container on {host}"
    return found["Id"], found["State"]["StartedAt"]


def identities(lab: Lab) -> dict[str, tuple[str, str]]:
    return {host: identity(lab, host) for host in machines(lab)}


# What is served


def ask(lab: Lab, host: str, path: str, body: bytes | None = None) -> bytes:
    """The REST answer of the host's model server, asked on the host; empty when nobody answers."""
    url = f"http://{lab.host(host).address}:8501{path}"
    argv = ["curl", "--silent", "--max-time", "10", url]
    if body is None:
        return on(lab, host, *argv, check=False).encode()
    return lab.run_on(host, [*argv, "--data-binary", "@-"], stdin=body.decode(), check=False).stdout.encode()


def versions(lab: Lab, host: str, model: str = "ranker") -> dict[int, str]:
    """Version to state, by the server's own word."""
    text = ask(lab, host, f"/v1/models/{model}")
    entries = json.loads(text or b"{}").get("model_version_status", [])
    return {int(entry["version"]): entry["state"] for entry in entries}


def available(lab: Lab, host: str, model: str = "ranker") -> list[int]:
    return sorted(number for number, state in versions(lab, host, model).items() if state == "AVAILABLE")


def serves(lab: Lab, version: int, *, model: str = "ranker", hosts: Sequence[str] = ()) -> None:
    """Each host has this version alone AVAILABLE, answers every golden request as recorded, and gets its traffic."""
    requests = golden.for_version(golden.load(lab.paths.cache / f"models/golden/{model}.jsonl"), version)
    assert requests
    for host in hosts or machines(lab):
        assert available(lab, host, model) == [version], host
        for request in requests:
            content = ask(lab, host, predict.rest_path(model), predict.rest_body(request))
            assert golden.compare(request, predict.rest_answer(content, request)) == (), f"{host}: {request.name}"
        assert traffic(lab)[host] == {"UP"}, host


# The balancer


def traffic(lab: Lab) -> dict[str, set[str]]:
    """HAProxy's word for each host, over all pools: ``{"UP"}`` is a host in full service."""
    found: dict[str, set[str]] = {name: set() for name in machines(lab)}
    for line in lab.balancer_command("show stat").splitlines():
        row = line.split(",")
        if len(row) > 17 and row[0] in POOLS and row[1] in found:
            found[row[1]].add(row[17])
    return found


def admin_state(lab: Lab) -> list[str]:
    """What HAProxy was told about each server, without what it measures by itself."""
    lines = lab.balancer_command("show servers state").splitlines()[1:]
    return [" ".join([*line.split()[:5], *line.split()[6:9]]) for line in lines]


def tell(lab: Lab, host: str, state: str) -> None:
    """What an operator types: ``set server`` in every pool."""
    for pool in POOLS:
        assert lab.balancer_command(f"set server {pool}/{host} state {state}") == ""


def drained(lab: Lab, *, but: str = "") -> list[str]:
    """The hosts with a drain marker of a run; ``but`` one is not asked."""
    hosts = [host for host in machines(lab) if host != but]
    return [host for host in hosts if on(lab, host, "sh", "-c", f"cat {DIRECTORY}/drained 2>&-; :")]


@contextmanager
def most_out(lab: Lab, *, every_s: float = 0.02) -> Iterator[list[frozenset[str]]]:
    """While the block runs, collects every set of hosts that were out of service at one moment."""
    seen: list[frozenset[str]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(every_s):
            out = frozenset(name for name, states in traffic(lab).items() if states != {"UP"})
            if not seen or seen[-1] != out:
                seen.append(out)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(10)


# Files


def tree(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below ``root``: kind and mode, owner, inode, links, size, time, and the hash of what is in it."""
    found: dict[str, tuple[object, ...]] = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            relative = str(path.relative_to(root))
            if relative in _CHANGES_BY_ITSELF:
                continue
            info = path.lstat()
            content = ""
            if stat.S_ISREG(info.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(info.st_mode):
                content = str(path.readlink())
            times = () if stat.S_ISDIR(info.st_mode) and relative == "var/log" else (info.st_mtime_ns, info.st_ctime_ns)
            found[relative] = (info.st_mode, info.st_uid, info.st_gid, info.st_ino, info.st_nlink, info.st_size,
                               *times, content)  # fmt: skip
    return found


def everything(lab: Lab, *, but: str = "") -> dict[str, object]:
    """All that a run could change: files of every host ``but`` one, containers and images, and the balancer's mind."""
    found: dict[str, object] = {"balancer": admin_state(lab)}
    for host in (name for name in lab.hosts if name != but):
        home = lab.paths.host(host)
        for part in ("upper", "srv", "root"):
            found |= {f"{host}:{part}/{name}": entry for name, entry in tree(home / part).items()}
        found[f"{host}:/tmp"] = on(lab, host, "find", "/tmp", "-printf", "%p %y %s %T@\n")
        found[f"{host}:docker"] = docker_state(lab, host)
    return found


def docker_state(lab: Lab, host: str) -> tuple[str, str]:
    """Every container as inspected, and every image; what Docker lists in no order of its own is sorted."""
    ids = on(lab, host, "docker", "ps", "--all", "--quiet", "--no-trunc").split()
    containers = json.loads(on(lab, host, "docker", "inspect", *ids)) if ids else []
    for found in containers:
        found["Mounts"].sort(key=lambda mount: mount["Destination"])
    return json.dumps(containers, indent=1, sort_keys=True), docker_images(lab, host)


def docker_images(lab: Lab, host: str) -> str:
    images = on(lab, host, "docker", "images", "--all", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
    return "\n".join(sorted(images.splitlines()))


def service_files(lab: Lab, host: str) -> dict[str, tuple[object, ...]]:
    """The tree of the service's directory on a host that is on."""
    return tree(lab.paths.host(host) / DIRECTORY.lstrip("/"))


# SSH


class SshdLog:
    """What a host's sshd writes from here on."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._path = lab.paths.host(host) / "upper" / _SSHD_LOG.lstrip("/")
        self._start = len(self._settled())

    def read(self) -> Sessions:
        """What came since, once every session in it has ended."""
        return Sessions(self._settled()[self._start :])

    def _settled(self) -> str:
        """The whole log, after nothing was added for a while."""
        last, since = "", time.monotonic()

        def quiet() -> bool:
            nonlocal last, since
            text = self._path.read_text(errors="replace")
            if text != last:
                last, since = text, time.monotonic()
            return time.monotonic() - since > 0.3

        wait_until(quiet, f"{self._path} is quiet", deadline_s=30, interval_s=0.05)
        return last


@dataclass(frozen=True)
class Sessions:
    """A piece of an sshd's log at LogLevel DEBUG1."""

    text: str

    @property
    def connections(self) -> int:
        return sum(line.startswith("Connection from ") for line in self.text.splitlines())

    @property
    def logins(self) -> int:
        return self.text.count("Accepted publickey for ")

    @property
    def logins_tried(self) -> int:
        return self.text.count("userauth-request for user ")

    @property
    def commands(self) -> int:
        return self.text.count("Starting session: command")

    @property
    def channels(self) -> list[str]:
        """The type of every channel that was opened, in order; a command is a ``session``."""
        return [line.split()[3] for line in self.text.splitlines() if "server_input_channel_open: ctype" in line]
