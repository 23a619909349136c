"""Hosts in a sentence."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 5


def named(hosts: Sequence[str]) -> str:
    """``a, b and 3 more``: the first five of them; ``nothing`` without any."""
    shown = ", ".join(hosts[:NAMED]) or "nothing"
    return f"{shown} and {len(hosts) - NAMED} more" if len(hosts) > NAMED else shown
