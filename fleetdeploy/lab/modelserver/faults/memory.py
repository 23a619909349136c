"""A budget of memory that all versions share, so that two versions at a time can be too many where one is not."""

import threading

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.servable import ServableId
from fleetdeploy.lab.modelserver.status import Code, StatusError


class MemoryBudget:
    """What the versions in memory take; versions that are still loading count."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[ServableId, int] = {}

    def take(self, servable: ServableId, size_bytes: int, *, budget_bytes: int | None) -> None:
        """Take memory for a version. Raises RESOURCE_EXHAUSTED where the budget (None: no limit) does not allow it."""
        with self._lock:
            others = sum(taken for servable_id, taken in self._taken.items() if servable_id != servable)
            if budget_bytes is not None and others + size_bytes > budget_bytes:
                log.error(
                    f"{servable} takes {size_bytes} bytes; {others} of {budget_bytes} are taken by other versions"
                )
                raise StatusError(
                    Code.RESOURCE_EXHAUSTED,
                    f"OOM when allocating tensor with shape[{max(1, size_bytes // 4)}] and type float on "
                    "/job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc",
                )
            self._taken[servable] = size_bytes

    def give_back(self, servable: ServableId) -> None:
        """End what `take` began."""
        with self._lock:
            self._taken.pop(servable, None)
