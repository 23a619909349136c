"""Each check of a host, on what real tools printed when something was wrong."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fleetdeploy.domain.checkup import Health, HostFacts
from fleetdeploy.domain.lease import Holder, Lease
from fleetdeploy.domain.observed import (
    Absent,
    ContainerFacts,
    Disk,
    PoolMember,
    Present,
    Traffic,
    Unknown,
)
from fleetdeploy.domain.service import GpuRequest, Requirements
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.gates.doctor.versions import install

from .hosts import (
    CARD,
    CONTAINER,
    DAEMON,
    GIB,
    HEALTHY,
    HOST,
    INFO,
    MEMBERS,
    SAID,
    WISH,
    saying,
    seen,
    service,
    told,
    wishing,
    wrong,
)

BAD, WARN, UNKNOWN = Health.BAD, Health.WARN, Health.UNKNOWN
OF_EACH = "of GPU memory for each version"
NO_DAEMON = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
DENIED = (
    "Got permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock: "
    'Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.24/containers/json": dial unix /var/run/docker.sock: connect: '
    "permission denied"
)
TCP_WARNING = (
    "WARNING: API is accessible on http://0.0.0.0:2375 without encryption.\n         Access to the remote API is "
    "equivalent to root access on the host."
)


def link(**fields: object) -> HostFacts:
    return replace(HEALTHY, link=replace(HEALTHY.link, **fields))


def docker(**fields: object) -> HostFacts:
    return saying(docker_info=json.dumps({**INFO, **fields}))


def engine(reason: str) -> HostFacts:
    return seen(docker=Unknown(reason), containers=Unknown(reason))


def image(**environment: str) -> HostFacts:
    return saying(**{"image_env.0": json.dumps([f"{name}={value}" for name, value in environment.items()])})


def other_driver(version: str, cuda: str, facts: HostFacts = HEALTHY) -> HostFacts:
    cards = tuple(replace(CARD, index=index, driver=version) for index in (0, 1))
    return saying(seen(facts, gpus=Present(cards)), cuda=SAID["cuda"].replace("13.0", cuda))


def without(*tools: str) -> HostFacts:
    return saying(
        tools="\n".join(
            line.replace(" yes", " no") if line.split()[0] in tools else line for line in SAID["tools"].splitlines()
        )
    )


ROWS: dict[str, tuple[str, HostFacts, list[tuple[Health, str]]]] = {
    "old sshd": (
        "ssh_server",
        link(server=Present("SSH-2.0-OpenSSH_5.3")),
        [(WARN, "OpenSSH 5.3 is older than 6.7")],
    ),
    "dropbear": ("ssh_server", link(server=Present("SSH-2.0-dropbear_2022.83")), []),
    "other server": (
        "ssh_server",
        link(server=Present("SSH-2.0-Go")),
        [(WARN, "the SSH server calls itself 'Go'")],
    ),
    "far away": (
        "ssh_server",
        link(round_trip_s=Present(0.9)),
        [(WARN, "a question and its answer take more than 0.5 s")],
    ),
    "no TCP": ("ssh_forwarding", link(tcp=Present(value=False)), [(BAD, "sshd forbids connections to TCP ports")]),
    "no TCP, no sockets": (
        "ssh_forwarding",
        link(tcp=Present(value=False), sockets=Present(value=False)),
        [(BAD, "sshd forbids connections to TCP ports")],
    ),
    "no sockets": (
        "ssh_forwarding",
        link(sockets=Present(value=False)),
        [(WARN, "sshd forbids connections to sockets")],
    ),
    "few sessions": (
        "sshd_settings",
        saying(sshd="maxsessions 2\nmaxstartups 10:30:100"),
        [(WARN, "sshd takes 2 sessions on one connection")],
    ),
    "few logins": (
        "sshd_settings",
        saying(sshd="maxsessions 10\nmaxstartups 2:30:10"),
        [(WARN, "sshd refuses logins beyond 2 at a time (MaxStartups 2:30:10)")],
    ),
    "sudo to another": (
        "become",
        replace(HEALTHY, host=replace(HOST, connection=replace(HOST.connection, become=True))),
        [(BAD, "sudo makes deploy of us, not root")],
    ),
    "no flock": ("tools", without("flock"), [(BAD, "flock is missing on the host")]),
    "no setpriv": ("tools", without("setpriv"), [(WARN, "setpriv is missing on the host")]),
    "no rsync": (
        "rsync",
        saying(rsync=Unknown("rsync: not found on the host")),
        [(BAD, "rsync is missing on the host")],
    ),
    "old rsync": (
        "rsync",
        saying(rsync="rsync  version 3.0.9  protocol version 30\n"),
        [(BAD, "rsync 3.0.9 is older than 3.1")],
    ),
    "rsync of el8": (
        "rsync",
        saying(rsync="rsync  version 3.1.3  protocol version 31\n"),
        [(WARN, "rsync 3.1.3 has no --fsync, which came with 3.2.4")],
    ),
    "no docker": ("docker_engine", engine("docker: not found on the host"), [(BAD, "Docker is not installed")]),
    "docker stopped": (
        "docker_engine",
        engine(NO_DAEMON),
        [(BAD, "the Docker engine does not run, or does not listen on its socket")],
    ),
    "docker is another's": (
        "docker_engine",
        engine("error during connect: Get http://docker:80/_ping: EOF. Is the docker daemon running?"),
        [(BAD, "the Docker engine does not run, or does not listen on its socket")],
    ),
    "not in the group": ("docker_engine", engine(DENIED), [(BAD, "this user may not use Docker")]),
    "docker hangs": (
        "docker_engine",
        engine("docker: no answer within 10 s"),
        [(UNKNOWN, "whether Docker answers cannot be told")],
    ),
    "docker of 2018": (
        "docker_engine",
        saying(docker_version=json.dumps({"Version": "18.09.1", "ApiVersion": "1.39"})),
        [(BAD, "Docker 18.09.1 speaks API 1.39, 1.40 is needed")],
    ),
    "no live-restore": (
        "docker_settings",
        docker(LiveRestoreEnabled=False),
        [(WARN, "a restart of Docker ends every server of the host (live-restore is off)")],
    ),
    "vfs": ("docker_settings", docker(Driver="vfs"), [(WARN, "Docker keeps images by the driver vfs")]),
    "endless logs": (
        "docker_settings",
        saying(dockerd="dockerd \n--\n{}"),
        [(WARN, "container logs grow without end (json-file has no max-size)")],
    ),
    "endless logs, no file": (
        "docker_settings",
        saying(dockerd="dockerd \n--"),
        [(WARN, "container logs grow without end (json-file has no max-size)")],
    ),
    "logs of the words": ("docker_settings", saying(dockerd="dockerd --log-opt max-size=9m \n--\n"), []),
    "journald": ("docker_settings", saying(docker(LoggingDriver="journald"), dockerd="dockerd \n--\n{}"), []),
    "tcp by words": (
        "docker_tcp",
        saying(dockerd="dockerd -H fd:// -H tcp://0.0.0.0:2375 \n--\n{}"),
        [(BAD, "Docker listens on tcp://0.0.0.0:2375")],
    ),
    "tcp by file": (
        "docker_tcp",
        saying(dockerd='dockerd \n--\n{"hosts": ["unix:///var/run/docker.sock", "tcp://10.0.0.4:2375"]}'),
        [(BAD, "Docker listens on tcp://10.0.0.4:2375")],
    ),
    "tcp on the loop": (
        "docker_tcp",
        saying(dockerd="dockerd -H tcp://127.0.0.1:2375 \n--\n"),
        [(BAD, "Docker listens on tcp://127.0.0.1:2375")],
    ),
    "tcp with certificates": (
        "docker_tcp",
        saying(dockerd="dockerd --tlsverify -H tcp://0.0.0.0:2376 \n--\n"),
        [(WARN, "Docker listens on tcp://0.0.0.0:2376, for clients with a certificate")],
    ),
    "tcp by port": (
        "docker_tcp",
        seen(listening=Present((22, 2375))),
        [(BAD, "Docker listens on tcp://...:2375")],
    ),
    "tcp by its warning": (
        "docker_tcp",
        seen(docker(Warnings=[TCP_WARNING]), listening=Present((22, 2376))),
        [(BAD, "Docker listens on tcp://...:2376")],
    ),
    "docker's disk": (
        "docker_room",
        saying(docker_root=SAID["docker_root"].replace(" 800000000 ", " 5000000 ")),
        [(WARN, "4.8 GiB are free on /, where Docker keeps images")],
    ),
    "docker's disk full": (
        "docker_room",
        saying(docker_root=SAID["docker_root"].replace(" 800000000 ", " 0 ")),
        [(BAD, "0.0 GiB are free on /, where Docker keeps images")],
    ),
    "no nvidia runtime": (
        "nvidia_runtime",
        seen(docker=Present(replace(HEALTHY.observed.docker.value, runtimes=("io.containerd.runc.v2", "runc")))),
        [(BAD, "Docker has no runtime nvidia, which ranking needs")],
    ),
    "old toolkit": (
        "nvidia_toolkit",
        saying(toolkit="NVIDIA Container Toolkit CLI version 1.14.3\ncommit: 53b24618a542025b108239fe602e66e912b7d6e2"),
        [(WARN, "the NVIDIA Container Toolkit is 1.14.3, older than 1.17.8")],
    ),
    "runc needs no toolkit": ("nvidia_toolkit", saying(wishing(runtime="runc"), toolkit=Unknown("none")), []),
    "driver before CUDA 12": (
        "driver_cuda",
        other_driver("470.256.02", "11.4", image(CUDA_VERSION="12.2.2")),
        [(BAD, f"the driver 470.256.02 is too old for {WISH.image}")],
    ),
    "driver before CUDA 13": (
        "driver_cuda",
        other_driver("575.57.08", "12.9", image(CUDA_VERSION="13.0.1")),
        [(BAD, f"the driver 575.57.08 is too old for {WISH.image}")],
    ),
    "minor versions fit": ("driver_cuda", other_driver("525.60.13", "12.0", image(CUDA_VERSION="12.8.1")), []),
    "the image's own rule": (
        "driver_cuda",
        other_driver("525.60.13", "12.0"),
        [(BAD, f"the driver 525.60.13 is too old for {WISH.image}")],
    ),
    "an alternative of the rule": ("driver_cuda", other_driver("535.54.03", "12.2"), []),
    "a rule with a bound": (
        "driver_cuda",
        other_driver("550.54.14", "12.4", image(NVIDIA_REQUIRE_CUDA="cuda>=12.5 brand=tesla,driver>550.54.14")),
        [(BAD, f"the driver 550.54.14 is too old for {WISH.image}")],
    ),
    "a rule with a bound that fits": (
        "driver_cuda",
        other_driver("550.90.07", "12.4", image(NVIDIA_REQUIRE_CUDA="cuda>=12.5 brand=tesla,driver>550.54.14")),
        [],
    ),
    "the rule is off": (
        "driver_cuda",
        other_driver(
            "525.60.13",
            "12.0",
            image(NVIDIA_REQUIRE_CUDA="cuda>=12.5", NVIDIA_DISABLE_REQUIRE="1", CUDA_VERSION="12.5"),
        ),
        [],
    ),
    "CUDA of the future": (
        "driver_cuda",
        image(CUDA_VERSION="19.0"),
        [(UNKNOWN, f"which driver CUDA 19.0 of {WISH.image} needs is not known here")],
    ),
    "image without CUDA": ("driver_cuda", image(PATH="/bin"), []),
    "image not there": (
        "driver_cuda",
        saying(**{"image_env.0": Absent()}),
        [(UNKNOWN, f"the CUDA of {WISH.image} is not known")],
    ),
    "a card is gone": (
        "gpus",
        seen(gpus=Present((CARD,))),
        [
            (BAD, "the inventory declares 2 GPUs, nvidia-smi lists 1"),
            (BAD, "service ranking wants GPU 1, the host has 0"),
        ],
    ),
    "another card": (
        "gpus",
        seen(gpus=Present(tuple(replace(CARD, index=index, name="NVIDIA A100-SXM4-80GB") for index in (0, 1)))),
        [(BAD, "the inventory declares model 'NVIDIA H200', nvidia-smi lists 'NVIDIA A100-SXM4-80GB' for GPU 0, 1")],
    ),
    "a model too large": (
        "gpus",
        wishing(models=(replace(WISH.models[0], requires=Requirements(200 * GIB)),)),
        [
            (BAD, f"model 'ranker' requires 200.0 GiB {OF_EACH}, GPU 0, 1 (NVIDIA H200) have 140.4 GiB"),
        ],
    ),
    "persistence off": (
        "gpu_settings",
        saying(gpu_settings="0, Disabled, Disabled, 0\n1, Disabled, Disabled, 0"),
        [(WARN, "persistence mode is off on GPU 0, 1")],
    ),
    "MIG": (
        "gpu_settings",
        saying(gpu_settings="0, Enabled, Enabled, 0\n1, Enabled, Disabled, 0"),
        [(WARN, "GPU 0 is split up (MIG)")],
    ),
    "memory errors": (
        "gpu_settings",
        saying(gpu_settings="0, Enabled, Disabled, 0\n1, Enabled, Disabled, 3"),
        [(WARN, "GPU 1 has had memory errors that could not be corrected")],
    ),
    "a card without either": ("gpu_settings", saying(gpu_settings="0, Enabled, [N/A], [N/A]"), []),
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


@pytest.mark.parametrize("row", ROWS)
def test_what_is_wrong_is_named(row: str) -> None:
    """What a host was made to lack is what its check says, and nothing else; what is fine in another way is fine."""
    check, facts, meant = ROWS[row]
    assert wrong(check, facts) == meant


@pytest.mark.parametrize("row", ROWS)
def test_everything_wrong_has_a_fix(row: str) -> None:
    """Every warning and every problem comes with something to type or to write down."""
    check, facts, _ = ROWS[row]
    for item in told(check, facts):
        if item.health in {BAD, WARN}:
            assert item.fix, item


def test_every_check_that_can_say_bad_is_seen_to() -> None:
    """The table above has a host for every check but those that are for information alone."""
    from fleetdeploy.gates.doctor.check import host_checks

    assert set(host_checks()) - {check for check, _, meant in ROWS.values() if meant} == {"kernel"}


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ("ID=debian\n", "on {host}: sudo apt-get install flock"),
        ("ID=ubuntu\nID_LIKE=debian\n", "on {host}: sudo apt-get install flock"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "on {host}: sudo dnf install flock"),
        ("ID=alpine\n", "on {host}: sudo apk add flock"),
        ("ID=nixos\n", "on {host}: install the package flock"),
    ],
)
def test_the_fix_is_for_the_hosts_own_system(os_release: str, command: str) -> None:
    """What installs a program is what the host's system calls it, and no guess where that is not known."""
    assert install(saying(os=os_release), "flock") == command


def test_what_a_host_says_is_no_command() -> None:
    """A name that a host made up is quoted where a fix has it on a command line."""
    trap = replace(CONTAINER, name="x; rm -rf /", labels={"fleetdeploy.service": "old"})
    assert any("docker rm -f 'x; rm -rf /'" in item.fix for item in told("foreign", seen(containers=Present((trap,)))))


@pytest.mark.parametrize(("release", "fixes"), [(Absent(), []), (Unknown("x"), ["fleetdeploy status {fleet}{host}"])])
def test_a_new_host_is_not_missed(release: Absent | Unknown, fixes: list[str]) -> None:
    """A host that its balancer finds down is to be looked at, unless nothing was ever deployed to it."""
    down = tuple(replace(member, traffic=Traffic.DOWN) for member in MEMBERS)
    found = told("balancer", replace(service(release=release), members=Present(down)))
    assert [item.fix for item in found if item.fix] == fixes


def test_a_new_host_that_somebody_took_out_is_told() -> None:
    """A first release would not put it back."""
    out = tuple(replace(member, traffic=Traffic.MAINTENANCE) for member in MEMBERS)
    found = told("balancer", replace(service(release=Absent()), members=Present(out)))
    assert [item.health for item in found if item.fix] == [WARN]


def test_silent_docker_is_told_once() -> None:
    """Where Docker does not answer, one check says so and the others that hang on it say nothing."""
    from fleetdeploy.gates.doctor.check import findings_of_host

    facts = saying(
        engine(NO_DAEMON),
        **dict.fromkeys(("docker_info", "docker_version", "docker_root", "image_env.0"), Unknown("x")),
    )
    loud = [item for item in findings_of_host(facts) if item.health is not Health.OK and not item.aside]
    assert [item.check for item in loud] == ["docker_engine"]


def test_a_gpu_by_count_is_looked_for() -> None:
    """A service that asks for a number of GPUs is told which of them the host lacks."""
    assert wrong("gpus", wishing(gpus=GpuRequest(count=3))) == [(BAD, "service ranking wants GPU 2, the host has 0, 1")]


def test_settings_of_docker_come_from_its_file() -> None:
    """The size at which logs are rotated is that of daemon.json."""
    assert "container logs are rotated at 50m" in [item.what for item in told("docker_settings", HEALTHY)]
    assert DAEMON["log-opts"] == {"max-size": "50m"}
