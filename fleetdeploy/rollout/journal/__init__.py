"""The journal: every event of a run, written and synced before the act that it announces."""

from __future__ import annotations

from fleetdeploy.rollout.journal.record import as_json
from fleetdeploy.rollout.journal.writing import KEPT_RUNS, Journal, OfEvents, OnReserve, open_run

__all__ = ["KEPT_RUNS", "Journal", "OfEvents", "OnReserve", "as_json", "open_run"]
