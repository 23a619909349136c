"""Numbers of things, and of bytes, in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """``1 host``, ``2 hosts``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def part(number: int, total: int, noun: str) -> str:
    """``1 of 3 hosts``, ``1 of 1 host``."""
    return f"{number} of {counted(total, noun)}"


def size(count: int) -> str:
    """A number of bytes with a binary unit."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1024 and len(units) > 1:
        value /= 1024
        units.pop(0)
    return f"{value:.0f} {units[0]}" if value >= 10 or units[0] == "B" else f"{value:.1f} {units[0]}"
