"""Requests through the balancer while a fleet test runs, each answer checked; what may fail is said with its rule."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.onlooker import POOLS, traffic
from tests.fleet.project import INVENTORY, REPOSITORY, Project, environment

RATE = 15
"""Requests a second by each protocol: enough to meet every gap, and little on two cores that also run the fleet."""

# Rules by which requests may be lost.
POWER = "what a host was answering is lost with its power"
ENGINE = "without live-restore an engine that starts ends what it finds running"


class Asked(Protocol):
    """Files in a directory, and the lab that they are about."""

    @property
    def lab(self) -> Lab: ...

    @property
    def root(self) -> Path: ...


class SteadyLoad:
    """Requests through the balancer for as long as a test lasts, none of which may fail."""

    def __init__(self, project: Asked) -> None:
        self._project = project
        self._running = ExitStack()
        self._report: dict[str, Any] = {}

    def begin(self) -> None:
        self._report = self._running.enter_context(_requests(self._project))

    def end(self) -> None:
        """Some were sent, and all had a right answer. It may have ended already."""
        self._running.close()
        if self._report:
            assert self._report["requests"] > 0
            assert self._report["failed"] == 0, told(self._report)

    @contextmanager
    def standing_back(self) -> Iterator[None]:
        """While the block runs it sends nothing; a test that fails there has no use for it any more."""
        self.end()
        yield
        self.begin()


@contextmanager
def steady_load(project: Project) -> Iterator[None]:
    """The project has its steady load while the block runs."""
    project.steady = SteadyLoad(project)
    project.steady.begin()
    try:
        yield
    finally:
        steady, project.steady = project.steady, None
        steady.end()


@contextmanager
def load(
    project: Asked, *, model: str = "ranker", golden: Path = INVENTORY / "golden", host: str = "lb"
) -> Iterator[dict[str, Any]]:
    """Requests of its own through the balancer, or straight to a ``host``, while the block runs, in the place of the
    steady ones; afterwards the dict is their report.
    """
    steady = project.steady if isinstance(project, Project) else None
    back = steady.standing_back() if steady else nullcontext()
    with back, _requests(project, model=model, golden=golden, host=host) as report:
        yield report


def errors_by_host(lab: Lab) -> dict[str, int]:
    """Requests that the balancer could not bring to a host or got no answer for, since it began to count."""
    head, *lines = lab.balancer_command("show stat").lstrip("# ").splitlines()
    names = head.split(",")
    found: dict[str, int] = {}
    for line in lines:
        row = dict(zip(names, line.split(","), strict=False))
        if row.get("pxname") in POOLS and row["svname"].startswith("gpu"):
            count = sum(int(row[name] or 0) for name in ("econ", "eresp", "srv_abrt"))
            found[row["svname"]] = found.get(row["svname"], 0) + count
    return found


@contextmanager
def lost_only_on(lab: Lab, project: Project, *hosts: str, rule: str) -> Iterator[None]:
    """While the block runs requests may be lost on ``hosts``, by the balancer's own count for each server; on every
    other one none is. The ``rule`` says why no deployer could have kept them. It ends once none can be lost any longer
    by a host that is in service again.
    """
    before = errors_by_host(lab)
    with load(project):
        yield
        wait_until(lambda: not _hushed(lab, hosts), "the balancer's connections are alive again", deadline_s=60)
    after = errors_by_host(lab)
    lost = {host for host in after if after[host] > before[host]}
    assert lost <= set(hosts), (rule, before, after)


def _hushed(lab: Lab, hosts: Sequence[str]) -> list[str]:
    """The hosts in service to which the balancer has a connection that waits for its next retransmission. A silence
    leaves such ones behind, for as long again as it lasted, and requests are still put on them.
    """
    up = [host for host, states in traffic(lab).items() if host in hosts and states == {"UP"}]
    argv = ["ss", "--tcp", "--info", "--numeric", "--no-header", "dst"]
    return [host for host in up if " backoff:" in lab.run_on("lb", [*argv, lab.host(host).address]).stdout]


def nothing_failed(report: Mapping[str, Any]) -> None:
    """Every request that was sent had a right answer, and some were sent."""
    assert report["failed"] == 0, told(report)
    assert report["requests"] > RATE, report


def told(report: Mapping[str, Any]) -> str:
    """How many requests failed, how, and the first of them with their times."""
    head = f"{report['failed']} of {report['requests']} requests failed: {report['errors_by_kind']}"
    return "\n".join([head, *map(str, report["first_errors"])])


@contextmanager
def _requests(
    project: Asked, *, model: str = "ranker", golden: Path = INVENTORY / "golden", host: str = "lb"
) -> Iterator[dict[str, Any]]:
    report_file, report = project.root / f"load-{model}.json", dict[str, Any]()
    report_file.unlink(missing_ok=True)
    address = project.lab.host(host).address
    argv = [
        *project.lab.nsenter_argv(), sys.executable, "-m", "fleetdeploy.lab.load", "--report", str(report_file),
        "--grpc", f"{address}:8500", "--rest", f"{address}:8501", "--rate", str(RATE),
        "--model", model, "--golden", str(project.root / golden / f"{model}.jsonl"),
    ]  # fmt: skip
    process = subprocess.Popen(argv, cwd=REPOSITORY, env=environment(), stdout=subprocess.DEVNULL)
    try:
        wait_until(report_file.exists, "the load generator reports", deadline_s=30)
        yield report
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    report |= json.loads(report_file.read_text(encoding="utf-8"))
    assert report["finished"], report
