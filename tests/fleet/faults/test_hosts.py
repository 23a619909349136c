"""Faults of the hosts themselves: power, engines that hang, files that rot, and a balancer out of reach."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.faults.means import (
    RSYNC,
    constants,
    first_copy_spoiled,
    held_in_rsync,
    rounds,
    stopped_docker,
    without_ssh,
)
from tests.fleet.load import ENGINE, POWER, lost_only_on
from tests.fleet.onlooker import (
    admin_state,
    available,
    drained,
    everything,
    identities,
    identity,
    machines,
    most_out,
    on,
    serves,
    traffic,
    wait_docker,
)
from tests.fleet.project import DIRECTORY, PLAYBOOK, Project
from tests.fleet.test_deploy_interrupted import converges


@pytest.mark.fault("F7")
def test_a_host_that_loses_its_power_in_the_middle_of_a_copy(lab: Lab, served: Project) -> None:
    """No version is left half in place, nobody else is switched over, and the next run takes up where it ended."""
    served.want(version=2)
    before = {host: identity(lab, host) for host in ("gpu1", "gpu3")}
    with lost_only_on(lab, served, "gpu2", rule=POWER), held_in_rsync(lab, "gpu2") as copy:
        with constants(served, RSYNC, _ATTEMPTS=1):  # that a copy is tried again is another test's
            started = served.start("deploy", "--timeout", "4s")
            copy.wait()
        lab.power_off("gpu2")
        result = started.end()
        assert result.code == 3, str(result)
        assert "gpu2" in result.last_line
        assert {host: identity(lab, host) for host in before} == before
        serves(lab, 1, hosts=["gpu1", "gpu3"])
        lab.power_on("gpu2")
        wait_until(lambda: traffic(lab)["gpu2"] == {"UP"}, "gpu2 serves again by itself", deadline_s=60)
    assert on(lab, "gpu2", "ls", "-A", f"{DIRECTORY}/models/ranker").split() == ["1"]
    converges(lab, served, 2)


@pytest.mark.fault("F8")
@pytest.mark.parametrize("task", rounds(["activate", "verify"], in_ci=1))
def test_a_host_that_is_restarted_after_its_switch(lab: Lab, served: Project, task: str) -> None:
    """A host that reboots once it was switched is not taken for good: the run says so, and the next one proves it."""
    served.want(version=2, image="fleetdeploy/standin:1.1")
    with most_out(lab) as out:
        started = served.deploy_until(kind="step_finished", task=task, host="gpu1")
        lab.reboot("gpu1")
        result = started.end()
        assert result.code in {0, 3, 4}, str(result)
        if result.code == 3:
            assert "gpu1" in result.last_line
            serves(lab, 1, hosts=["gpu2", "gpu3"])
        converges(lab, served, 2)
    # Back in its pools by then: the balancer may find out only once the next host is drained, and so does the run.
    late = {"gpu1"} if task == "verify" else set()
    assert max(len(hosts - late) for hosts in out) <= 1, out


@pytest.fixture
def few_files(lab: Lab, project: Project) -> Iterator[str]:
    """gpu2's /srv has room for 300 files. Yields the host's name."""
    on(lab, "gpu2", "mount", "-t", "tmpfs", "-o", "size=400m,nr_inodes=300", "small", "/srv")
    try:
        yield "gpu2"
    finally:
        on(lab, "gpu2", "sh", "-c", "docker ps -aq | xargs -r docker rm -f >/dev/null; umount -l /srv")


@pytest.mark.long
@pytest.mark.fault("F10")
def test_a_host_without_room_for_more_files_is_refused(lab: Lab, few_files: str, served: Project) -> None:
    """A file system with room for bytes and none for files is exit 5 before a copy begins; the old version serves."""
    fill = "mkdir /srv/filler; i=0; while touch /srv/filler/$i 2>&-; do i=$((i + 1)); done; rm /srv/filler/?"
    on(lab, few_files, "sh", "-c", fill)
    served.want(version=2)
    result = served.deploy(expect=5)
    assert re.search(r"gpu2: 1\d inodes free, staging needs \d+", result.stderr), result.stderr
    for host in machines(lab):
        assert on(lab, host, "ls", "-A", f"{DIRECTORY}/models/ranker").split() == ["1"]
    serves(lab, 1)


@pytest.mark.long
@pytest.mark.fault("F12")
def test_docker_that_dies_in_the_middle_leaves_what_serves(lab: Lab, served: Project) -> None:
    """When a host's engine is killed before its switch the host is put back, serving, and no other one is begun; what
    the engine ends when it is back (it had lost sight of it) the next run makes good.
    """
    served.want(version=2)
    others = {host: identity(lab, host) for host in ("gpu2", "gpu3")}
    started = served.deploy_until(kind="step_finished", task="drain", host="gpu1")
    on(lab, "gpu1", "sh", "-c", 'kill -9 "$(cat /run/docker.pid)"')
    result = started.end()
    assert result.code == 3, str(result)
    assert result.last_line == "FAILED: gpu1; gpu1 reverted, every host serves what it served before"
    assert drained(lab) == []
    serves(lab, 1)
    assert {host: identity(lab, host) for host in others} == others
    with lost_only_on(lab, served, "gpu1", rule=ENGINE):
        lab.start_service("gpu1", "docker")
        wait_docker(lab, "gpu1")
    converges(lab, served, 2)


@pytest.mark.long
@pytest.mark.fault("F13")
def test_docker_that_hangs_stops_the_run_before_it_begins(lab: Lab, served: Project) -> None:
    """An engine that does not answer is known in time, exit 5, and nothing was touched; then all is well."""
    served.want(image="fleetdeploy/standin:1.1")
    before, told = identities(lab), admin_state(lab)
    with stopped_docker(lab, "gpu2"):
        result = served.deploy(expect=5)
        assert "gpu2: Docker cannot be asked" in result.stderr
        assert "no answer within 10 s" in result.stderr
    assert (identities(lab), admin_state(lab)) == (before, told)
    converges(lab, served, 1)


@pytest.mark.long
@pytest.mark.fault("F13")
def test_docker_that_pauses_in_a_replacement_is_waited_for(lab: Lab, served: Project) -> None:
    """An engine that stops answering for a while in the middle of a replacement costs time, and nothing else."""
    served.want(image="fleetdeploy/standin:1.1")
    started = served.deploy_until(kind="step_started", task="activate", host="gpu1")
    with stopped_docker(lab, "gpu1"):
        argv = ["docker", "--host", "unix:///run/docker.sock", "ps"]
        hangs = lab.run_on("gpu1", ["timeout", "3", *argv], check=False)
        assert hangs.returncode == 124, "it was to hang"
    assert started.end().code == 0
    converges(lab, served, 1)


@pytest.mark.long
@pytest.mark.fault("F18")
def test_versions_that_do_not_fit_together_never_share_a_gpu(lab: Lab, served: Project) -> None:
    """Where a GPU has no room for old and new at once the plan says so, and each host gets a new process, drained."""
    served.want(version=2)
    served.edit("versions: [2]", "versions: [2], requires: {gpu_memory: 100GiB}")
    before = identities(lab)
    assert "old and new versions do not fit together" in served.run("plan").stdout
    converges(lab, served, 2)
    after = identities(lab)
    assert [host for host in before if after[host] == before[host]] == []


@pytest.mark.long
@pytest.mark.fault("F27")
def test_a_balancer_out_of_reach_leaves_hosts_where_they_are(lab: Lab, served: Project) -> None:
    """Where the balancer cannot be asked nobody knows who serves: exit 5, and no host is touched."""
    served.want(version=2)
    before = everything(lab)
    with without_ssh(lab, "lb"):
        result = served.deploy("--timeout", "2s", expect=5)
        assert "nobody can say which hosts are in service" in result.stderr
    assert everything(lab) == before
    converges(lab, served, 2)


@pytest.mark.long
@pytest.mark.fault("F27")
def test_a_host_that_cannot_be_put_back_is_named(lab: Lab, served: Project) -> None:
    """When the balancer goes out of reach before the undrain, the run ends with 4, names the host, and stops."""
    served.want(version=2)
    served.edit("    - undrain:\n", "    - undrain: {timeout: 3s}\n", file=PLAYBOOK)
    started = served.deploy_until("--timeout", "4s", kind="step_started", task="verify", host="gpu1")
    with without_ssh(lab, "lb"):
        result = started.end(timeout_s=240)
        assert result.code == 4, str(result)
        assert "gpu1" in result.last_line
        serves(lab, 1, hosts=["gpu2", "gpu3"])
    assert drained(lab) == ["gpu1"]
    converges(lab, served, 2)


@pytest.mark.fault("F30")
def test_a_version_that_rotted_on_its_host_is_told_before_anything_is_drained(lab: Lab, served: Project) -> None:
    """A served version whose file changed on the host is exit 7, with host and version, and nobody is touched."""
    served.want(version=2)
    path = f"{DIRECTORY}/models/ranker/1/saved_model.pb"
    on(lab, "gpu2", "sh", "-c", f"cp {path} {path}.new && echo rot >>{path}.new && mv {path}.new {path}")
    before = everything(lab)
    served.edit("versions: [2]", "versions: [1, 2]")
    result = served.deploy(expect=7)
    assert "gpu2" in result.stderr
    assert "version 1 of ranker" in result.stderr
    assert everything(lab) == before


@pytest.mark.long
@pytest.mark.fault("F30")
def test_a_copy_with_a_flipped_bit_never_gets_in_place(lab: Lab, served: Project) -> None:
    """What arrives with one bit changed is found by its checksum, copied once more, and served only then."""
    served.want(version=2)
    flip = (
        '/usr/bin/rsync "$@"; status=$?; '
        f"for file in {DIRECTORY}/staging/*/saved_model.pb; do "
        'printf X | dd of="$file" bs=1 seek=100 conv=notrunc 2>/dev/null; done; exit $status'
    )
    with first_copy_spoiled(lab, "gpu2", flip):
        served.deploy()
    serves(lab, 2)
    on(lab, "gpu2", "sh", "-c", f"cd {DIRECTORY}/models/ranker/2 && sha256sum -c ../../../manifests/ranker/2.sha256")


@pytest.mark.fault("F35")
def test_a_newer_release_is_reached_from_a_half_done_rollout(lab: Lab, served: Project) -> None:
    """A fleet that a killed run left mixed goes straight to what is wanted now, also where it was done."""
    served.want(version=2)
    with most_out(lab) as out:
        started = served.deploy_until(kind="step_started", task="activate", host="gpu2")
        started.process.kill()
        started.end()
        assert available(lab, "gpu1") == [2]
        served.want(version=4, image="fleetdeploy/standin:1.1")
        converges(lab, served, 4)
    assert max(map(len, out)) <= 1, out
    assert set(machines(lab)) == set(identities(lab))
