"""What a benchmark found: rows of samples, printed in 80 columns and written as JSON."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

WIDTH: Final = 80
_NUMBER: Final = 9
_WANTED: Final = 14
_WHAT: Final = WIDTH - 3 * _NUMBER - _WANTED - 1


@dataclass(frozen=True)
class Row:
    """One quantity, measured several times."""

    what: str
    """With its unit, in at most 38 characters."""
    values: Sequence[float]
    wanted: str = ""
    """A bound the project has set itself, in words; nothing fails when it is missed."""


@dataclass
class Result:
    """One benchmark's table, and sentences below it."""

    title: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, values: Iterable[float], *, wanted: str = "") -> None:
        """Add a row."""
        self.rows.append(Row(what, tuple(values), wanted))

    def text(self) -> str:
        """The table."""
        head = f"{'':{_WHAT}}{'min':>{_NUMBER}}{'median':>{_NUMBER}}{'max':>{_NUMBER}} wanted"
        lines = [self.title, head, "-" * WIDTH]
        for row in self.rows:
            numbers = (min(row.values), statistics.median(row.values), max(row.values))
            lines.append(
                (f"{row.what:{_WHAT}}" + "".join(f"{_number(each):>{_NUMBER}}" for each in numbers) + f" {row.wanted}")
                .rstrip()
            )  # fmt: skip
        return "\n".join([*lines, *self.notes]) + "\n"


def machine() -> dict[str, object]:
    """What the figures depend on."""
    return {
        "cores": os.cpu_count(),
        "cores_allowed": len(os.sched_getaffinity(0)),
        "load_average_1min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "kernel": platform.release(),
    }


def write_json(path: Path, results: Sequence[Result]) -> None:
    """Write every sample of all results."""
    document = {
        "machine": machine(),
        "benchmarks": [
            {
                "title": result.title,
                "rows": [{"what": row.what, "values": list(row.values), "wanted": row.wanted} for row in result.rows],
                "notes": result.notes,
            }
            for result in results
        ],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _number(value: float) -> str:
    """Three significant digits or a whole number with separators."""
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
