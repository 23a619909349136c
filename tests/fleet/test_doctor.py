"""``doctor`` on real hosts: what is broken on one is named, with its fix, and nothing else is said of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import jsonschema
import pytest

from fleetdeploy.cli.about.schema import text_of
from fleetdeploy.lab import host as lab_host
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.faults.means import rounds, without_ssh
from tests.fleet.onlooker import everything, on, tell, wait_docker
from tests.fleet.project import Project

HOST = "gpu1"
_SSHD = "/etc/ssh/fdlab_sshd_config"
_DAEMON = "/etc/docker/daemon.json"
_GPUS = "/etc/fdlab/gpus.tsv"
Scene = Callable[[Lab], AbstractContextManager[None]]
Found = set[tuple[str, str, str]]
"""Check, state and sentence."""


def shell(lab: Lab, script: str, *, host: str = HOST) -> None:
    on(lab, host, "sh", "-c", script)


def changed(path: str, sed: str, again: Callable[[Lab], None] = lambda _: None) -> Scene:
    """A file of the host is edited for as long as the block runs; ``again`` makes whoever reads it read it."""

    @contextmanager
    def scene(lab: Lab) -> Iterator[None]:
        shell(lab, f"cp -a {path} {path}.kept && sed -i '{sed}' {path}")
        again(lab)
        try:
            yield
        finally:
            shell(lab, f"mv {path}.kept {path}")
            again(lab)

    return scene


def reload_sshd(lab: Lab) -> None:
    shell(lab, "kill -HUP $(cat /run/sshd.pid)")
    wait_until(lambda: all(item.sshd for item in lab.status().hosts), "sshd answers again", deadline_s=20)


def stop_docker(lab: Lab) -> None:
    shell(lab, "kill $(cat /var/run/docker.pid)")
    gone = ["test", "!", "-e", "/var/run/docker.pid"]
    wait_until(lambda: lab.run_on(HOST, gone, check=False).returncode == 0, "Docker ends", deadline_s=30)


def balancer_answers(lab: Lab) -> bool:
    try:
        return "Name: HAProxy" in lab.balancer_command("show info")
    except OSError:
        return False


def start_docker(lab: Lab) -> None:
    lab.start_service(HOST, "docker")
    wait_docker(lab, HOST)


def restart_docker(lab: Lab) -> None:
    stop_docker(lab)
    start_docker(lab)


@contextmanager
def docker_stopped(lab: Lab) -> Iterator[None]:
    stop_docker(lab)
    try:
        yield
    finally:
        start_docker(lab)


@contextmanager
def disk_full(lab: Lab) -> Iterator[None]:
    shell(lab, "mkdir -p /srv/fleetdeploy && mount -t tmpfs -o size=64m tmpfs /srv/fleetdeploy")
    try:
        yield
    finally:
        shell(lab, "umount /srv/fleetdeploy")


@contextmanager
def disk_read_only(lab: Lab) -> Iterator[None]:
    shell(lab, "mkdir -p /srv/fleetdeploy && mount --bind /srv/fleetdeploy /srv/fleetdeploy")
    shell(lab, "mount -o remount,bind,ro /srv/fleetdeploy")
    try:
        yield
    finally:
        shell(lab, "umount /srv/fleetdeploy")


@contextmanager
def port_taken(lab: Lab) -> Iterator[None]:
    enter = lab_host.enter_argv(lab.paths, lab.host(HOST))
    script = "echo $$ >/run/taker.pid; exec /usr/bin/python3 -m http.server 8501"
    process = subprocess.Popen([*enter, "sh", "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    taken = ["sh", "-c", "grep -q ':2135 .* 0A ' /proc/net/tcp /proc/net/tcp6"]
    try:
        wait_until(lambda: lab.run_on(HOST, taken, check=False).returncode == 0, "the port is taken", deadline_s=20)
        yield
    finally:
        shell(lab, "kill $(cat /run/taker.pid); rm /run/taker.pid")
        process.wait(timeout=10)


def away(*programs: str) -> Scene:
    """The host has lost these programs."""

    @contextmanager
    def scene(lab: Lab) -> Iterator[None]:
        for program in programs:
            shell(lab, f"mv /usr/bin/{program} /usr/bin/{program}.away")
        try:
            yield
        finally:
            for program in programs:
                shell(lab, f"mv /usr/bin/{program}.away /usr/bin/{program}")

    return scene


@contextmanager
def clock_ahead(lab: Lab) -> Iterator[None]:
    """No namespace has a clock of its own: what tells the time is another program."""
    shell(
        lab,
        'printf \'#!/bin/sh\\nexec /usr/bin/date -d "@$(($(/usr/bin/date +%%s) + 7200))" "$@"\\n\' '
        ">/usr/local/bin/date && chmod 755 /usr/local/bin/date",
    )
    try:
        yield
    finally:
        shell(lab, "rm /usr/local/bin/date")


@contextmanager
def foreign_container(lab: Lab) -> Iterator[None]:
    shell(lab, "docker create --name fleetdeploy-ranking fleetdeploy/standin:1.0 >/dev/null")
    try:
        yield
    finally:
        shell(lab, "docker rm -f fleetdeploy-ranking >/dev/null")


@contextmanager
def in_maintenance(lab: Lab) -> Iterator[None]:
    tell(lab, HOST, "maint")
    try:
        yield
    finally:
        tell(lab, HOST, "ready")


SCENES: dict[str, tuple[Scene, Found]] = {
    "docker stopped": (
        docker_stopped,
        {("docker_engine", "bad", "the Docker engine does not run, or does not listen on its socket")},
    ),
    "disk full": (
        disk_full,
        {
            ("disk", "bad", "0.1 GiB are free for /srv/fleetdeploy/ranking"),
            ("disk", "warn", "/srv/fleetdeploy/ranking is in memory (tmpfs)"),
        },
    ),
    "port taken": (port_taken, {("ports", "bad", "port 8501 of service ranking is taken by something else")}),
    "clock ahead": (clock_ahead, {("clock", "warn", "the clock is about 2 hours ahead of this machine's")}),
    "no TCP": (
        changed(_SSHD, "1i AllowTcpForwarding no", reload_sshd),
        {("ssh_forwarding", "bad", "sshd forbids connections to TCP ports")},
    ),
    "no rsync, no flock": (
        away("rsync", "flock"),
        {("rsync", "bad", "rsync is missing on the host"), ("tools", "bad", "flock is missing on the host")},
    ),
    "a GPU is gone": (
        changed(_GPUS, "$d"),
        {("gpus", "bad", "the inventory declares 2 GPUs, nvidia-smi lists 1")},
    ),
}  # fmt: skip
"""One of each kind: the engine, the disk, what is in the way, the clock, SSH, programs, GPUs."""

FURTHER_SCENES: dict[str, tuple[Scene, Found]] = {
    "disk read-only": (disk_read_only, {("disk", "bad", "/srv/fleetdeploy is mounted read-only")}),
    "no sockets": (
        changed(_SSHD, "1i AllowStreamLocalForwarding no", reload_sshd),
        {("ssh_forwarding", "warn", "sshd forbids connections to sockets")},
    ),
    "few sessions": (
        changed(_SSHD, "1i MaxSessions 3", reload_sshd),
        {("sshd_settings", "warn", "sshd takes 3 sessions on one connection")},
    ),
    "no nvidia runtime": (
        changed(_DAEMON, "s/\"nvidia\": {/\"other\": {/", restart_docker),
        {("nvidia_runtime", "bad", "Docker has no runtime nvidia, which ranking needs")},
    ),
    "docker on TCP": (
        changed(
            _DAEMON,
            "1a \"hosts\": [\"unix:///var/run/docker.sock\", \"tcp://127.0.0.1:2375\"], \"tls\": false,",
            restart_docker,
        ),
        {("docker_tcp", "bad", "Docker listens on tcp://127.0.0.1:2375")},
    ),
    "persistence mode off": (
        changed(_GPUS, "3,$s/Enabled/Disabled/"),
        {("gpu_settings", "warn", "persistence mode is off on GPU 0, 1")},
    ),
    "foreign container": (
        foreign_container,
        {("foreign", "bad", "a container named fleetdeploy-ranking exists that fleetdeploy did not make")},
    ),
    "in maintenance": (
        in_maintenance,
        {("balancer", "warn", "the balancer lb sends it nothing (maintenance) in ranking_grpc, ranking_rest")},
    ),
}  # fmt: skip


def examined(project: Project, *, expect: int) -> Found:
    """What is not fine with the host, by the command's own JSON, each with a fix unless nothing hangs on it."""
    document = project.run("doctor", HOST, "--json", expect=expect).json
    findings = document["hosts"][HOST]["findings"]
    loud = [item for item in findings if item["state"] != "ok"]
    assert all(item["fix"] or item["aside"] for item in loud), loud
    return {(item["check"], item["state"], item["what"]) for item in loud}


LAB_LACKS = {
    ("docker_settings", "warn", "a restart of Docker ends every server of the host (live-restore is off)"),
    ("docker_settings", "warn", "container logs grow without end (json-file has no max-size)"),
    ("nvidia_toolkit", "unknown", "the NVIDIA Container Toolkit's version cannot be told"),
    ("clock_sync", "unknown", "whether the clock is synchronised cannot be told"),
}
"""What is true of every host of a lab."""


def shared_fixes(document: dict[str, Any]) -> set[str]:
    """What there is to do on the hosts with GPUs, as the text tells it once for all: in a pipe, in one line each."""
    return {
        item["fix"].replace(HOST, "HOST")
        for item in document["hosts"][HOST]["findings"]
        if item["state"] == "warn" and not item["aside"]
    }


def test_a_healthy_fleet_is_fine(served: Project) -> None:
    """Hosts that serve have no problem and nothing that matters is unknown, ``doctor`` changes nothing on them, and its
    JSON is what its schema says.
    """
    before = everything(served.lab)
    assert examined(served, expect=0) == LAB_LACKS
    result = served.run("doctor", "--json", expect=0)
    assert list(jsonschema.Draft202012Validator(json.loads(text_of("doctor"))).iter_errors(result.json)) == []
    assert set(result.json["hosts"]) == set(served.lab.hosts)
    assert result.json["hosts"]["lb"]["state"] == "ok"
    text = served.run("doctor", expect=0)
    assert text.last_line == result.json["summary"] == "DOCTOR: 4 hosts: 3 with warnings, 1 fine"
    assert "on 3 hosts: gpu1, gpu2, gpu3" in text.stdout
    assert {line.strip() for line in text.stdout.splitlines()} >= {f"> {fix}" for fix in shared_fixes(result.json)}
    assert everything(served.lab) == before


@pytest.mark.parametrize("name", rounds([*SCENES, *FURTHER_SCENES], in_ci=len(SCENES)))
def test_what_is_broken_is_named(name: str, project: Project) -> None:
    """A host on which one thing was broken has that finding more than before, and no other."""
    scene, meant = (SCENES | FURTHER_SCENES)[name]
    before = examined(project, expect=0)
    with scene(project.lab):
        after = examined(project, expect=5 if any(state == "bad" for _, state, _ in meant) else 0)
    gone = {("balancer", state, what) for check, state, what in before if check == "balancer"}
    assert after - before == meant, after
    assert {item for item in before - after if item not in gone} <= LAB_LACKS
    assert examined(project, expect=0) == before


def test_a_host_out_of_reach_is_not_known(project: Project) -> None:
    """One host that does not answer is unknown and no problem of the others, and the last line says so."""
    with without_ssh(project.lab, HOST):
        result = project.run("doctor", "gpu", "-T", "3s", expect=4)
    assert result.last_line == "DOCTOR: 3 hosts: 1 not known, 2 with warnings"
    assert f"{HOST}          1 not known" in result.stdout


def test_a_socket_that_may_only_be_asked_is_named(project: Project) -> None:
    """A balancer that answers every question and takes no command is a problem of the hosts behind it, told once."""
    lab = project.lab
    config, pid = "/etc/haproxy/haproxy.cfg", "/run/haproxy/kept"

    pids = "cat /proc/[0-9]*/stat 2>/dev/null | sed -n 's/^\\([0-9]*\\) (haproxy) [^Z].*/\\1/p'"

    def restart() -> None:
        shell(lab, f"for pid in $({pids}); do kill -9 $pid; done", host="lb")
        # One that is still about to end would answer in place of the new one, or have its ports.
        wait_until(lambda: not on(lab, "lb", "sh", "-c", pids).strip(), "HAProxy has ended", deadline_s=30)
        lab.start_service("lb", "haproxy")
        wait_until(lambda: balancer_answers(lab), "HAProxy answers", deadline_s=30)

    shell(lab, f"cp {config} {pid} && sed -i 's/level admin/level operator/' {config}", host="lb")
    try:
        restart()
        result = project.run("doctor", "gpu", expect=5)
        assert "on all 3 hosts" in result.stdout
        said = " ".join(result.stdout.split())
        assert "the balancer's socket /run/haproxy/admin.sock on lb may only be asked, not told" in said
        assert "stats socket /run/haproxy/admin.sock mode 660 level admin" in said
    finally:
        shell(lab, f"cp {pid} {config}", host="lb")
        restart()
