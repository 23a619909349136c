"""The directories of services: room, file system, mount options, and whether we may write there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from shlex import quote

from fleetdeploy.domain.checkup import Finding, HostFacts, known
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn

GIB = 1024**3
LITTLE_BYTES, NOTHING_BYTES = 5 * GIB, GIB // 4
FEW_INODES, NO_INODES = 10_000, 100


def look(facts: HostFacts) -> Iterator[Finding]:
    """By df, stat and /proc/self/mounts, for the nearest directory that exists."""
    mounts = _mounts(facts.text("mounts"))
    for index, service in enumerate(facts.host.services):
        disk = known(facts.observed.services[service.name].disk)
        if disk is not None:
            yield from _room(service, disk.free_bytes, disk.free_inodes)
        yield from _places(service, facts.text(f"places.{index}"), mounts)


def _room(service: ServiceWish, free_bytes: int, free_inodes: int) -> Iterator[Finding]:
    at = service.directory
    text, fix = (
        f"{free_bytes / GIB:.1f} GiB are free for {at}",
        f"on {{host}}: du -xh -d 2 {quote(str(at.parent))} | sort -h | tail",
    )
    if free_bytes < NOTHING_BYTES:
        yield bad(text, why="no model can be staged", fix=fix)
    elif free_bytes < LITTLE_BYTES:
        yield warn(text, why="a model is staged beside the old one", fix=fix)
    else:
        yield fine(text)
    if free_inodes and free_inodes < FEW_INODES:  # 0 is not counted there
        make = bad if free_inodes < NO_INODES else warn
        yield make(
            f"{free_inodes} inodes are free for {at}",
            why="every file needs one",
            fix=f"on {{host}}: du --inodes -xd 2 {quote(str(at.parent))} | sort -n | tail",
        )


def _places(service: ServiceWish, text: str, mounts: Mapping[str, tuple[str, frozenset[str]]]) -> Iterator[Finding]:
    rows = [line.split(" ", 4) for line in text.splitlines()]
    if [row[0] for row in rows] != ["", "models", "staging"]:
        raise ValueError("the places of a service are not told")
    devices = {row[0]: row[1] for row in rows}
    there = {row[0] for row in rows if row[3].endswith(f"/{row[0]}")}
    if {"models", "staging"} <= there and devices["models"] != devices["staging"] and "?" not in devices.values():
        yield bad(
            f"models and staging of {service.directory} are on two file systems",
            why="a model is put in place by one rename, which works within one",
            fix=f"mount {service.directory} as one file system, not the directories in it",
        )
    mount = rows[1][4]
    kind, words = mounts[mount]
    closed = [row[3] for row in rows if row[2] != "yes"]
    if "ro" in words:
        yield bad(
            f"{mount} is mounted read-only",
            why="the kernel does that after errors of a disk",
            fix=f"on {{host}}: sudo dmesg | tail; sudo mount -o remount,rw {quote(mount)}",
        )
    elif closed:
        yield bad(
            f"this user may not write to {closed[0]}",
            why=f"the files of service {service.name} go there",
            fix=f"on {{host}}: sudo install -d -o USER {quote(str(service.base_dir))}  (or `ansible_become: true`)",
        )
    else:
        yield fine(f"{service.directory} can be written to")
    if kind in {"tmpfs", "ramfs"}:
        yield warn(
            f"{service.directory} is in memory ({kind})",
            why="models are gone after a reboot",
            fix=f"on {{host}}: mount a disk at {service.base_dir}",
        )


def _mounts(text: str) -> Mapping[str, tuple[str, frozenset[str]]]:
    """File system and options of each mount point; the last one of a place is what is seen there."""
    found = {}
    for line in text.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4:
            found[fields[1]] = fields[2], frozenset(fields[3].split(","))
    if not found:
        raise ValueError("no mount is listed")
    return found


CHECK = Check(Group.DISK, "the services' directories", look, "ssh {host} df -h /srv")
