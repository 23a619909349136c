"""Which differences of signatures break callers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.domain.signatures import Signature
from fleetdeploy.tfserving.signature_changes import compare

from .signed import PREDICT, signature

X = ("float32", None, 8)
BASE = signature({"x": X}, {"y": ("float32", None)})


def told(old: Signature, new: Signature) -> list[tuple[str, bool]]:
    """Every change of ``serving_default`` in words, and whether it breaks callers."""
    return [(str(item), item.breaking) for item in compare({"s": old}, {"s": new})]


def test_equal_signatures_have_no_changes() -> None:
    """Nothing is told where nothing changed."""
    assert compare({"s": BASE}, {"s": BASE}) == ()
    assert compare({}, {}) == ()


def test_whole_signatures() -> None:
    """A removed signature breaks callers; a new one is only told."""
    found = compare({"a": BASE, "b": BASE}, {"b": BASE, "c": BASE})
    assert [(item.signature, item.why, item.breaking) for item in found] == [
        ("a", "signature removed", True),
        ("c", "new signature", False),
    ]


@pytest.mark.parametrize(
    ("inputs", "defaults", "text", "breaking"),
    [
        ({}, (), "s input 'x': float32 [?, 8] (removed)", True),
        ({"x": X, "z": X}, (), "s input 'z': float32 [?, 8] (new and required)", True),
        ({"x": X, "z": X}, ("z",), "s input 'z': float32 [?, 8] (new, with a default)", False),
        ({"x": ("int64", None, 8)}, (), "s input 'x': float32 [?, 8] -> int64 [?, 8] (another type)", True),
        ({"x": ("float32", 1, 8)}, (), "s input 'x': float32 [?, 8] -> float32 [1, 8] (narrower shape)", True),
        ({"x": ("float32", None, 9)}, (), "s input 'x': float32 [?, 8] -> float32 [?, 9] (another size)", True),
        ({"x": ("float32", 8)}, (), "s input 'x': float32 [?, 8] -> float32 [8] (another rank)", True),
        ({"x": ("float32", None, None)}, (), "s input 'x': float32 [?, 8] -> float32 [?, ?] (wider shape)", False),
        ({"x": ("float32", ...)}, (), "s input 'x': float32 [?, 8] -> float32 [...] (any shape)", False),
    ],
)
def test_inputs(inputs: dict[str, tuple[object, ...]], defaults: tuple[str, ...], text: str, breaking: bool) -> None:
    """A request that was right before must stay right: whatever asks more of it breaks callers."""
    assert told(BASE, signature(inputs, {"y": ("float32", None)}, defaults=defaults)) == [(text, breaking)]


@pytest.mark.parametrize(
    ("outputs", "text", "breaking"),
    [
        ({}, "s output 'y': float32 [?] (removed)", True),
        ({"y": ("float32", None), "z": X}, "s output 'z': float32 [?, 8] (new)", False),
        ({"y": ("string", None)}, "s output 'y': float32 [?] -> string [?] (another type)", True),
        ({"y": ("float32", 1)}, "s output 'y': float32 [?] -> float32 [1] (narrower shape)", True),
        ({"y": ("float32", ...)}, "s output 'y': float32 [?] -> float32 [...] (any shape)", False),
    ],
)
def test_outputs(outputs: dict[str, tuple[object, ...]], text: str, breaking: bool) -> None:
    """An answer must keep what callers read from it; more outputs do no harm."""
    assert told(BASE, signature({"x": X}, outputs)) == [(text, breaking)]


def test_a_shape_that_was_open() -> None:
    """A rank that was open and is not any more refuses requests that were answered before."""
    old = signature({"x": ("string", ...)}, {})
    assert told(old, signature({"x": ("string", None)}, {})) == [
        ("s input 'x': string [...] -> string [?] (narrower shape)", True)
    ]


def test_a_lost_default() -> None:
    """An input that callers could leave out and now must send breaks those who did."""
    old = signature({"x": X}, {}, defaults=("x",))
    assert told(old, signature({"x": X}, {})) == [("s input 'x': lost its default, now required", True)]
    assert told(signature({"x": X}, {}), old) == []


@pytest.mark.parametrize(
    ("old", "new", "breaking"), [("classify", "predict", True), ("regress", "classify", True), ("predict", "x", False)]
)
def test_methods(old: str, new: str, breaking: bool) -> None:
    """Classify and Regress take only signatures of their method; Predict takes all."""
    before, after = (signature({"x": X}, {}, method=PREDICT.replace("predict", method)) for method in (old, new))
    assert told(before, after) == [(f"s method: {old} -> {new} (another method)", breaking)]


def test_names_reach_no_terminal_as_they_are() -> None:
    """Names out of a model are somebody else's: control characters are shown, not sent."""
    old = signature({"\x1b[2Jx": X}, {})
    texts = [str(item) for item in (*compare({"\x1b]0;s": old}, {}), *compare({"s": old}, {"s": signature({}, {})}))]
    assert len(texts) == 2
    assert all(text.isprintable() for text in texts)


SPECS = st.dictionaries(
    st.sampled_from("abc"),
    st.tuples(st.sampled_from(["float32", "int64"]), st.sampled_from([None, 1, 2])),
    max_size=3,
)
SIGNATURES = st.dictionaries(st.sampled_from(["s", "t"]), st.builds(signature, SPECS, SPECS), max_size=2)


@given(SIGNATURES, SIGNATURES)
def test_every_difference_is_told(old: dict[str, Signature], new: dict[str, Signature]) -> None:
    """No changes are told exactly where the signatures are equal."""
    assert (compare(old, new) == ()) is (old == new)


@given(SIGNATURES, SIGNATURES)
def test_more_outputs_and_signatures_never_break(old: dict[str, Signature], more: dict[str, Signature]) -> None:
    """Whatever is only added beside what was there breaks nobody."""
    new = {name: Signature(item.inputs, {**item.outputs, "new": next(iter(_spec().values()))}, item.method_name)
           for name, item in old.items()}  # fmt: skip
    assert not any(item.breaking for item in compare(old, {**more, **new}))


def _spec() -> dict[str, object]:
    return dict(signature({"new": X}, {}).inputs)
