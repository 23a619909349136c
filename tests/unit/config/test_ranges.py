"""Ranges of hosts in a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.inventory.ranges import expand
from fleetdeploy.config.syntax.refusal import Refused


@pytest.mark.parametrize(
    ("written", "names", "port"),
    [
        ("gpu01", ["gpu01"], None),
        ("gpu[01:03]", ["gpu01", "gpu02", "gpu03"], None),
        ("gpu[8:11].lan", ["gpu8.lan", "gpu9.lan", "gpu10.lan", "gpu11.lan"], None),
        ("gpu[1:9:4]", ["gpu1", "gpu5", "gpu9"], None),
        ("gpu[:2]", ["gpu0", "gpu1", "gpu2"], None),
        ("r[a:b]n[1:2]", ["ran1", "ran2", "rbn1", "rbn2"], None),
        ("r[A:C:2]", ["rA", "rC"], None),
        ("gpu[1:2]:2222", ["gpu1", "gpu2"], 2222),
        ("10.0.0.[1:2]", ["10.0.0.1", "10.0.0.2"], None),
        ("fe80::1", ["fe80::1"], None),
        ("[fe80::1]:22", ["fe80::1"], 22),
        ("gpu[007:009]", ["gpu007", "gpu008", "gpu009"], None),
    ],
)
def test_ranges(written: str, names: list[str], port: int | None) -> None:
    """Ranges count in numbers or letters, keep leading zeros, take strides, and multiply."""
    assert expand(written) == (tuple(names), port)


@given(st.integers(0, 500), st.integers(0, 60), st.integers(1, 9), st.booleans())
def test_number_ranges(first: int, length: int, step: int, padded: bool) -> None:
    """A range names the numbers that counting from begin to end by the step gives, padded to one width if asked."""
    last = first + length
    width = len(str(last)) + 1 if padded else 0
    names, _ = expand(f"gpu[{str(first).zfill(width)}:{str(last).zfill(width)}:{step}]")
    assert names == tuple(f"gpu{str(number).zfill(width)}" for number in range(first, last + 1, step))


@given(st.text(max_size=12))
def test_no_text_escapes_the_host_name_rules(text: str) -> None:
    """Whatever is written as a host, the names that come out are safe words for an SSH command."""
    try:
        names, _ = expand(text)
    except Refused:
        return
    for name in names:
        assert name
        assert not name.startswith("-")
        assert not set(name) & set(" \t\n\r;|&$`'\"\\<>(){}*?!~#/@")
