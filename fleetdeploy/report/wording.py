"""Numbers of things in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def part(number: int, total: int, noun: str) -> str:
    """``1 of 3 hosts``, ``1 of 1 host``."""
    return f"{number} of {counted(total, noun)}"
