"""A place of each kind for all cases of this directory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.fleet.contract.in_the_lab import in_the_lab
from tests.fleet.contract.places import Place, Server, config
from tests.fleet.contract.simulated import Simulated
from tests.simulation.world import SERVICE

if TYPE_CHECKING:
    from fleetdeploy.lab.fleet import Lab


@pytest.fixture(scope="module", params=["simulated", "lab"])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if request.param == "simulated":
        yield Simulated()
        return
    lab: Lab = request.getfixturevalue("lab")
    with in_the_lab(lab, scratch=tmp_path_factory.mktemp("versions")) as made:
        yield made


@pytest.fixture(scope="module")
def shared(place: Place) -> Server:
    """The server that the balancer knows, with all versions on its disk."""
    return place.start(place.wish(SERVICE), config(1), 1, 2, 3, 5)


@pytest.fixture
def server(shared: Server) -> Server:
    """The same, made to serve version 1 alone, without a label and with nothing burnt."""
    shared.place.session.containers().start(shared.spec.name)
    shared.place.until(lambda: shared.available() or shared.shown(), "it answers")
    if shared.touched:
        shared.place.session.files(shared.wish).write_config(config(1))
        shared.reload(config())
        shared.place.until(lambda: not shared.available(), "nothing is loaded")
        shared.reload(config(1))
        shared.touched = False
    shared.await_shown(v1="AVAILABLE")
    return shared
