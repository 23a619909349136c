"""What is wrong with disks, ports, clocks and what is there already."""

from __future__ import annotations

from dataclasses import replace

from fleetdeploy.domain.checkup import Health
from fleetdeploy.domain.lease import Holder, Lease
from fleetdeploy.domain.observed import Absent, ContainerFacts, Disk, PoolMember, Present, Traffic, Unknown
from fleetdeploy.domain.watch import Watch, WatchState

from .hosts import CONTAINER, GIB, HEALTHY, HOST, MEMBERS, SAID, Rows, saying, seen, service, wishing

BAD, WARN, UNKNOWN = Health.BAD, Health.WARN, Health.UNKNOWN


ROWS: Rows = {
    "little room": (
        "disk",
        service(disk=Present(Disk(2 * GIB, 0))),
        [(WARN, "2.0 GiB are free for /srv/fleetdeploy/ranking")],
    ),
    "no room": (
        "disk",
        service(disk=Present(Disk(1000, 0))),
        [(BAD, "0.0 GiB are free for /srv/fleetdeploy/ranking")],
    ),
    "few inodes": (
        "disk",
        service(disk=Present(Disk(700 * GIB, 50))),
        [(BAD, "50 inodes are free for /srv/fleetdeploy/ranking")],
    ),
    "two file systems": (
        "disk",
        saying(**{"places.0": SAID["places.0"].replace("models 65024", "models 65025")}),
        [(BAD, "models and staging of /srv/fleetdeploy/ranking are on two file systems")],
    ),
    "not ours to write": (
        "disk",
        saying(**{"places.0": " 65024 no /srv /\nmodels 65024 no /srv /\nstaging 65024 no /srv /\n"}),
        [(BAD, "this user may not write to /srv")],
    ),
    "read-only": (
        "disk",
        saying(mounts="/dev/sda1 / ext4 ro,relatime,errors=remount-ro 0 0\n"),
        [(BAD, "/ is mounted read-only")],
    ),
    "in memory": (
        "disk",
        saying(mounts="tmpfs / tmpfs rw 0 0\n"),
        [(WARN, "/srv/fleetdeploy/ranking is in memory (tmpfs)")],
    ),
    "port taken": (
        "ports",
        seen(containers=Present(())),
        [
            (BAD, "ports 8500 and 8501 of service ranking are taken by something else"),
        ],
    ),
    "port of another service": (
        "ports",
        seen(containers=Present((replace(CONTAINER, labels={"fleetdeploy.service": "other"}),))),
        [
            (BAD, "ports 8500 and 8501 of service ranking are taken by something else"),
        ],
    ),
    "no such network": (
        "bind",
        wishing(bind="192.168.0.0/24"),
        [(BAD, "the host has no address in 192.168.0.0/24 for service ranking")],
    ),
    "no such address": (
        "bind",
        wishing(bind="10.77.0.99"),
        [(BAD, "the host has no address 10.77.0.99 for service ranking")],
    ),
    "everywhere": ("bind", wishing(bind="0.0.0.0"), []),
    "clock ahead": (
        "clock",
        replace(HEALTHY, clock_offset_s=Present(7200.0)),
        [(WARN, "the clock is about 2 hours ahead of this machine's")],
    ),
    "clock nearly two hours ahead": (
        "clock",
        replace(HEALTHY, clock_offset_s=Present(7198.6)),
        [(WARN, "the clock is about 2 hours ahead of this machine's")],
    ),
    "clock behind": (
        "clock",
        replace(HEALTHY, clock_offset_s=Present(-42.4)),
        [(WARN, "the clock is about 42 seconds behind this machine's")],
    ),
    "no NTP": (
        "clock_sync",
        saying(ntp="NTPSynchronized=no"),
        [(WARN, "nothing keeps the clock right (not synchronised)")],
    ),
    "chrony": ("clock_sync", saying(ntp="Reference ID    : A9FEA97B\nLeap status     : Normal\n"), []),
    "chrony alone": (
        "clock_sync",
        saying(ntp="Reference ID    : 00000000 ()\nLeap status     : Not synchronised\n"),
        [(WARN, "nothing keeps the clock right (not synchronised)")],
    ),
    "few files": ("limits", saying(nofile="256"), [(WARN, "a session may have 256 files open")]),
    "no limit": ("limits", saying(nofile="unlimited"), []),
    "files used up": (
        "limits",
        saying(file_nr="98000\t0\t100000\n"),
        [(WARN, "98000 of 100000 files of the whole host are open")],
    ),
    "memory promised": (
        "memory",
        wishing(memory_bytes=64 * GIB),
        [(BAD, "services may take 64.0 GiB of memory, the host has 23.5 GiB")],
    ),
    "memory used up": (
        "memory",
        saying(memory="MemTotal:       24684084 kB\nMemFree:        1 kB\nMemAvailable:   24000 kB\n"),
        [(WARN, "less than 5% of the memory is free")],
    ),
    "foreign container": (
        "foreign",
        seen(containers=Present((ContainerFacts("fleetdeploy-ranking", "2", "sha256:2", "running"),))),
        [(BAD, "a container named fleetdeploy-ranking exists that fleetdeploy did not make")],
    ),
    "stray service": (
        "foreign",
        seen(containers=Present((replace(CONTAINER, name="fleetdeploy-old", labels={"fleetdeploy.service": "old"}),))),
        [(BAD, "fleetdeploy-old still runs service old, which the inventory does not list for this host")],
    ),
    "restarted": (
        "foreign",
        seen(containers=Present((replace(CONTAINER, restart_count=7),))),
        [(WARN, "Docker has restarted fleetdeploy-ranking several times")],
    ),
    "leased": (
        "leases",
        service(lease=Present(Lease(Holder("20260101T000000Z-abcd", "ann@ops"), 4, 30.0, 20.0))),
        [(WARN, "run 20260101T000000Z-abcd of ann@ops works on service ranking now")],
    ),
    "lease is over": ("leases", service(lease=Present(Lease(Holder("r", "ann@ops"), 4, 300.0, -20.0))), []),
    "owes": (
        "debts",
        replace(HEALTHY, owes="since 2026-01-01, no SSH connection"),
        [(WARN, "it has missed a release: since 2026-01-01, no SSH connection")],
    ),
    "left drained": (
        "debts",
        service(drained_by=Present("20260101T000000Z-abcd")),
        [
            (
                WARN,
                "run 20260101T000000Z-abcd took it out of its balancer for service ranking, and has not put it back",
            )
        ],
    ),
    "watchdog failed": (
        "watchdogs",
        service(watch=Present(Watch(WatchState.FAILED, "r1", "rel", "no such image"))),
        [(BAD, "service ranking: its watchdog could not take release rel of run r1 back: no such image")],
    ),
    "watchdog armed": (
        "watchdogs",
        service(watch=Present(Watch(WatchState.ARMED, "r1", "rel"))),
        [(WARN, "service ranking: its watchdog is armed over release rel of run r1")],
    ),
    "watchdog confirmed": ("watchdogs", service(watch=Present(Watch(WatchState.CONFIRMED, "r1", "rel"))), []),
    "not in a pool": (
        "balancer",
        replace(HEALTHY, members=Present(MEMBERS[:1])),
        [(BAD, "the balancer lb has no server gpu1 in rest")],
    ),
    "in maintenance": (
        "balancer",
        replace(HEALTHY, members=Present((MEMBERS[0], PoolMember("rest", "gpu1", Traffic.MAINTENANCE, 0, 100)))),
        [(WARN, "the balancer lb sends it nothing (maintenance) in rest")],
    ),
    "balancer silent": (
        "balancer",
        replace(HEALTHY, members=Unknown("connection refused")),
        [(UNKNOWN, "the balancer lb cannot be asked")],
    ),
    "not of level admin": (
        "balancer",
        replace(HEALTHY, balancer_obeys=Present(value=False)),
        [(BAD, "the balancer's socket /run/haproxy/admin.sock on lb may only be asked, not told")],
    ),
    "level not told": (
        "balancer",
        replace(HEALTHY, balancer_obeys=Unknown("it is too old")),
        [(UNKNOWN, "whether the balancer lb may be told to drain is not known")],
    ),
    "no balancer": ("balancer", replace(HEALTHY, host=replace(HOST, balancer=None), members=Absent()), []),
}
