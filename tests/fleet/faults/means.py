"""How faults are brought to the hosts of a lab. What outlives its block is taken away when the block ends."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.onlooker import on
from tests.fleet.project import REPOSITORY, Project, Started

T = TypeVar("T")
_REACHED, _GO_ON, _ONCE = "/srv/fault-reached", "/srv/fault-go-on", "/srv/fault-once"
RSYNC = "fleetdeploy.remote.directory.rsync"
_CHILDREN_OF_SSHD = 'cat "/proc/$(cat /run/sshd.pid)/task/"*/children'


def rounds(values: Sequence[T], *, in_ci: int) -> Sequence[T | pytest.ParameterSet]:
    """Values of one parameter: the first ``in_ci`` of them as they are, the others marked ``long``."""
    return [*values[:in_ci], *(pytest.param(value, marks=pytest.mark.long) for value in values[in_ci:])]


@contextmanager
def constants(project: Project, module: str, **values: float) -> Iterator[None]:
    """Commands of the project find these values in the module: a test need not wait for as long as a user may."""
    place = project.root / "constants"
    place.mkdir()
    lines = [f"from {module.rpartition('.')[0]} import {module.rpartition('.')[2]} as module"]
    lines += [f"module.{name} = {value!r}" for name, value in values.items()]
    (place / "sitecustomize.py").write_text("\n".join(lines), encoding="utf-8")
    project.environment = {"PYTHONPATH": f"{place}:{REPOSITORY}"}
    try:
        yield
    finally:
        project.environment = {}
        shutil.rmtree(place)


def is_on(lab: Lab, host: str) -> bool:
    return next(status.running for status in lab.status().hosts if status.name == host)


@contextmanager
def dropped(lab: Lab, host: str, *rules: str) -> Iterator[None]:
    """Packets that match a rule of iptables (``INPUT --protocol tcp``) are dropped in silence, as on a dead link."""
    words = [rule.split() for rule in rules]
    for chain, *match in words:
        on(lab, host, "iptables", "--insert", chain, *match, "--jump", "DROP")
    try:
        yield
    finally:
        if is_on(lab, host):
            for chain, *match in words:
                on(lab, host, "iptables", "--delete", chain, *match, "--jump", "DROP", check=False)


@contextmanager
def partitioned(lab: Lab, host: str) -> Iterator[None]:
    """Nobody reaches the host, nor what runs in its containers, and nobody is told so."""
    with dropped(lab, host, "INPUT", "OUTPUT", "FORWARD"):
        yield


@contextmanager
def without_ssh(lab: Lab, host: str) -> Iterator[None]:
    """SSH alone is cut off, the links that are up included; what serves goes on serving."""
    with dropped(lab, host, "INPUT --protocol tcp --dport 22", "OUTPUT --protocol tcp --sport 22"):
        yield


def cut_sessions(lab: Lab, host: str) -> None:
    """End every SSH session of the host at once, as sshd's own death would; new ones are let in."""
    on(lab, host, "sh", "-c", f"kill -9 $({_CHILDREN_OF_SSHD})")


@contextmanager
def held_in_rsync(lab: Lab, host: str, *, then: str = 'exec /usr/bin/rsync "$@"') -> Iterator[HeldCopy]:
    """A copy to the host comes as far as the host's own rsync, which waits and does ``then`` when it is let go."""
    script = f"""#!/bin/sh
case "$*" in
*--server*)
    touch {_REACHED}
    tries=0
    while [ ! -e {_GO_ON} ] && [ $tries -lt 600 ]; do tries=$((tries + 1)); sleep 0.1; done
    {then}
    ;;
esac
exec /usr/bin/rsync "$@"
"""
    put = "cat >/usr/local/bin/rsync && chmod 755 /usr/local/bin/rsync"
    lab.run_on(host, ["sh", "-c", put], stdin=script)
    try:
        yield HeldCopy(lab, host)
    finally:
        if is_on(lab, host):
            on(lab, host, "rm", "-f", "/usr/local/bin/rsync", _REACHED, _GO_ON)


@contextmanager
def first_copy_spoiled(lab: Lab, host: str, spoil: str) -> Iterator[None]:
    """The first copy to the host is what the script ``spoil`` makes of it, and has to come; later ones are as ever."""
    on(lab, host, "rm", "-f", _ONCE)
    once = f'[ -e {_ONCE} ] || {{ touch {_ONCE}; {spoil}; }}; exec /usr/bin/rsync "$@"'
    with held_in_rsync(lab, host, then=once) as copy:
        copy.let_go()
        yield
    on(lab, host, "rm", _ONCE)


class HeldCopy:
    """A copy that waits on its host."""

    def __init__(self, lab: Lab, host: str) -> None:
        self._lab, self._host = lab, host

    def wait(self) -> None:
        argv = ["test", "-e", _REACHED]
        wait_until(
            lambda: self._lab.run_on(self._host, argv, check=False).returncode == 0, "a copy begins", deadline_s=60
        )

    def let_go(self) -> None:
        on(self._lab, self._host, "touch", _GO_ON)


@contextmanager
def stopped(started: Started) -> Iterator[None]:
    """The controller does nothing meanwhile, in none of its threads."""
    tasks = Path(f"/proc/{started.process.pid}/task")

    def all_stopped() -> bool:
        return all(task.joinpath("stat").read_text().rpartition(") ")[2][0] in "TtZ" for task in tasks.iterdir())

    started.signal(signal.SIGSTOP)
    try:
        wait_until(all_stopped, "the controller stands still", deadline_s=20)
        yield
    finally:
        started.signal(signal.SIGCONT)


@contextmanager
def stopped_docker(lab: Lab, host: str) -> Iterator[None]:
    """The Docker engine neither answers nor ends; containers go on."""
    on(lab, host, "sh", "-c", 'kill -STOP "$(cat /run/docker.pid)"')
    try:
        yield
    finally:
        on(lab, host, "sh", "-c", 'kill -CONT "$(cat /run/docker.pid)"')
