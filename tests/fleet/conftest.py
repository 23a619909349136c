"""One lab for the whole test run, and one smaller kind that costs a second."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab, leftovers
from tests.fleet.tiny_image import TinyImage


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Fleet tests need root: without it they are reported as skipped, with the reason."""
    if os.geteuid() == 0:
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="a lab is made of Linux namespaces and needs root"))


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
