"""Pure readers of what the probe brings: each takes the text of one tool and raises ValueError when it is not that."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleetdeploy.domain.observed import ContainerFacts, Disk, Gpu, State, VersionOnDisk, VersionState
from fleetdeploy.remote.host_words import printable

_MIB = 1024 * 1024
_INET = re.compile(r"\binet (\d{1,3}(?:\.\d{1,3}){3})\b")
_LOCAL = re.compile(r"\|-- (\d{1,3}(?:\.\d{1,3}){3})\n\s+/32 host LOCAL")
_HTTP = re.compile(r"HTTP/[0-9.]+ (\d{3})")
_DF = re.compile(r"\s(\d+)\s+(\d+)\s+(-?\d+)\s+(?:\d+%|-)\s+/")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Container:
    """A container and what it publishes: container port to (host address, host port)."""

    facts: ContainerFacts
    ports: Mapping[int, tuple[str, int]] = field(default_factory=dict)


def engine(text: str) -> tuple[str, tuple[str, ...]]:
    """Version and runtimes, from ``docker info --format '{{json .ServerVersion}} {{json .Runtimes}}'``."""
    version, end = json.JSONDecoder().raw_decode(text)
    runtimes = json.loads(text[end:])
    if not isinstance(version, str) or not version or not isinstance(runtimes, dict):
        raise ValueError("docker info names no server version")
    return version, tuple(sorted(runtimes))


def image_id(text: str) -> str:
    """One image id."""
    found = text.strip()
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", found):
        raise ValueError(f"{found[:80]!r} is not an image id")
    return found


def containers(text: str) -> tuple[Container, ...]:
    """One JSON object a line, as the probe's format for ``docker inspect`` gives them."""
    return tuple(_container(json.loads(line)) for line in text.splitlines() if line.strip())


def _container(found: Any) -> Container:
    labels = found["labels"] or {}
    ports = {
        int(port.split("/")[0]): (str(places[0]["HostIp"] or "0.0.0.0"), int(places[0]["HostPort"]))  # noqa: S104
        for port, places in (found["ports"] or {}).items()
        if places and port.endswith("/tcp") and str(places[0]["HostPort"]).isdecimal()
    }
    return Container(
        ContainerFacts(
            name=str(found["name"]).removeprefix("/"),
            id=str(found["id"]),
            image_id=str(found["image"]),
            status=str(found["status"]),
            labels={str(name): str(value) for name, value in labels.items()},
            restart_count=int(found["restart_count"]),
            exit_code=int(found["exit_code"]),
            started_at=str(found.get("started_at") or ""),
            published=tuple(port for _, port in ports.values()),
        ),
        ports,
    )


def gpus(text: str) -> tuple[Gpu, ...]:
    """Rows of nvidia-smi: index, uuid, name, memory total and used in MiB, compute capability, driver."""
    rows = []
    for line in text.splitlines():
        if not line.strip():
            continue
        fields = [part.strip() for part in line.split(",")]
        if len(fields) < 7:
            raise ValueError(f"nvidia-smi printed {line.strip()[:80]!r}")
        index, uuid, *name, total, used, capability, driver = fields
        rows.append(
            Gpu(
                index=int(index),
                name=", ".join(name),
                memory_bytes=int(total) * _MIB,
                memory_used_bytes=int(used) * _MIB,
                compute_capability=capability,
                driver=driver,
                uuid=uuid,
            )
        )
    return tuple(rows)


def addresses(text: str) -> tuple[str, ...]:
    """IPv4 addresses from ``ip -o -4 addr show``, or from /proc/net/fib_trie."""
    found = dict.fromkeys([*_INET.findall(text), *_LOCAL.findall(text)])
    if not found:
        raise ValueError("no IPv4 address is listed")
    return tuple(found)


def listening(text: str) -> tuple[int, ...]:
    """Ports in state LISTEN of /proc/net/tcp and tcp6, ascending."""
    ports = set()
    for line in text.splitlines():
        fields = line.split()
        if len(fields) > 3 and fields[3] == "0A":
            ports.add(int(fields[1].rpartition(":")[2], 16))
    return tuple(sorted(ports))


def disk(text: str) -> Disk:
    """``df -Pk`` and ``df -Pi`` of one directory, ``--`` between. 0 inodes: not counted there."""
    blocks, _, inodes = text.partition("\n--\n")
    space = _DF.search(blocks)
    if space is None:
        raise ValueError(f"df printed {blocks[:80]!r}")
    nodes = _DF.search(inodes)
    counted = nodes is not None and int(nodes[1]) > 0
    return Disk(max(0, int(space[3])) * 1024, int(nodes[3]) if nodes is not None and counted else 0)


def model_and_version(text: str) -> tuple[str, int]:
    """``MODEL NUMBER`` of one version directory."""
    model, _, number = text.strip().rpartition(" ")
    if not _NAME.fullmatch(model):
        raise ValueError(f"{model[:80]!r} is no model name")
    return model, int(number)


def sizes(text: str) -> dict[str, int]:
    """The directory on the first line, then ``ls -ln`` of its files: relative path to size in bytes."""
    directory, _, listing = text.partition("\n")
    found = {}
    for line in listing.splitlines():
        fields = line.split(None, 8)
        if len(fields) != 9 or not fields[8].startswith(f"{directory}/"):
            raise ValueError(f"ls printed {line[:80]!r}")
        found[fields[8][len(directory) + 1 :]] = int(fields[4])
    return found


def version_on_disk(number: int, sizes_bytes: Mapping[str, int], manifest_text: str) -> VersionOnDisk:
    """A version directory; without a recorded manifest its digest is empty."""
    digest = hashlib.sha256(manifest_text.encode()).hexdigest() if manifest_text else ""
    return VersionOnDisk(number, digest, sizes_bytes, manifest_text)


def served(text: str) -> tuple[VersionState, ...]:
    """An HTTP answer, head included, to ``GET /v1/models/M``; 404 means that the server knows no such model.

    See api_rest.md of TF Serving, "Model status API"; version numbers are strings there.
    """
    status = _HTTP.search(text)
    if status is None:
        raise ValueError("no HTTP answer")
    if status[1] == "404":
        return ()
    if status[1] != "200":
        raise ValueError(f"HTTP status {status[1]}")
    body = text[text.index("{") : text.rindex("}") + 1]
    return tuple(_state(entry) for entry in json.loads(body)["model_version_status"])


def _state(entry: Any) -> VersionState:
    code, message = str(entry["status"]["error_code"]), str(entry["status"]["error_message"])
    error = "" if code == "OK" else printable(f"{code}: {message}")
    return VersionState(int(entry["version"]), State(entry["state"]), error)
