"""A model directory, as a person reads it in 80 columns and as JSON values."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

from rich.text import Text

from fleetdeploy.domain.signatures import Signature, TensorSpec
from fleetdeploy.report.as_json import signature_changes
from fleetdeploy.report.safe_text import safe_lines
from fleetdeploy.report.wording import counted, part, size
from fleetdeploy.tfserving.inspection import LITE_FILE, WARMUP_FILE, ModelInspection, VersionInspection
from fleetdeploy.tfserving.saved_model import INDEX_FILE

FORMAT = 1
"""The version of the JSON. A key that goes, or means something else, is a new one."""
WIDTH = 80
MOST_FILES = 12
"""Files listed for a person, the largest first; ``--json`` has all."""

_LABEL = 14


def lines(found: ModelInspection) -> Iterator[Text]:
    """One version in full; of several, one line each, then the newest in full and how signatures changed.

    Names come out of files that somebody else wrote: what a terminal would obey is shown as an escape.
    """
    yield from safe_lines(_lines(found))


def _lines(found: ModelInspection) -> Iterator[Text]:
    if len(found.versions) > 1:
        yield Text(f"{found.path}: {counted(len(found.versions), 'version')}", style="bold")
        for version in found.versions:
            yield _brief(version)
        if found.ignored:
            yield from _wrapped("not versions", ", ".join(found.ignored))
        for step in found.steps:
            for change in step.changes:
                style = "red" if change.breaking else ""
                yield from _wrapped(f"{step.before} -> {step.after}", str(change), style=style)
        yield Text("")
    yield from _version(found.versions[-1])
    yield from _problems(found)


def last_line(found: ModelInspection) -> str:
    """Whether all of it could be served, in one sentence."""
    bad = sum(bool(version.problems) for version in found.versions)
    if bad:
        return f"REFUSED: {counted(len(found.problems), 'problem')} in {part(bad, len(found.versions), 'version')}"
    risky = sum(bool(version.risky) for version in found.versions)
    doubt = f", {part(risky, len(found.versions), 'version')} with operations to look at" if risky else ""
    return f"OK: {counted(len(found.versions), 'version')} complete{doubt}"


def as_json(found: ModelInspection, *, exit_code: int) -> dict[str, object]:
    """The same as JSON values; the command's help and `fleetdeploy schema model` tell the shape."""
    return {
        "format": FORMAT,
        "exit_code": exit_code,
        "path": str(found.path),
        "versions": [_version_json(version) for version in found.versions],
        "signature_changes": [
            {"from": step.before, "to": step.after, "changes": signature_changes(step.changes)} for step in found.steps
        ],
        "ignored": list(found.ignored),
    }


def _brief(version: VersionInspection) -> Text:
    tags = " ".join(_tags(tag_set) for tag_set in version.info.tag_sets) or "no graph"
    text = f"{size(version.size_bytes):>9} in {counted(len(version.info.files), 'file')}, {tags}, "
    text += counted(len(version.info.signatures), "signature")
    verdict = f", {counted(len(version.problems), 'problem')}" if version.problems else ""
    return Text(f"  {version.number!s:<8}{text}") + Text(verdict, style="red")


def _version(version: VersionInspection) -> Iterator[Text]:
    info = version.info
    yield Text(str(version.directory), style="bold")
    yield from _wrapped("size", f"{size(version.size_bytes)} in {counted(len(info.files), 'file')}")
    if info.parsed:
        by = f"TensorFlow {info.tensorflow_version or '(not said)'}"
        git = f" ({version.git_version})" if version.git_version not in ("", "unknown") else ""
        yield from _wrapped("written by", f"{by}{git}")
        yield from _wrapped("tag sets", ", ".join(_tags(tag_set) for tag_set in info.tag_sets) or "none")
        for name, signature in info.signatures.items():
            yield from _signature(name, signature)
        yield from _wrapped("variables", _variables(version))
        for name in info.assets:
            there = size(info.files[f"assets/{name}"]) if f"assets/{name}" in info.files else "MISSING"
            yield from _wrapped("asset", f"{name}  {there}")
        yield from _wrapped("warm-up", size(info.files[WARMUP_FILE]) if WARMUP_FILE in info.files else "none")
        yield from _graph(version)
    if version.lite is not None:
        yield from _wrapped(LITE_FILE, "a TensorFlow Lite model" if version.lite else "NOT a TensorFlow Lite model")
    yield from _files(info.files)


def _graph(version: VersionInspection) -> Iterator[Text]:
    yield from _wrapped("graph", f"{sum(version.ops.values())} nodes, {len(version.ops)} kinds of operation")
    for name, pin in version.devices.items():
        yield from _wrapped("pinned", f"{counted(pin.nodes, 'node')} to {name}, such as {pin.example}")
    for op, why in version.risky.items():
        yield from _wrapped("look at", f"{op} ({version.ops[op]}x): {why}", style="yellow")
    checksum = version.fingerprint.get("saved_model_checksum")
    yield from _wrapped("fingerprint", checksum or "none")


def _signature(name: str, signature: Signature) -> Iterator[Text]:
    method = signature.method_name.removeprefix("tensorflow/serving/") or "no method"
    yield from _wrapped("signature", f"{name} ({method})")
    wide = min(max(map(len, [*signature.inputs, *signature.outputs]), default=0), 40)
    for kind, tensors in (("in ", signature.inputs), ("out", signature.outputs)):
        for key, spec in tensors.items():
            default = "  (has a default)" if kind == "in " and key in signature.defaults else ""
            yield Text(f"    {kind} {key:<{wide}}  {spec}{default}")


def _variables(version: VersionInspection) -> str:
    info = version.info
    if INDEX_FILE not in info.files:
        return "MISSING: the graph has variables, and there is no index" if info.has_variables else "none"
    index = f"index {size(info.files[INDEX_FILE])}" + ("" if info.index_complete else " DAMAGED")
    shards = [
        f"{part(len(there), count, 'shard')}" + ("" if len(there) == count else " MISSING SOME")
        for count, there in version.variable_shards.items()
    ]
    total = sum(count for path, count in info.files.items() if path.startswith("variables/variables.data-"))
    return f"{index}, {' and '.join(shards) or 'NO SHARD'}, {size(total)}"


def _files(files: Mapping[str, int]) -> Iterator[Text]:
    largest = sorted(files.items(), key=lambda item: (-item[1], item[0]))
    for path, count in largest[:MOST_FILES]:
        yield Text(f"  {'file':<{_LABEL - 2}}{size(count):>9}  {path}")
    if len(largest) > MOST_FILES:
        yield from _wrapped("", f"and {counted(len(largest) - MOST_FILES, 'smaller file')}")


def _problems(found: ModelInspection) -> Iterator[Text]:
    for problem in found.problems:
        yield Text("error: ", style="red bold") + Text(f"{problem.where}: ", style="bold") + Text(problem.message)
        if problem.hint:
            yield Text(f"    {problem.hint}")


def _wrapped(label: str, text: str, *, style: str = "") -> Iterator[Text]:
    """A label and its text; what is longer than a line goes on below the text."""
    rows = textwrap.wrap(text, WIDTH - _LABEL, break_long_words=False, break_on_hyphens=False) or [""]
    for number, row in enumerate(rows):
        yield Text(f"  {'' if number else label:<{_LABEL - 2}}") + Text(row, style=style)


def _tags(tag_set: tuple[str, ...]) -> str:
    return "{" + ", ".join(tag_set) + "}"


def _version_json(version: VersionInspection) -> dict[str, object]:
    info = version.info
    return {
        "directory": str(version.directory),
        "version": version.number,
        "size_bytes": version.size_bytes,
        "files": dict(info.files),
        "tensorflow_version": info.tensorflow_version,
        "tensorflow_git_version": version.git_version,
        "tag_sets": [list(tag_set) for tag_set in info.tag_sets],
        "signatures": {name: _signature_json(signature) for name, signature in info.signatures.items()},
        "variables": {
            "needed": info.has_variables,
            "index": INDEX_FILE in info.files,
            "index_complete": INDEX_FILE in info.files and info.index_complete,
            "shards": [{"expected": count, "present": list(there)} for count, there in version.variable_shards.items()],
        },
        "assets": {name: f"assets/{name}" in info.files for name in info.assets},
        "warmup": WARMUP_FILE in info.files,
        "tflite": version.lite,
        "nodes": sum(version.ops.values()),
        "devices": {name: {"nodes": pin.nodes, "example": pin.example} for name, pin in version.devices.items()},
        "risky_ops": {op: {"nodes": version.ops[op], "why": why} for op, why in version.risky.items()},
        "fingerprint": dict(version.fingerprint),
        "problems": [{"message": item.message, "where": item.where, "hint": item.hint} for item in version.problems],
    }


def _signature_json(signature: Signature) -> dict[str, object]:
    def tensors(specs: Mapping[str, TensorSpec], defaults: frozenset[str] = frozenset()) -> dict[str, object]:
        return {
            key: {
                "dtype": spec.dtype,
                "shape": None if spec.shape is None else list(spec.shape),
                **({"has_default": True} if key in defaults else {}),
            }
            for key, spec in specs.items()
        }

    return {
        "method": signature.method_name,
        "inputs": tensors(signature.inputs, signature.defaults),
        "outputs": tensors(signature.outputs),
    }
