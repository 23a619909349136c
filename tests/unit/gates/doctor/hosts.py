"""A host with which nothing is wrong, as real tools told it; tests change one thing of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from fleetdeploy.domain.checkup import Finding, Health, HostFacts, Link
from fleetdeploy.domain.inventory import BalancerWish, Connection, DeclaredGpus, Host
from fleetdeploy.domain.observed import (
    ContainerFacts,
    Disk,
    DockerFacts,
    Gpu,
    ObservedHost,
    ObservedService,
    PoolMember,
    Present,
    Reading,
    Traffic,
)
from fleetdeploy.domain.service import GpuRequest, ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.gates.doctor.check import host_checks, judged

GIB = 1024**3
IMAGE = "tensorflow/serving:2.19.1-gpu"
CARD = Gpu(0, "NVIDIA H200", 143771 * 1024**2, 1024**2, "9.0", "580.159.03", "GPU-1")
WISH = ServiceWish(
    "ranking",
    IMAGE,
    Ports(8500, 8501),
    "10.77.0.0/16",
    (ModelWish("ranker", Path("x"), VersionsWish((1,))),),
    gpus=GpuRequest(devices=(0, 1)),
)
HOST = Host(
    "gpu1",
    Connection("10.77.0.11", user="deploy"),
    gpus=DeclaredGpus(2, "NVIDIA H200", 140 * GIB, "9.0"),
    services=(WISH,),
    balancer=BalancerWish("haproxy", "lb", "/run/haproxy/admin.sock", "gpu1", {"ranking": ("rest", "grpc")}),
)
TOOLS = (
    "sh",
    "flock",
    "sync",
    "sha256sum",
    "setsid",
    "setpriv",
    "timeout",
    "find",
    "df",
    "stat",
    "tail",
    "head",
    "date",
)
INFO = {
    "ServerVersion": "20.10.24+dfsg1",
    "Driver": "overlay2",
    "LiveRestoreEnabled": True,
    "LoggingDriver": "json-file",
    "DockerRootDir": "/var/lib/docker",
    "Warnings": None,
}
DAEMON = {"log-opts": {"max-size": "50m"}, "storage-driver": "overlay2"}
# What the images nvidia/cuda:12.5.1 and those made of it have.
REQUIRES = (
    "cuda>=12.5 brand=unknown,driver>=470,driver<471 brand=tesla,driver>=535,driver<536 "
    "brand=tesla,driver>=550,driver<551"
)
ENVIRONMENT = [
    "PATH=/usr/local/nvidia/bin:/usr/local/cuda/bin:/usr/bin",
    "NVARCH=x86_64",
    f"NVIDIA_REQUIRE_CUDA={REQUIRES}",
    "CUDA_VERSION=12.5.1",
]
SAID: Mapping[str, str] = {
    "os": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n',
    "kernel": "Linux 6.1.0-37-amd64 x86_64",
    "user": "deploy",
    "tools": "\n".join(f"{tool} yes" for tool in TOOLS),
    "rsync": "rsync  version 3.2.7  protocol version 31\nCopyright (C) 1996-2022 by Andrew Tridgell",
    "sshd": "port 22\nmaxauthtries 6\nmaxsessions 10\nallowtcpforwarding yes\nmaxstartups 10:30:100\n",
    "docker_info": json.dumps(INFO),
    "docker_version": json.dumps({"Version": "20.10.24+dfsg1", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}),
    "docker_root": "Filesystem     1024-blocks      Used Available Capacity Mounted on\n"
    "/dev/nvme0n1p2   960303848 120303848 800000000      14% /\n--\n"
    "Filesystem       Inodes  IUsed    IFree IUse% Mounted on\n/dev/nvme0n1p2 61054976 500000 60554976    1% /",
    "dockerd": f"/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock \n--\n{json.dumps(DAEMON)}",
    "gpu_settings": "0, Enabled, Disabled, 0\n1, Enabled, Disabled, 0",
    "cuda": "| NVIDIA-SMI 580.159.03             Driver Version: 580.159.03     CUDA Version: 13.0     |",
    "toolkit": "NVIDIA Container Toolkit CLI version 1.17.8\ncommit: f202b80a9b9d0db00d9b1d73c0128c8962c55f4d",
    "ntp": "NTPSynchronized=yes",
    "security": "AppArmor Y",
    "cgroup": "2",
    "memory": "MemTotal:       24684084 kB\nMemFree:        20199740 kB\nMemAvailable:   22263616 kB\n",
    "mounts": "proc /proc proc rw,relatime 0 0\n/dev/nvme0n1p2 / ext4 rw,relatime 0 0\n",
    "nofile": "1024",
    "file_nr": "2234\t0\t2466170\n",
    "places.0": " 65024 yes /srv/fleetdeploy/ranking /\nmodels 65024 yes /srv/fleetdeploy/ranking/models /\n"
    "staging 65024 yes /srv/fleetdeploy/ranking/staging /\n",
    "image_env.0": json.dumps(ENVIRONMENT),
}
CONTAINER = ContainerFacts(
    "fleetdeploy-ranking", "1", "sha256:1", "running", {"fleetdeploy.service": "ranking"}, published=(8500, 8501)
)
SERVICE = ObservedService("ranking", container=Present(CONTAINER), disk=Present(Disk(700 * GIB, 60_000_000)))
MEMBERS = tuple(PoolMember(pool, "gpu1", Traffic.UP, 0, 100) for pool in ("grpc", "rest"))
HEALTHY = HostFacts(
    HOST,
    ObservedHost(
        "gpu1",
        docker=Present(DockerFacts("20.10.24+dfsg1", ("nvidia", "runc"), {IMAGE: "sha256:1"})),
        gpus=Present((CARD, replace(CARD, index=1, uuid="GPU-2"))),
        addresses=Present(("127.0.0.1", "10.77.0.11")),
        listening=Present((22, 8500, 8501)),
        containers=Present((CONTAINER,)),
        services={"ranking": SERVICE},
    ),
    {name: Present(text) for name, text in SAID.items()},
    Link(Present("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7"), Present(0.004), Present(value=True), Present(value=True)),
    clock_offset_s=Present(0.0),
    members=Present(MEMBERS),
    balancer_obeys=Present(value=True),
)


def saying(facts: HostFacts = HEALTHY, **said: str | Reading[str]) -> HostFacts:
    """The host, whose tools tell something else."""
    new = {name: Present(text) if isinstance(text, str) else text for name, text in said.items()}
    return replace(facts, said={**facts.said, **new})


def seen(facts: HostFacts = HEALTHY, **fields: object) -> HostFacts:
    """The host, of which the probe saw something else."""
    return replace(facts, observed=replace(facts.observed, **fields))


def service(facts: HostFacts = HEALTHY, **fields: object) -> HostFacts:
    """The host, on whose service the probe saw something else."""
    return seen(facts, services={"ranking": replace(facts.observed.services["ranking"], **fields)})


def wishing(facts: HostFacts = HEALTHY, **fields: object) -> HostFacts:
    """The host, of whose service the inventory wishes something else."""
    wish = replace(facts.host.services[0], **fields)
    return replace(facts, host=replace(facts.host, services=(wish,)))


def told(name: str, facts: HostFacts) -> tuple[Finding, ...]:
    """What one check says."""
    return tuple(judged(name, host_checks()[name], facts))


def wrong(name: str, facts: HostFacts) -> list[tuple[Health, str]]:
    """State and sentence of everything that is not fine by one check."""
    return [(item.health, item.what) for item in told(name, facts) if item.health is not Health.OK]


Rows = dict[str, tuple[str, HostFacts, list[tuple[Health, str]]]]
"""By what is wrong: the check that tells it, the host, and what it tells."""
