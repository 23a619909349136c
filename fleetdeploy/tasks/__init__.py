"""The playbook's tasks, one file each. A file that defines ``TASK`` is a task; nothing else registers it.

A folder holds what a task does that does not fit its file; no task is looked for in it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from fleetdeploy.tasks.step import Task


@cache
def registry() -> Mapping[str, Task]:
    """Every task by name."""
    files = (found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg)
    modules = (importlib.import_module(f"{__name__}.{name}") for name in files)
    found = [module.TASK for module in modules if hasattr(module, "TASK")]
    return {task.name: task for task in found}
