"""The JSON Schema of what ``deploy --json``, ``rollback --json`` and ``resume --json`` print."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.as_json import FORMAT
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.contract.kinds import OUTCOMES
from fleetdeploy.report.contract.words import document
from fleetdeploy.report.plan.schema_words import by_name, described, exactly, ref, text


def run_schema(*, closed: bool = False) -> Schema:
    """The result of a run; ``closed`` is the form for writers."""
    return document(
        "fleetdeploy run",
        "What `deploy`, `rollback` and `resume` print with `--json`: how the run ended, or why nothing was begun.",
        EITHER,
        closed=closed,
        **or_error(result()),
        host=OUTCOMES["additionalProperties"],
    )


def result() -> Schema:
    """How a run ended; it refers to ``host``."""
    return exactly(
        "How a run ended.",
        format=described({"const": FORMAT}, "version of this shape; keys may be added within one"),
        run=text("the run's id, by which its journal is found"),
        exit_code=described({"type": "integer"}, "the command's"),
        summary=text("the last line of the terminal"),
        hosts=by_name(ref("host"), "every host of the run"),
    )
