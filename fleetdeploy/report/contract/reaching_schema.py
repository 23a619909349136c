"""The JSON Schemas of what ``run --json``, ``exec --json`` and ``logs --json`` print."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.contract.outcome_schema import OUTCOME
from fleetdeploy.report.contract.run_schema import result
from fleetdeploy.report.schema_words import (
    by_name,
    count,
    described,
    document,
    exactly,
    items,
    number_of,
    one_of,
    or_null,
    ref,
    text,
    with_required,
)


def command_schema(*, closed: bool = False) -> Schema:
    """The result of a person's own command; ``closed`` is the form for writers."""
    commands = by_name(items(ref("command")), "by host; one for each service with `exec`, none where none was begun")
    return document(
        "fleetdeploy command",
        "What `run` and `exec` print with `--json`: how the command ended on each host, or why nothing was begun.",
        EITHER,
        closed=closed,
        **or_error(with_required(result(), commands=commands)),
        host=OUTCOME,
        command=_command(),
    )


def _command() -> Schema:
    return exactly(
        "One command on one host.",
        service=text("in whose container it was run; empty on the host itself"),
        status=described(or_null({"type": "integer"}), "its exit status; null where it did not come to its own end"),
        seconds=number_of("how long it took"),
        failure=text("why it did not go well, empty where it did"),
        hint=text("what to do"),
        output=items(text(), "its last lines, of both streams"),
        left_out=count("lines before those"),
    )


def log_schema(*, closed: bool = False) -> Schema:
    """One line of a log; ``closed`` is the form for writers."""
    line = exactly(
        "One line that a container wrote.",
        time=text("when Docker got it: RFC 3339 in UTC with nine digits of a second, which sorts by time"),
        host=text("the host"),
        service=text("the service"),
        container=text("the first twelve digits of the container's id"),
        stream=one_of("stdout", "stderr", description="where it was written"),
        line=text("the line; bytes that are not UTF-8 are replaced, and what is beyond 16 KiB is left out"),
    )
    about = "One line of what `logs` prints with `--json`, or why nothing is printed."
    return document("fleetdeploy log", about, EITHER, closed=closed, **or_error(line))
