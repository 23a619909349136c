"""Sizes, durations, counts, versions, images and addresses."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.fields import gpus, values
from fleetdeploy.config.fields.durations import parse_duration
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.domain.playbook import Quantity

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("80GiB", 80 * 1024**3),
        ("1.5 GiB", 3 * 512 * 1024**2),
        ("16GB", 16 * 10**9),
        ("0.5kB", 500),
        ("512MiB", 512 * 1024**2),
        ("10B", 10),
        (4096, 4096),
    ],
)
def test_sizes(text: object, size_bytes: int) -> None:
    """GiB counts in 1024s, GB in 1000s, a plain number in bytes."""
    assert values.parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text", ["", "80", "80G", "80 gib", "GiB", "-1GiB", "1.5B", "1e3MB", -1, True, 1.5, None, "9" * 30 + "GB"]
)
def test_not_sizes(text: object) -> None:
    """A number without a unit in quotes, an unknown unit, a fraction of a byte: none is a size."""
    with pytest.raises(Refused):
        values.parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("2m", 120), ("1h30m", 5400), ("1d", 86400), ("250ms", 0.25), (90, 90), (0, 0), (1.5, 1.5)],
)
def test_durations(text: object, seconds: float) -> None:
    """Units stand in falling order; a plain number counts seconds."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "m", "30m1h", "1h1h", "-5s", "5 s", "1w", True, None, -1, float("nan"), "9" * 12 + "s", "8d"]
)
def test_not_durations(text: object) -> None:
    """What is not clearly a duration of at most seven days is refused."""
    with pytest.raises(Refused):
        parse_duration(text)


@given(st.integers(1, 10**9 - 1))
def test_counts(amount: int) -> None:
    """A whole number is a count, with or without quotes; with % it is one only up to 100."""
    assert values.parse_quantity(amount) == values.parse_quantity(str(amount)) == Quantity(amount)
    if amount <= 100:
        assert values.parse_quantity(f"{amount}%") == Quantity(amount, percent=True)
    else:
        with pytest.raises(Refused):
            values.parse_quantity(f"{amount}%")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("7.0", ">=7.0"), (">=7.0", ">=7.0"), (">= 7.0", ">=7.0"), (">8.6", ">8.6"), ("==12.0", "==12.0")],
)
def test_wanted_capabilities(text: str, wanted: str) -> None:
    """A capability is wanted at least, more than, or exactly; without an operator it is at least."""
    assert gpus.parse_wanted_capability(text) == wanted


@pytest.mark.parametrize("text", [7.0, "7", "<7.0", "=7.0", "=>7.0", "8.0+", "", ">=", None])
def test_not_wanted_capabilities(text: object) -> None:
    """An unquoted number, another operator, and half a capability are refused."""
    with pytest.raises(Refused):
        gpus.parse_wanted_capability(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("535", ">=535"), (">=535.104.05", ">=535.104.05"), ("> 535", ">535"), ("==580.159.03", "==580.159.03")],
)
def test_wanted_drivers(text: str, wanted: str) -> None:
    """A driver is wanted at least, more than, or exactly; without an operator it is at least."""
    assert gpus.parse_wanted_driver(text) == wanted


@pytest.mark.parametrize("text", [535, 535.1, "<535", "=535", "535.", "535.x", "0535", "", ">=", "1.2.3.4.5", None])
def test_not_wanted_drivers(text: object) -> None:
    """An unquoted number, another operator, and what is no driver are refused."""
    with pytest.raises(Refused):
        gpus.parse_wanted_driver(text)


@pytest.mark.parametrize("text", ["580", "580.159", "580.159.03"])
def test_drivers(text: str) -> None:
    """The whole driver or its first parts, without an operator."""
    assert gpus.parse_driver(text) == text
    for other in (f">={text}", float(text[:7]), f"{text}-beta"):
        with pytest.raises(Refused):
            gpus.parse_driver(other)


@given(st.integers(1, values.MAX_VERSION))
def test_versions(number: int) -> None:
    """Every int64 above 0 is a version in exactly one spelling, as number or as quoted digits."""
    assert values.parse_version(number) == values.parse_version(str(number)) == number
    for text in (f"0{number}", f"+{number}", f"-{number}", f"{number}.0", f" {number}", f"{number}\n", -number):
        with pytest.raises(Refused):
            values.parse_version(text)


@pytest.mark.parametrize(
    "text",
    [
        "tensorflow/serving:2.19.1-gpu",
        f"tensorflow/serving@{DIGEST}",
        f"localhost:5000/a/b:1@{DIGEST}",
        "registry.example.net/team_x/model-server:v1",
        "fleetdeploy/standin:1.0",
    ],
)
def test_images(text: str) -> None:
    """A reference with a fixed tag or a digest is taken as it is."""
    assert values.parse_image(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "a", "a:latest", "localhost:5000/a", "A:1", "a b:1", "a:1;id", "-a:1", "a//b:1", "a:", "a:.x",
        "a@sha256:abc", f"a@sha512:{'0' * 64}", f"a@{DIGEST}0", f"a:1@{DIGEST.upper()}", "$(id):1", 1, None,
    ],
)  # fmt: skip
def test_not_images(text: object) -> None:
    """A moving tag, a malformed digest, and what is no reference at all are refused."""
    with pytest.raises(Refused):
        values.parse_image(text)


@pytest.mark.parametrize(
    ("text", "everything"),
    [
        ("10.0.0.1", False),
        ("10.77.0.0/16", False),
        ("::1", False),
        ("fd00::/8", False),
        ("0.0.0.0", True),
        ("::", True),
        ("0.0.0.0/0", True),
        ("0.0.0.0/8", True),
    ],
)
def test_bind(text: str, everything: bool) -> None:
    """Addresses and networks are taken; those that mean every interface are known as such."""
    assert values.parse_bind(text) == text
    assert values.binds_everything(text) is everything


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        "a\nb",
        "a\0",
        "a b",
        "-a",
        "_a",
        "é",
        "a" * 65,
        "/a",
        "a;b",
        "$a",
        "~",
        "a%2e",
        " a",
        "a ",
        1,
        None,
    ],
)
def test_not_names(name: object) -> None:
    """A name that could leave its directory, or change a command line, is no name."""
    with pytest.raises(Refused):
        values.parse_name(name)


@pytest.mark.parametrize("path", ["srv", "/", "//", "/a/../b", "/a/./b", "/a b", "/a;b", "/$HOME", "/a\n", None, 1])
def test_not_directories(path: object) -> None:
    """A directory on a host is absolute, plain, and says where it is without detours."""
    with pytest.raises(Refused):
        values.parse_remote_directory(path)


ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


@given(ANYTHING)
def test_parsers_refuse_and_never_fail(value: object) -> None:
    """Every parser answers with a value or with Refused, whatever it is given."""
    for name in dir(values):
        if name.startswith("parse_"):
            with contextlib.suppress(Refused):
                assert getattr(values, name)(value) is not None
