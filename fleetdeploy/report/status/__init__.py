"""What each host serves now: one line a host and service, a block a host, or JSON values."""

from __future__ import annotations

from fleetdeploy.report.status.as_json import as_json
from fleetdeploy.report.status.blocks import lines
from fleetdeploy.report.status.parts import last_line
from fleetdeploy.report.status.table import MOST_IN_BLOCKS, table

__all__ = ["MOST_IN_BLOCKS", "as_json", "last_line", "lines", "table"]
