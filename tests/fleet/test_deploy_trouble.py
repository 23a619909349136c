"""Hosts in trouble: down, with another key, without Docker, full, or holding what is somebody else's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.faults.means import rounds
from tests.fleet.load import ENGINE, POWER, lost_only_on
from tests.fleet.onlooker import (
    SshdLog,
    admin_state,
    container,
    drained,
    everything,
    identities,
    identity,
    machines,
    most_out,
    on,
    serves,
    service_files,
    traffic,
    wait_docker,
)
from tests.fleet.project import CONTAINER, DIRECTORY, PLAYBOOK, Project, Result


def refused(lab: Lab, run: Callable[[], Result], *, code: int = 5, but: str = "") -> Result:
    """Run it: it must end with ``code`` and have changed nothing on any host (``but`` one) nor in the balancer."""
    before = everything(lab, but=but)
    result = run()
    assert result.code == code, str(result)
    assert everything(lab, but=but) == before
    assert drained(lab, but=but) == []
    return result


@contextmanager
def powered_off(lab: Lab, served: Project, host: str) -> Iterator[None]:
    with lost_only_on(lab, served, host, rule=POWER):
        lab.power_off(host)
        wait_until(lambda: traffic(lab)[host] == {"DOWN"}, f"the balancer finds {host} down", deadline_s=15)
    try:
        yield
    finally:
        lab.power_on(host)


@pytest.mark.long
@pytest.mark.fault("F28")
def test_a_host_that_is_down_at_start_stops_the_run(lab: Lab, served: Project) -> None:
    """One host that cannot be reached is exit 5 with nothing touched; `--allow-unreachable` heeds max_unavailable."""
    before = {host: identity(lab, host) for host in ("gpu1", "gpu3")}
    served.want(version=2)
    with powered_off(lab, served, "gpu2"):
        result = refused(lab, lambda: served.deploy("--timeout", "3s", expect=None), but="gpu2")
        assert "gpu2: unreachable" in result.stderr
        assert "--allow-unreachable" in result.stderr

        # The host that is down is the one that may be out: no other can be taken out as well.
        words = ("--allow-unreachable", "--timeout", "3s")
        result = refused(lab, lambda: served.deploy(*words, expect=None), but="gpu2")
        assert "gpu2 out of service already, and max_unavailable is 1" in result.stderr

        served.edit("max_unavailable: 1 ", "max_unavailable: 2 ", file=PLAYBOOK)
        with most_out(lab) as out:
            result = served.deploy("playbooks/deploy.yml", "--json", *words, expect=None)
        assert result.code == 8, str(result)
        assert max(map(len, out)) == 2, out
        assert result.states() == {"gpu1": "changed", "gpu2": "unreachable", "gpu3": "changed"}
        assert result.last_line == "PARTLY: 2 of 3 hosts changed, skipped as unreachable: gpu2"
        serves(lab, 2, hosts=["gpu1", "gpu3"])
    assert {host: identity(lab, host) for host in before} == before
    assert served.deploy().last_line == "OK: 1 of 3 hosts changed"
    serves(lab, 2)


@contextmanager
def another_host_key(lab: Lab, host: str) -> Iterator[str]:
    """Gives the host's sshd another key and yields its fingerprint."""
    key = "/etc/ssh/fdlab_host_ed25519"
    restart = "kill -HUP $(cat /run/sshd.pid)"
    new = f"cp -p {key} {key}.kept && rm {key} && ssh-keygen -q -t ed25519 -N '' -f {key} && {restart}"
    on(lab, host, "sh", "-c", new)
    try:
        wait_until(lambda: _sshd_answers(lab, host), "sshd answers", deadline_s=20)
        yield on(lab, host, "ssh-keygen", "-l", "-f", f"{key}.pub").split()[1]
    finally:
        on(lab, host, "sh", "-c", f"rm {key}.pub; mv {key}.kept {key} && {restart}")
        wait_until(lambda: _sshd_answers(lab, host), "sshd answers", deadline_s=20)


def _sshd_answers(lab: Lab, host: str) -> bool:
    return next(status for status in lab.status().hosts if status.name == host).sshd


@pytest.mark.fault("F33")
def test_a_changed_host_key_is_refused_before_any_login(lab: Lab, served: Project) -> None:
    """A host with another key than the pinned one is exit 2, told with both fingerprints, and no login is tried."""
    pinned = on(lab, "gpu2", "sh", "-c", "ssh-keygen -y -f /etc/ssh/fdlab_host_ed25519 | ssh-keygen -l -f -").split()[1]
    served.want(version=2)
    with another_host_key(lab, "gpu2") as shown:
        log = SshdLog(lab, "gpu2")
        for words in (["deploy"], ["deploy", "--allow-unreachable"], ["plan"]):
            result = refused(lab, lambda words=words: served.run(*words, expect=None), code=2)  # type: ignore[misc]
            assert shown in result.text
            assert pinned in result.text
            assert "gpu2" in result.text
        seen = log.read()
        assert (seen.connections, seen.logins_tried, seen.logins) == (3, 0, 0), seen.text
    serves(lab, 1)


@pytest.mark.fault("F12")
def test_a_host_without_docker_stops_the_run(lab: Lab, served: Project) -> None:
    """A host whose Docker engine is dead is exit 5 with a clear error, nothing drained and nothing touched anywhere."""
    served.want(version=2)
    before, told = {host: identity(lab, host) for host in ("gpu1", "gpu3")}, admin_state(lab)
    files = {host: service_files(lab, host) for host in machines(lab)}
    with lost_only_on(lab, served, "gpu2", rule=ENGINE):
        on(lab, "gpu2", "sh", "-c", 'kill -9 "$(cat /run/docker.pid)"')
        result = served.deploy(expect=None)
        assert result.code == 5, str(result)
        assert "gpu2: Docker cannot be asked: " in result.stderr
        assert "systemctl status docker" in result.stderr
        assert admin_state(lab) == told
        assert {host: identity(lab, host) for host in before} == before
        assert {host: service_files(lab, host) for host in machines(lab)} == files
        lab.start_service("gpu2", "docker")
        wait_docker(lab, "gpu2")  # without live-restore it has ended the container, and does not start it again
        served.deploy()
        serves(lab, 2)


@pytest.fixture
def small_disk(lab: Lab, project: Project) -> Iterator[str]:
    """gpu2's /srv is a small file system of its own: 400 MiB. Yields the host's name."""
    on(lab, "gpu2", "mount", "-t", "tmpfs", "-o", "size=400m", "small", "/srv")
    try:
        yield "gpu2"
    finally:
        script = "docker ps -aq | xargs -r docker rm -f >/dev/null; rm -f /usr/local/bin/rsync; umount -l /srv"
        on(lab, "gpu2", "sh", "-c", script)


def _versions_there(lab: Lab, host: str) -> tuple[list[str], list[str]]:
    """What lies in the model's directory and in the staging directory."""
    return (on(lab, host, "ls", "-A", f"{DIRECTORY}/models/ranker").split(),
            on(lab, host, "ls", "-A", f"{DIRECTORY}/staging").split())  # fmt: skip


@pytest.mark.long
@pytest.mark.fault("F10")
def test_a_full_disk_is_found_before_anything_is_copied(lab: Lab, small_disk: str, served: Project) -> None:
    """A host without room for the new version is exit 5 with the numbers, and nothing is copied to any host."""
    on(lab, small_disk, "fallocate", "-l", "200M", "/srv/filler")
    served.want(version=2)
    result = served.deploy(expect=None)
    assert result.code == 5, str(result)
    assert "gpu2: /srv/fleetdeploy/ranking has " in result.stderr
    assert " MiB free, staging needs " in result.stderr
    for host in machines(lab):
        assert _versions_there(lab, host) == (["1"], [])
    serves(lab, 1)


@pytest.mark.fault("F10")
def test_a_disk_that_fills_up_while_copying_leaves_nothing_half_done(
    lab: Lab, small_disk: str, served: Project
) -> None:
    """When the disk fills up under rsync, no half version is left, staging is empty, and the old version serves."""
    before = identities(lab)
    # The rest of the disk goes to somebody else between the check for room and the first byte.
    fill = "dd if=/dev/zero of=/srv/filler bs=64k count=8000 2>/dev/null"
    filler = f'#!/bin/sh\ncase "$*" in *--server*) {fill} ;; esac\n'
    put = "cat >/usr/local/bin/rsync && chmod 755 /usr/local/bin/rsync"
    lab.run_on(small_disk, ["sh", "-c", put], stdin=f'{filler}exec /usr/bin/rsync "$@"\n')
    served.want(version=2)
    result = served.deploy("--json", expect=None)
    assert result.code in {3, 5}, str(result)
    assert "the host's file system is full" in result.stderr
    assert "free space on the host" in result.stderr
    assert _versions_there(lab, small_disk) == (["1"], [])
    serves(lab, 1)
    assert identities(lab) == before
    assert drained(lab) == []
    on(lab, small_disk, "rm", "/srv/filler", "/usr/local/bin/rsync")
    served.deploy()
    serves(lab, 2)


@pytest.mark.fault("F32")
def test_a_port_that_is_taken_stops_a_first_deploy(lab: Lab, project: Project) -> None:
    """A port that something else listens on is exit 5 before anything is touched, and the message names the port."""
    address = lab.host("gpu3").address
    publish = ("--publish", f"{address}:8501:8501", "--entrypoint", "/usr/bin/tensorflow_model_server")
    flags = ("--rest_api_port=8501", "--model_base_path=/none")
    listen = ("docker", "run", "--detach", "--name", "other", *publish, lab.images[0], *flags)
    on(lab, "gpu3", *listen)
    result = refused(lab, lambda: project.deploy(expect=None))
    assert "gpu3: port 8501 is taken by something else" in result.stderr


@pytest.mark.fault("F32")
@pytest.mark.parametrize("name", [CONTAINER, f"{CONTAINER}.previous"])
@pytest.mark.parametrize(
    "image", rounds(["fleetdeploy/standin:1.0", "fleetdeploy/standin:1.1"], in_ci=1), ids=["start", "replace"]
)
def test_a_container_that_is_not_ours_is_never_touched(lab: Lab, project: Project, name: str, image: str) -> None:
    """A container without our label under one of our names stops the run, and is not stopped, renamed or removed."""
    replaces = image.endswith("1.1")
    if replaces:
        project.deploy("playbooks/at_once.yml")
        project.want(image=image)
        if name == CONTAINER:
            on(lab, "gpu1", "docker", "rm", "--force", CONTAINER)
    on(lab, "gpu1", "docker", "create", "--name", name, lab.images[0])
    theirs = container(lab, "gpu1", name)
    out = ["gpu1"] if name == CONTAINER else []
    with lost_only_on(lab, project, *out, rule="its container was taken away by hand") if replaces else nullcontext():
        result = refused(lab, lambda: project.deploy(expect=None))
    assert f"gpu1: a container named {name} exists that fleetdeploy did not make" in result.stderr
    assert "never touched" in result.stderr
    assert container(lab, "gpu1", name) == theirs
