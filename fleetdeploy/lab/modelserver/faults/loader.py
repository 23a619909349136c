"""Loads versions that are slow to load, fail to, take memory, or misbehave once they are loaded."""

import os
import time
from pathlib import Path
from typing import Final

from fleetdeploy.lab.modelserver.faults.board import NOTHING_SHIPPED, FaultBoard
from fleetdeploy.lab.modelserver.faults.description import read_description
from fleetdeploy.lab.modelserver.faults.memory import MemoryBudget
from fleetdeploy.lab.modelserver.faults.model import FaultyModel, die, wait_while
from fleetdeploy.lab.modelserver.servable import Model, ModelLoader, ServableId

SHIPPED: Final = "assets.extra/standin_faults.json"
"""Where in a version's directory the description of its faults travels with it."""


class FaultyLoader:
    """Stands before a loader. A version of which nothing is asked, and never will be, is returned as it is."""

    def __init__(self, loader: ModelLoader, board: FaultBoard) -> None:
        self._loader = loader
        self._board = board
        self._memory = MemoryBudget()

    def load(self, servable: ServableId, path: str) -> Model:
        """Make one attempt to load. Raises StatusError: the injected one, RESOURCE_EXHAUSTED, or the loader's own."""
        began = time.monotonic()
        found = read_description(Path(path, SHIPPED))
        shipped = NOTHING_SHIPPED if found is None else found
        if found is None and not self._board.watches and self._board.memory_budget_bytes is None:
            return self._loader.load(servable, path)
        plan = self._board.plan(servable, shipped)
        size_bytes = _size_bytes(path) if plan.asked.memory_bytes is None else plan.asked.memory_bytes
        self._memory.take(servable, size_bytes, budget_bytes=self._board.memory_budget_bytes)
        try:
            wait_while(lambda: self._board.plan(servable, shipped).asked.hang == "load")
            failure = plan.load_failure()
            model = None if failure or plan.asked.crash_on_load else self._loader.load(servable, path)
            time.sleep(max(0.0, began + plan.asked.load_s - time.monotonic()))
            if plan.asked.crash_on_load:
                die(f"on loading {servable}")
            if failure is not None:
                raise failure.error()
            assert model is not None
        except BaseException:
            self._memory.give_back(servable)
            raise
        return FaultyModel(
            model,
            plan=lambda: self._board.plan(servable, shipped),
            freed=lambda: self._memory.give_back(servable),
        )


def _size_bytes(path: str) -> int:
    """Size of all files under a directory; what vanishes meanwhile counts for nothing."""
    total = 0
    for directory, _, names in os.walk(path):
        for name in names:
            try:
                total += os.stat(os.path.join(directory, name)).st_size  # noqa: PTH116, PTH118 -- as os.walk gives them
            except OSError:
                continue
    return total
