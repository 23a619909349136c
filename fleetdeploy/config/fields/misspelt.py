"""A key with a slip in it is one mistake, though two things are noted: one key too many, and one that is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleetdeploy.errors import Problem

MISSING, UNKNOWN = "missing", "unknown key"
Loc = tuple[Any, ...]


def less_misspelt(noted: Mapping[Loc, Problem]) -> Iterator[tuple[Loc, Problem]]:
    """All of them but those of missing keys for which another one beside them was written, which says so."""
    meant = {
        (*loc[:-1], problem.hint.split("'")[1])
        for loc, problem in noted.items()
        if problem.message == UNKNOWN and problem.hint.startswith("did you mean '")
    }
    for loc, problem in noted.items():
        if problem.message != MISSING or loc not in meant:
            yield loc, problem
