"""Each check of a host, on what real tools printed when something was wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetdeploy.domain.checkup import Health
from fleetdeploy.domain.observed import Absent, Present, Traffic, Unknown
from fleetdeploy.domain.service import GpuRequest
from fleetdeploy.gates.doctor.versions import install

from . import rows_of_docker, rows_of_gpus, rows_of_the_link, rows_of_the_machine
from .hosts import CONTAINER, DAEMON, HEALTHY, MEMBERS, saying, seen, service, told, wishing, wrong
from .rows_of_docker import NO_DAEMON, engine

BAD, WARN = Health.BAD, Health.WARN
ROWS = {**rows_of_the_link.ROWS, **rows_of_docker.ROWS, **rows_of_gpus.ROWS, **rows_of_the_machine.ROWS}


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
