"""The inventories and patterns written by hand: each file below ``cases`` is one; a new file is a new case.

Those in ``cases/refused`` are what Ansible takes with a warning, or in silence for something else than it looks like.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import yaml
from ansible_asking import Case

FOLDER = Path(__file__).with_name("cases")
_TUPLES = {"sources", "executable", "patterns", "extra_vars", "since"}


def _case(path: Path) -> Case:
    """A case whose file has the fields of :class:`Case`, all but its name."""
    body = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert set(body) <= {field.name for field in fields(Case)}, path
    assert bool(body.get("refused")) == (path.parent.name == "refused"), path
    name = path.stem if path.parent.name == "read" else f"refused_{path.stem}"
    return Case(name=name, **{key: tuple(value) if key in _TUPLES else value for key, value in body.items()})


CASES = tuple(_case(path) for path in sorted(FOLDER.glob("*/*.yml")))
