"""A line in rows: what is copied from a terminal is what was meant."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text

from fleetdeploy.report.rows import rows, text_column

COMMAND = "fleetdeploy deploy -i inventories/a-rather-long-name -l gpu1,gpu2 --state-dir /var/lib/some/where"
LOOK = "`fleetdeploy runs show 20260131T235959Z-abcd`"
WIDTHS = (80, 40, 20)


def plain(text: str, width: int, *, under: int = 4) -> list[str]:
    return [row.plain for row in rows(Text(text), width, under=under)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    ("before", "row"),
    [
        ("next: ", f"next: {COMMAND}"),
        ("  ", f"  {COMMAND}"),
        ("           > ", f"           > {COMMAND}"),
        ("", COMMAND),
        ("nothing was touched; look, and plan again: ", f"  {COMMAND}"),
        ("    nothing was touched; look, and plan again: ", f"      {COMMAND}"),
        (f"why it failed: {LOOK}; mend it, then: ", f"  {COMMAND}"),
    ],
)
def test_a_command_that_a_line_ends_with_has_one_row_for_itself(before: str, row: str, width: int) -> None:
    """It is never broken, however narrow the terminal is, and stands alone but for a mark or a word before it."""
    assert plain(before + COMMAND, width)[-1] == row


def test_a_command_stands_alone_even_where_the_line_would_fit() -> None:
    """What is to be typed is seen at a glance, and the words before it stay as they are."""
    assert plain("    then: fleetdeploy lab up", 80) == ["    then:", "      fleetdeploy lab up"]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_command_in_a_sentence_is_not_broken(width: int) -> None:
    """What stands in backquotes begins a row of its own rather than being broken over two."""
    found = plain(f"nothing was touched, and why it failed is shown by {LOOK}, also later on", width)
    assert sum(LOOK in row for row in found) == 1
    assert all(cell_len(row) <= width or LOOK in row for row in found)


@example(text="\t:", width=5, under=1)
@given(
    st.text("ab \t`:;é漢-", max_size=120).filter(lambda text: "fleetdeploy" not in text),
    st.integers(5, 90),
    st.integers(1, 20),
)
def test_no_character_is_lost_and_what_goes_on_is_indented(text: str, width: int, under: int) -> None:
    """Rows joined are the line but for blanks, each row fits, and all but the first are indented."""
    text = text.expandtabs()
    found = plain(text, width, under=under)
    assert "".join("".join(found).split()) == "".join(text.split())
    if cell_len(text) > width > 2 * under:
        assert all(row.startswith(" " * under) and row[under : under + 1].strip() for row in found[1:])
        assert all(cell_len(row) <= width for row in found if "`" not in row and row.strip())


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("    drift      reload: only the model configuration changed", 15),
        ("gpu1  1 x NVIDIA", 6),
        ("  GPU memory in use  0: 0 B of 80 GiB", 21),
        ("  ranking: release 20260131", 4),
        ("    + command: --port=8500", 8),
        ("gpu1: UNREACHABLE: no route", 2),
    ],
)
def test_what_goes_on_stands_under_the_text(line: str, column: int) -> None:
    """Behind a label where there is one, else a step further in than the line; never so far that no room is left."""
    assert text_column(line, 80) == column
    assert text_column(line, 30) < 15
    assert text_column(line, 30) > 0
