"""Golden requests: recorded requests with their expected answers, one JSON object a line.

::

    {"name": "typical", "version": 7, "signature": "serving_default",
     "inputs": {"features": [[0.1, 0.2]]}, "dtypes": {"features": "float32"},
     "outputs": {"score": [[0.731]]}, "absolute": 1e-05, "relative": 0.0001}

``version`` may be missing: the line then holds for every version. Text that is not UTF-8 is ``{"b64": "..."}``, as in
TF Serving's REST API. NaN is written ``"NaN"`` (or null) and never equals a number; infinities are ``"Infinity"`` and
``"-Infinity"``.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import InputError, Problem
from fleetdeploy.tfserving import dtypes, tensors
from fleetdeploy.tfserving.golden_diff import compare

__all__ = ["KEYS", "MAX_BYTES", "compare", "for_version", "load", "parse", "record"]

MAX_BYTES: Final = 64 << 20
KEYS: Final = ("name", "version", "signature", "inputs", "outputs", "absolute", "relative", "dtypes")

_SHAPE_HINT: Final = "expected one JSON object a line with `name`, `inputs` and `outputs`"


def load(path: Path) -> tuple[GoldenRequest, ...]:
    """The golden requests of a file, in file order.

    Raises InputError as :func:`parse` does, and when the file cannot be read or is larger than ``MAX_BYTES``.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            message = f"the file is larger than {MAX_BYTES >> 20} MiB"
            raise InputError(message, where=str(path), hint="record fewer requests")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        hint = "name a file of golden requests, or write `golden: none`"
        raise InputError(f"cannot read golden requests: {error.strerror}", where=str(path), hint=hint) from None
    except UnicodeDecodeError as error:
        raise InputError(f"byte {error.start} is not UTF-8", where=str(path), hint="save the file as UTF-8") from None
    return parse(text, where=str(path))


def parse(text: str, *, where: str) -> tuple[GoldenRequest, ...]:
    """The golden requests of ``text``, in order; blank lines are skipped.

    Raises InputError with every problem of every line at its ``where:line``.
    """
    requests: list[GoldenRequest] = []
    problems: list[Problem] = []
    lines_by_name: dict[tuple[str, int | None], int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        request, found = _parse_line(line, f"{where}:{number}")
        problems += found
        if request is None:
            continue
        first = lines_by_name.setdefault((request.name, request.version), number)
        if first != number:
            again = f"name {request.name!r} is used again for the same version (first on line {first})"
            problems.append(Problem(again, f"{where}:{number}", "give every request its own name"))
        requests.append(request)
    if not requests and not problems:
        problems.append(Problem("no golden requests", where, "record some, or write `golden: none`"))
    if problems:
        raise InputError(problems=problems)
    return tuple(requests)


def for_version(requests: Iterable[GoldenRequest], number: int) -> tuple[GoldenRequest, ...]:
    """The requests that hold for version ``number``: its own, and those of no version."""
    return tuple(request for request in requests if request.version in {None, number})


def record(request: GoldenRequest) -> str:
    """One line (with its newline) from which :func:`parse` makes an equal request; strict JSON, keys in fixed order."""
    fields: dict[str, object] = {"name": request.name}
    if request.version is not None:
        fields["version"] = request.version
    fields |= {"signature": request.signature, "inputs": _plain(request.inputs)}
    if request.dtypes:
        fields["dtypes"] = dict(request.dtypes)
    fields |= {"outputs": _plain(request.outputs), "absolute": request.absolute, "relative": request.relative}
    return json.dumps(fields, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: object) -> Any:
    """JSON values only: bytes as ``{"b64": ...}``, special floats as text."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return value


def _parse_line(line: str, where: str) -> tuple[GoldenRequest | None, list[Problem]]:
    repeated: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        fields = dict(pairs)
        if len(fields) < len(pairs):
            repeated.extend(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        return fields

    try:
        fields = json.loads(line, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        return None, [Problem(f"not JSON: {error.msg}", f"{where}:{error.colno}", _SHAPE_HINT)]
    except (RecursionError, ValueError) as error:
        return None, [Problem(f"not usable JSON: {error}", where, _SHAPE_HINT)]
    if not isinstance(fields, dict):
        return None, [Problem(f"expected a JSON object, got {type(fields).__name__}", where, _SHAPE_HINT)]
    problems = [Problem(f"key {key!r} is repeated", where, "keep one of them") for key in repeated]
    problems += [_unknown(key, where) for key in fields if key not in KEYS]
    problems += [
        Problem(f"key {key!r} is missing", where, _SHAPE_HINT)
        for key in ("name", "inputs", "outputs")
        if key not in fields
    ]
    if "dtypes" in fields and not isinstance(fields["dtypes"], dict):
        return None, [*problems, Problem("`dtypes` must map input names to data types", where, 'as {"ids": "int64"}')]
    values: dict[str, Any] = {}
    for key in KEYS:
        if key in fields:
            try:
                values[key] = _FIELDS[key](fields[key], fields)
            except InputError as error:
                problems += [Problem(f"`{key}`: {problem.message}", where, problem.hint) for problem in error.problems]
    return (None if problems else GoldenRequest(**values)), problems


def _unknown(key: str, where: str) -> Problem:
    near = get_close_matches(key, KEYS, 1)
    hint = f"did you mean {near[0]!r}?" if near else "keys are " + ", ".join(KEYS)
    return Problem(f"unknown key {key!r}", where, hint)


def _name(value: object, _fields: Mapping[str, Any]) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"expected a text, got {_show(value)}", hint="name what the request stands for")
    return value


def _signature(value: object, _fields: Mapping[str, Any]) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"expected a signature's name, got {_show(value)}", hint="leave it out for `serving_default`")
    return value


def _version(value: object, _fields: Mapping[str, Any]) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 63:
        raise InputError(f"expected a version number from 1, got {_show(value)}", hint="a bare number, such as 7")
    return value


def _tolerance(value: object, _fields: Mapping[str, Any]) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise InputError(f"expected a number from 0, got {_show(value)}", hint="such as 1e-05")
    return float(value)


def _inputs(value: object, fields: Mapping[str, Any]) -> dict[str, object]:
    """Input tensors; each one must really make a tensor of its data type, so that no request fails when it is sent."""
    decoded = _named_values(value, "inputs")
    named = fields.get("dtypes", {})
    problems: list[Problem] = []
    for name, item in decoded.items():
        try:
            tensors.to_proto(item, named.get(name) if _is_dtype(named.get(name)) else None)
        except InputError as error:
            problems.append(Problem(f"{name}: {error.message}", hint=error.hint or "give it another `dtypes` entry"))
    if problems:
        raise InputError(problems=problems)
    return decoded


def _outputs(value: object, _fields: Mapping[str, Any]) -> dict[str, object]:
    decoded = _named_values(value, "outputs")
    if not decoded:
        raise InputError("no output is expected", hint="an answer that is not compared proves nothing; name one output")
    problems: list[Problem] = []
    for name, item in decoded.items():
        try:
            tensors.shape_of(item)
        except InputError as error:
            problems.append(Problem(f"{name}: {error.message}", hint="write a full array, row by row"))
    if problems:
        raise InputError(problems=problems)
    return decoded


def _dtypes(value: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, str]:
    inputs = fields.get("inputs")
    problems: list[Problem] = []
    for name, dtype in value.items():
        if not isinstance(inputs, dict) or name not in inputs:
            near = get_close_matches(name, list(inputs) if isinstance(inputs, dict) else [], 1)
            problems.append(Problem(f"there is no input {name!r}", hint=f"did you mean {near[0]!r}?" if near else ""))
        if not isinstance(dtype, str):
            problems.append(Problem(f"{name}: expected a data type's name, got {_show(dtype)}", hint='such as "int64"'))
            continue
        try:
            dtypes.find(dtype)
        except InputError as error:
            problems.append(Problem(f"{name}: {error.message}", hint=error.hint))
    if problems:
        raise InputError(problems=problems)
    return dict(value)


def _is_dtype(name: object) -> bool:
    try:
        return isinstance(name, str) and bool(dtypes.find(name))
    except InputError:
        return False


def _named_values(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        hint = f'as {{"{what[:-1]}": [[1.0]]}}'
        raise InputError(f"expected an object of tensors by name, got {_show(value)}", hint=hint)
    return {name: _decode(item) for name, item in value.items()}


def _decode(value: object) -> object:
    """JSON values with every ``{"b64": ...}`` turned into the bytes it stands for."""
    if isinstance(value, list):
        return [_decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    encoded = value.get("b64")
    if set(value) != {"b64"} or not isinstance(encoded, str):
        raise InputError(f"expected numbers or text, got {_show(value)}", hint='binary text is {"b64": "..."}')
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise InputError(f"{_show(value)} is not base64", hint="encode the bytes with standard base64") from None


def _show(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


_FIELDS: Final[Mapping[str, Callable[[Any, Mapping[str, Any]], object]]] = {
    "name": _name,
    "version": _version,
    "signature": _signature,
    "inputs": _inputs,
    "outputs": _outputs,
    "absolute": _tolerance,
    "relative": _tolerance,
    "dtypes": _dtypes,
}
