"""A lab of one host that is not as the others are, for the cases of other hosts to be played on it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from fleetdeploy.lab.fleet import Lab
from tests.fleet.contract import places
from tests.fleet.contract.in_the_lab import InTheLab, in_the_lab

HOST = places.HOST


@contextmanager
def one_host_lab(kind: str) -> Iterator[Lab]:
    """One host as ever, to be changed; it ends with the block, and with this process."""
    lab = Lab(f"t{os.getpid()}{kind}")
    lab.up(hosts=1, owner_pid=os.getpid())
    try:
        yield lab
    finally:
        lab.down()


@pytest.fixture(scope="module")
def place(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InTheLab]:
    with in_the_lab(lab, scratch=tmp_path_factory.mktemp("versions")) as made:
        yield made
