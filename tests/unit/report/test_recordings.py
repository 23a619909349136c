"""The recordings that the documentation shows: `make recordings` makes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fleetdeploy.report.html.page import is_report

PLACE = Path(__file__).parents[3] / "docs" / "recordings"
TEXTS, PAGES = (sorted(PLACE.glob(f"*.{ending}")) for ending in ("txt", "html"))


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_recording_is_of_a_terminal_and_has_its_report(path: Path) -> None:
    """Behind the sentence that says what it is no line is wider than 80 columns, and the page beside it is a report."""
    about, *lines = path.read_text(encoding="utf-8").splitlines()
    assert about.endswith(".")
    assert max(map(len, lines)) <= 80
    assert lines[1].startswith("1. ")
    assert is_report(path.with_suffix(".html").read_bytes())
    assert path.name in (PLACE / "README.md").read_text(encoding="utf-8")


def test_they_are_no_burden_and_name_no_machine() -> None:
    """All pages together are less than 700 kB, and no file has a directory of who made them."""
    assert len(TEXTS) == len(PAGES) == 4
    assert sum(path.stat().st_size for path in PAGES) < 700_000
    for path in (*TEXTS, *PAGES):
        text = path.read_text(encoding="utf-8")
        assert [word for word in ("/tmp/", "/home/", "/root/", str(Path.cwd())) if word in text] == [], path.name


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.stem)
def test_a_board_tells_all_that_boards_tell(path: Path) -> None:
    """Beside who is in service stands how many hosts may fail, and commands that follow name the fleet they are for."""
    rows = path.read_text(encoding="utf-8").splitlines()
    boards = [" ".join(rows[at - 1 : at + 1]) for at, row in enumerate(rows) if "in service, floor" in row]
    assert boards or path.stem == "first-deploy"
    assert [board for board in boards if not re.search(r"failed \d+, allowed \d+", board)] == []
    page = path.with_suffix(".html").read_text(encoding="utf-8")
    looks = re.findall(r">(fleetdeploy status[^<]*)<", page)
    assert all(" -i inventories/" in look for look in looks)
    assert re.findall(r"fleetdeploy runs show (\S+)", "\n".join(rows)) == re.findall(
        r">fleetdeploy runs show (\d{8}T\d{6}Z-[0-9a-f]{4})<", page
    )
