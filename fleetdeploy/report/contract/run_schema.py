"""The JSON Schema of what ``deploy``, ``sync``, ``rollback``, ``resume`` and ``prune`` print with ``--json``."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.as_json import FORMAT
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.contract.outcome_schema import OUTCOME
from fleetdeploy.report.schema_words import by_name, described, document, exactly, format_of, ref, text


def run_schema(*, closed: bool = False) -> Schema:
    """The result of a run; ``closed`` is the form for writers."""
    return document(
        "fleetdeploy run",
        "What `deploy`, `sync`, `rollback`, `resume` and `prune` print with `--json`: how the run ended, or why "
        "nothing was begun.",
        EITHER,
        closed=closed,
        **or_error(result()),
        host=OUTCOME,
    )


def result() -> Schema:
    """How a run ended; it refers to ``host``."""
    return exactly(
        "How a run ended.",
        format=format_of(FORMAT),
        run=text("the run's id, by which its journal is found"),
        exit_code=described({"type": "integer"}, "the command's"),
        summary=text("the last line of the terminal"),
        hosts=by_name(ref("host"), "every host of the run"),
    )
