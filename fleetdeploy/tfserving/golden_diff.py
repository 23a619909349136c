"""What differs between an answer and the golden one: one readable line for each difference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import InputError
from fleetdeploy.tfserving import tensors

SHOWN_PER_OUTPUT: Final = 5
"""More differences than this in one output are counted, not listed."""

_SPECIAL: Final = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def compare(request: GoldenRequest, answer: object) -> tuple[str, ...]:
    """Every difference between ``answer`` (output name to nested lists) and what ``request`` expects; empty if none.

    Numbers that came as float are held against ``absolute + relative * abs(want)``; integers, booleans and text must be
    equal. NaN is right only where NaN is expected (NaN, "NaN" or null in the golden file).
    """
    if not isinstance(answer, dict):
        return (f"outputs: got {_show(answer)} instead of tensors by name",)
    differences: list[str] = []
    names = ", ".join(sorted(answer)) or "none"
    for name in sorted(request.outputs):
        if name not in answer:
            differences.append(f"outputs.{name}: missing in the answer (it has: {names})")
            continue
        found = list(_compare_tensor(request, f"outputs.{name}", answer[name], request.outputs[name]))
        differences += found[:SHOWN_PER_OUTPUT]
        if len(found) > SHOWN_PER_OUTPUT:
            differences.append(f"outputs.{name}: {len(found) - SHOWN_PER_OUTPUT} more values differ")
    differences += [f"outputs.{name}: not expected" for name in sorted(set(answer) - set(request.outputs))]
    return tuple(differences)


def _compare_tensor(request: GoldenRequest, path: str, got: object, want: object) -> Iterator[str]:
    want_shape = tensors.shape_of(want)
    try:
        got_shape = tensors.shape_of(got)
    except InputError as error:
        yield f"{path}: the answer is not a full array: {error.message}"
        return
    if got_shape != want_shape:
        yield f"{path}: got shape {list(got_shape)}, want {list(want_shape)}"
        return
    yield from _compare_elements(request, path, got, want)


def _compare_elements(request: GoldenRequest, path: str, got: object, want: object) -> Iterator[str]:
    if isinstance(want, (list, tuple)) and isinstance(got, (list, tuple)):
        for index, (got_item, want_item) in enumerate(zip(got, want, strict=True)):
            yield from _compare_elements(request, f"{path}[{index}]", got_item, want_item)
    elif isinstance(got, float) and not isinstance(want, (bool, bytes)):
        yield from _compare_float(request, path, got, want)
    elif not _same(got, want):
        yield f"{path}: got {_show(got)}, want {_show(want)}"


def _compare_float(request: GoldenRequest, path: str, got: float, want: object) -> Iterator[str]:
    expected = math.nan if want is None else _SPECIAL.get(want, want) if isinstance(want, str) else want
    if not isinstance(expected, (int, float)):
        yield f"{path}: got {_show(got)}, want {_show(want)}"
    elif not math.isfinite(expected):
        if not (math.isnan(got) and math.isnan(expected)) and got != expected:
            yield f"{path}: got {_show(got)}, want {_show(expected)}"
    else:
        tolerance = request.absolute + request.relative * abs(expected)
        # Not `abs(...) > tolerance`: that would let NaN through.
        if not abs(got - expected) <= tolerance:
            yield f"{path}: got {_show(got)}, want {_show(expected)} ± {tolerance:.3g}"


def _same(got: object, want: object) -> bool:
    """Equality of integers, booleans and text; a boolean is no number, and bytes equal their UTF-8 text."""
    if isinstance(got, (str, bytes)) and isinstance(want, (str, bytes)):
        return _bytes(got) == _bytes(want)
    if isinstance(got, bool) or isinstance(want, bool):
        return got is want
    return isinstance(got, int) and isinstance(want, (int, float)) and got == want


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _show(value: object) -> str:
    text = "NaN" if isinstance(value, float) and math.isnan(value) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
