"""The JSON Schema of what ``models inspect --json`` prints."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.model_text import FORMAT
from fleetdeploy.report.schema_words import (
    boolean,
    by_name,
    count,
    described,
    document,
    exactly,
    format_of,
    items,
    number,
    or_null,
    ref,
    text,
    with_optional,
)


def model_schema(*, closed: bool = False) -> Schema:
    """Of a version or of all of a model; ``closed`` is the form for writers."""
    found = exactly(
        "What a model directory holds.",
        format=format_of(FORMAT),
        exit_code=described({"type": "integer"}, "the command's"),
        path=text("as it was given"),
        versions=items(ref("version"), "the oldest first; one where the path is a version"),
        signature_changes=items(ref("step"), "each version that has one before it, and how its signatures differ"),
        ignored=items(text(), "names in the directory that are no versions"),
    )
    return document(
        "fleetdeploy model",
        "What `models inspect` prints with `--json`, or why it prints nothing.",
        EITHER,
        closed=closed,
        **or_error(found),
        version=_version(),
        signature=_signature(),
        tensor=_tensor(),
        step=_step(),
    )


def _version() -> Schema:
    shard = exactly(expected=count("how many their names say"), present=items(count(), "the numbers that are there"))
    variables = exactly(
        needed=boolean("whether the graph has any"),
        index=boolean("whether the index is there"),
        index_complete=boolean(),
        shards=items(shard),
    )
    problem = exactly(message=text(), where=text(), hint=text("what to do"))
    return exactly(
        "One version.",
        directory=text(),
        version=or_null(number("null where the directory's name is no number of a version")),
        size_bytes=count("of all files"),
        files=by_name(count(), "bytes, by path in the directory"),
        tensorflow_version=text("that wrote it; empty where it does not say"),
        tensorflow_git_version=text(),
        tag_sets=items(items(text())),
        signatures=by_name(ref("signature")),
        variables=variables,
        assets=by_name(boolean(), "whether the file is there"),
        warmup=boolean("whether it has requests for a warm-up"),
        tflite=or_null(boolean("whether model.tflite is one; null without the file")),
        nodes=count("of the graph"),
        devices=by_name(exactly(nodes=count(), example=text("one of the nodes")), "that nodes ask for by name"),
        risky_ops=by_name(exactly(nodes=count(), why=text()), "operations that reach beyond the graph"),
        fingerprint=by_name(text(), "hexadecimal; empty without a readable one"),
        problems=items(problem, "what keeps it from being served"),
    )


def _signature() -> Schema:
    return exactly(
        "One signature.",
        method=text("as TensorFlow names it; may be empty"),
        inputs=by_name(ref("tensor")),
        outputs=by_name(ref("tensor")),
    )


def _tensor() -> Schema:
    size: Schema = {"type": "integer"}
    tensor = exactly(
        "One tensor.",
        dtype=text(),
        shape=described(or_null(items(or_null(size))), "null for a size that is open, or for an open rank"),
    )
    return with_optional(tensor, has_default=described({"const": True}, "an input that may be left out"))


def _step() -> Schema:
    change = exactly(
        signature=text(),
        what=text("such as `input 'x'`; empty for the signature itself"),
        before=text("empty where there was nothing"),
        after=text("empty where there is nothing"),
        why=text(),
        breaking=boolean("whether it breaks callers of the version before"),
    )
    step = {"from": number(), "to": number(), "changes": items(change)}
    return exactly("How the signatures of one version differ from those of the version before.", **step)
