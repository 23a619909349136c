"""The playbook's tasks, one file each. A file that defines ``TASK`` is a task; nothing else registers it."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from fleetdeploy.tasks.step import Task


@cache
def registry() -> Mapping[str, Task]:
    """Every task by name."""
    modules = (importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__))
    found = [module.TASK for module in modules if hasattr(module, "TASK")]
    return {task.name: task for task in found}
