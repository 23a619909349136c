"""What holds for every check there is, those that are added later included."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleetdeploy.domain.checkup import ControllerFacts, Finding, Health, HostFacts, Link, Trouble
from fleetdeploy.domain.observed import ObservedHost, ObservedService, Present, Unknown
from fleetdeploy.gates import doctor
from fleetdeploy.gates.doctor.check import (
    controller_checks,
    findings_of_controller,
    findings_of_host,
    host_checks,
    judged,
    typed,
    warn,
)

from .hosts import HEALTHY, HOST, saying

WHY = Unknown("the disk is on fire")
SILENT = ObservedService(
    "ranking", WHY, WHY, WHY, WHY, WHY, {}, (), WHY, False, WHY, WHY, WHY, 0, WHY
)  # fmt: skip
NOTHING_TOLD = HostFacts(
    HOST,
    ObservedHost("gpu1", WHY, WHY, WHY, WHY, WHY, {"ranking": SILENT}),
    dict.fromkeys(HEALTHY.said, WHY),
    Link(WHY, WHY, WHY, WHY),
    None,
    WHY,
    WHY,
    WHY,
)
CONTROLLER = ControllerFacts(
    {
        "ssh": Present("OpenSSH_9.2p1 Debian-2+deb12u7, OpenSSL 3.0.17 1 Jul 2025\n"),
        "rsync": Present("rsync  version 3.2.7  protocol version 31\n"),
        "ntp": Present("NTPSynchronized=yes\n"),
    },
    (3, 11, 2),
    3,
    20,
    Present(1024),
    "/home/ops/.local/state/fleetdeploy",
    Present(value=True),
    Present(50 * 1024**3),
    {"/home/ops/prod/known_hosts": True},
    Present("CET"),
)
# Silent where Docker is, as that is told once, by docker_engine.
SILENT_WITHOUT_DOCKER = {"docker_settings", "docker_room", "nvidia_runtime", "driver_cuda", "foreign"}


def not_fine(findings: Iterator[Finding] | tuple[Finding, ...]) -> list[Finding]:
    return [item for item in findings if item.health is not Health.OK]


def test_checks_are_found_by_their_files() -> None:
    """Every file of the two folders is a check, and nothing else has to know of it."""
    root = Path(doctor.__file__).parent
    for folder, checks in (("host", host_checks()), ("controller", controller_checks())):
        assert set(checks) == {path.stem for path in (root / folder).glob("*.py")} - {"__init__"}
    assert all(check.topic and check.by_hand and check.look.__doc__ for check in host_checks().values())


def test_a_healthy_host_is_fine() -> None:
    """Of a host with which nothing is wrong, every check has something to say, and nothing bad."""
    findings = findings_of_host(HEALTHY)
    assert not_fine(findings) == []
    assert {item.check for item in findings} == set(host_checks())


def test_a_healthy_controller_is_fine() -> None:
    """Of a machine with which nothing is wrong, every check has something to say, and nothing bad."""
    findings = findings_of_controller(CONTROLLER)
    assert not_fine(findings) == []
    assert {item.check for item in findings} == set(controller_checks())


@pytest.mark.parametrize("name", sorted(host_checks()))
def test_what_could_not_be_read_is_never_fine(name: str) -> None:
    """A check whose facts are all unknown says so, with the reason and a next step; it never says that all is well."""
    found = list(judged(name, host_checks()[name], NOTHING_TOLD))
    if name in SILENT_WITHOUT_DOCKER:
        assert found == []
        return
    assert found
    assert {item.health for item in found} == {Health.UNKNOWN}
    assert all(WHY.reason in item.why for item in found)
    assert all(item.fix for item in found if not item.aside)


def test_docker_that_is_silent_is_told_though_checks_of_it_are_not() -> None:
    """Where Docker gives no answer, one finding says so in the place of all that hang on it."""
    assert [item.what for item in judged("docker_engine", host_checks()["docker_engine"], NOTHING_TOLD)]


@pytest.mark.parametrize("name", sorted(controller_checks()))
def test_what_could_not_be_read_here_is_never_fine(name: str) -> None:
    """The same for this machine; files that nobody names are nothing that is unknown."""
    facts = ControllerFacts(known_hosts={"/gone": False}, private_keys={"/gone": WHY})
    found = list(judged(name, controller_checks()[name], facts))
    assert found
    assert {item.health for item in found} <= {Health.UNKNOWN, Health.BAD}


TEXTS = st.one_of(st.text(max_size=60), st.sampled_from(["", "{}", "[]", "null", "1", "-1", "a b c d\n" * 3, "x: y"]))
JUNK = st.fixed_dictionaries(dict.fromkeys(HEALTHY.said, TEXTS))


@settings(max_examples=60, deadline=None)
@given(JUNK)
def test_texts_that_mean_nothing_never_raise(said: dict[str, str]) -> None:
    """Whatever a host's tools print, each check ends with findings, and each that is not fine has a next step."""
    for item in not_fine(findings_of_host(saying(**said))):
        assert item.what
        assert item.fix or item.aside


@pytest.mark.parametrize(
    "name", sorted(set(HEALTHY.said) - {"os", "security", "docker_info", "image_env.0", "docker_root"})
)
def test_a_text_that_is_none_is_unknown(name: str) -> None:
    """A text that is not what its tool prints makes something unknown, and nothing fine of what it was about."""
    before = {(item.check, item.what) for item in findings_of_host(HEALTHY)}
    after = findings_of_host(saying(**{name: "%&$ no such thing"}))
    gone = before - {(item.check, item.what) for item in after}
    assert not_fine(after) or name in {"user", "kernel"}, gone


@pytest.mark.parametrize("name", ["docker_info", "docker_root", "image_env.0", "docker_version"])
def test_dockers_texts_that_are_none_are_unknown(name: str) -> None:
    """The same for what Docker tells, in whose stead nothing else stands."""
    after = findings_of_host(saying(**{name: "%&$ no such thing"}))
    assert Health.UNKNOWN in {item.health for item in after}


def test_a_host_that_cannot_be_looked_at_has_one_finding() -> None:
    """Of a host out of reach only that is told, as unknown; of one whose sudo refuses, as a problem."""
    away = replace(HEALTHY, trouble=Trouble("no answer in time", "is it up?"))
    assert [(item.health, item.what, item.fix) for item in findings_of_host(away)] == [
        (Health.UNKNOWN, "no answer in time", "is it up?")
    ]
    refused = replace(HEALTHY, trouble=Trouble("no root", "add a line", known=True))
    assert [item.health for item in findings_of_host(refused)] == [Health.BAD]


def test_a_host_without_services_is_asked_less() -> None:
    """Nothing of Docker, GPUs and ports matters on a host that shall run nothing, such as a balancer."""
    bare = replace(HEALTHY, host=replace(HOST, services=(), gpus=None, balancer=None))
    meant = {item.check for item in findings_of_host(bare)}
    assert meant == {name for name, check in host_checks().items() if not check.services}
    assert "clock" in meant
    assert "docker_engine" not in meant


@pytest.mark.parametrize(
    ("fleet", "fix"),
    [("-i inventories/prod", "fleetdeploy status -i inventories/prod {host}"), ("", "fleetdeploy status {host}")],
)
def test_a_fix_names_the_inventory_as_it_was_given(fleet: str, fix: str) -> None:
    """What is to be typed looks at the fleet that was looked at."""
    found = [warn("a", fix="fleetdeploy status {fleet}{host}"), warn("b", fix="df -h")]
    assert [item.fix for item in typed(found, fleet)] == [fix, "df -h"]
