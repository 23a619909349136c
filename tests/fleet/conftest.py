"""One lab for the whole test run, and one smaller kind that costs a second."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab, leftovers
from tests.fleet.load import steady_load
from tests.fleet.onlooker import make_new, tell_everything
from tests.fleet.project import Project
from tests.fleet.tiny_image import TinyImage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fleet tests need root. Without it the run ends in an error: a green one that skipped them all proves nothing."""
    if os.geteuid() and any(Path(__file__).parent in item.path.parents for item in items):
        raise pytest.UsageError("fleet tests make Linux namespaces and need root; without it: make unit simulation")


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """Three GPU hosts with the stand-in model server's images, and the balancer; it ends with the test run."""
    made = Lab(f"t{os.getpid()}")
    made.up(hosts=3, owner_pid=os.getpid())
    try:
        yield made
    finally:
        made.down()
    assert leftovers(made.name) == []


@pytest.fixture(scope="session")
def tiny_image() -> TinyImage:
    return TinyImage()


@pytest.fixture(scope="session")
def told_logs(lab: Lab) -> None:
    """Every host's sshd writes each connection, login and channel into its log."""
    tell_everything(lab)


@pytest.fixture
def project(lab: Lab, told_logs: None, tmp_path: Path) -> Iterator[Project]:
    """A project directory for the lab, whose hosts are as new; afterwards they are made so again."""
    yield Project(lab, tmp_path)
    make_new(lab)


@pytest.fixture
def served(request: pytest.FixtureRequest, project: Project) -> Iterator[Project]:
    """The project after its first deploy: every host serves version 1 of the ranker from the first image.

    From here to the test's end requests run through the balancer, and none of them may fail. Where a rule lets some be
    lost the test says so: on which hosts and while what goes on by ``lost_only_on(..., rule=...)``, or, where nobody
    could ask at all, by ``@pytest.mark.without_load("the rule")``.
    """
    project.deploy("playbooks/at_once.yml")
    with nullcontext() if request.node.get_closest_marker("without_load") else steady_load(project):
        yield project
