"""Fixtures for tests of the remote rooms: a private sshd, a fleet, a service in a temporary directory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from fleetdeploy.domain.service import (
    ModelWish,
    Ports,
    ServiceWish,
    VersionsWish,
)
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.remote.private_sshd import PrivateSshd


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateSshd]:
    server = PrivateSshd(tmp_path_factory.mktemp("sshd"), kinds=("ed25519", "ecdsa", "rsa"))
    yield server
    server.close()


@pytest.fixture
def fleet() -> Iterator[SshFleet]:
    made = SshFleet(connect_timeout_s=10)
    yield made
    made.close()


@pytest.fixture
def service(tmp_path: Path) -> ServiceWish:
    model = ModelWish("ranker", tmp_path / "src", VersionsWish((7,)))
    base = PurePosixPath(tmp_path / "base")
    return ServiceWish("ranking", "fleetdeploy/none:1", Ports(1, 2), "127.0.0.1", (model,), base_dir=base)
