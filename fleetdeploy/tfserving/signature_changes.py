"""How the signatures of two versions differ, and which differences break callers of the old one.

What breaks: a signature, input or output that is gone; a new input without a default, also one that lost its default
(tensorflow_serving/servables/tensorflow/predict_util.cc refuses a request that leaves it out); another data type; a
shape that is narrower than before or has other fixed sizes; a method that Classify or Regress need not take any more
(classifier.cc, regressor.cc: with ``--enable_signature_method_name_check``; whether a server has it is not asked here).
What does not: anything new that callers need not know, and a shape that takes more than before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from fleetdeploy.domain.signatures import Signature, SignatureChange, TensorSpec

_METHOD_PREFIX: Final = "tensorflow/serving/"
_CALLED_BY_METHOD: Final = frozenset({"classify", "regress"})
"""Methods with a call of their own; Predict takes signatures of every method."""


def compare(old: Mapping[str, Signature], new: Mapping[str, Signature]) -> tuple[SignatureChange, ...]:
    """Every difference, by signature: what is gone, what is new, then what changed inside."""
    found: list[SignatureChange] = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            found.append(SignatureChange(name, "", "", "", "signature removed", breaking=True))
        elif name not in old:
            found.append(SignatureChange(name, "", "", "", "new signature", breaking=False))
        else:
            found += _inside(name, old[name], new[name])
    return tuple(found)


def _inside(name: str, old: Signature, new: Signature) -> Iterator[SignatureChange]:
    before, after = (item.method_name.removeprefix(_METHOD_PREFIX) for item in (old, new))
    if before != after:
        yield SignatureChange(name, "method", before, after, "another method", before in _CALLED_BY_METHOD)
    yield from _inputs(name, old, new)
    yield from _outputs(name, old, new)


def _inputs(name: str, old: Signature, new: Signature) -> Iterator[SignatureChange]:
    for key in sorted(old.inputs.keys() | new.inputs.keys()):
        what, before, after = f"input {key!r}", old.inputs.get(key), new.inputs.get(key)
        if after is None:
            yield SignatureChange(name, what, str(before), "", "removed", breaking=True)
        elif before is None:
            required = key not in new.defaults
            why = "new and required" if required else "new, with a default"
            yield SignatureChange(name, what, "", str(after), why, breaking=required)
        elif before != after:
            yield _changed(name, what, before, after)
        if before and after and key in old.defaults and key not in new.defaults:
            yield SignatureChange(name, what, "", "", "lost its default, now required", breaking=True)


def _outputs(name: str, old: Signature, new: Signature) -> Iterator[SignatureChange]:
    for key in sorted(old.outputs.keys() | new.outputs.keys()):
        what, before, after = f"output {key!r}", old.outputs.get(key), new.outputs.get(key)
        if after is None:
            yield SignatureChange(name, what, str(before), "", "removed", breaking=True)
        elif before is None:
            yield SignatureChange(name, what, "", str(after), "new", breaking=False)
        elif before != after:
            yield _changed(name, what, before, after)


def _changed(name: str, what: str, before: TensorSpec, after: TensorSpec) -> SignatureChange:
    if before.dtype != after.dtype:
        why, breaking = "another type", True
    else:
        why, breaking = _reshaped(before.shape, after.shape)
    return SignatureChange(name, what, str(before), str(after), why, breaking)


def _reshaped(before: tuple[int | None, ...] | None, after: tuple[int | None, ...] | None) -> tuple[str, bool]:
    """What happened to a shape, and whether that breaks callers."""
    if after is None:
        return "any shape", False
    if before is None:
        return "narrower shape", True
    if len(before) != len(after):
        return "another rank", True
    pairs = list(zip(before, after, strict=True))
    if any(was is not None and now is not None and was != now for was, now in pairs):
        return "another size", True
    if any(was is None and now is not None for was, now in pairs):
        return "narrower shape", True
    return "wider shape", False
