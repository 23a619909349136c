"""What a command prints with ``--json`` where it ends in an error and not in a result."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.schema_words import described, exactly, items, ref, text


def or_error(result: Schema) -> dict[str, Schema]:
    """The definitions of a document that is a ``result`` or an ``error``."""
    problem = exactly(
        message=text(),
        where=text("a file, line and column; a host; empty where it is neither"),
        hint=text("what to do"),
    )
    error = exactly(
        "Why there is no result.",
        exit_code=described({"type": "integer"}, "the command's"),
        error=text("the kind of error, such as `InputError`, `PreflightRefused`, `LockHeld`"),
        problems=items(problem, "all that was found, at least one"),
        detail=text("last lines of what said so, such as of a host's output"),
    )
    return {"result": result, "error": error}


EITHER: Schema = {"anyOf": [ref("result"), ref("error")]}
