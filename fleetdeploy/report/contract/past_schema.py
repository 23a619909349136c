"""The JSON Schemas of what ``runs list --json`` and ``runs show --json`` print."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.contract.outcome_schema import OUTCOME
from fleetdeploy.report.runs_table import FORMAT
from fleetdeploy.report.schema_words import (
    boolean,
    by_name,
    count,
    described,
    document,
    exactly,
    format_of,
    items,
    one_of,
    or_null,
    ref,
    text,
    with_optional,
    with_required,
)
from fleetdeploy.report.story.standing import UNFINISHED, WAITING
from fleetdeploy.rollout.journal.recorded_run import RunState

_FORMAT = format_of(FORMAT)
_STATES = tuple(state.value for state in HostState)


def runs_schema(*, closed: bool = False) -> Schema:
    """Of the list; ``closed`` is the form for writers."""
    counts = {state: count() for state in _STATES}
    row = with_required(
        _head("One run of the past."),
        hosts=described(
            with_optional(exactly(), **counts), "how many ended in which state; none where nothing tells of an end"
        ),
    )
    return document(
        "fleetdeploy runs",
        "What `runs list` prints with `--json`, or why it prints nothing.",
        EITHER,
        closed=closed,
        **or_error(exactly(format=_FORMAT, runs=items(ref("run"), "the newest first"))),
        run=row,
    )


def past_run_schema(*, closed: bool = False) -> Schema:
    """Of one run; ``closed`` is the form for writers."""
    words = (
        f"as in the run's own result; where nothing tells of an end, `{UNFINISHED}` for a host that was at work and "
        f"`{WAITING}` for one that had still to come; empty where nothing was begun there"
    )
    states = {"state": one_of(*_STATES, UNFINISHED, WAITING, "", description=words)}
    host = {**OUTCOME, "description": "How it ended for one host, or how far it came."}
    result = with_required(
        _head("One run, by its journal."),
        resumes=items(text(), "the runs that it carries on, newest first"),
        format=_FORMAT,
        summary=text("the last line of the terminal; empty where nothing tells of an end"),
        refusal=text("all that was said where it was refused or failed, if that is more than the summary; else empty"),
        by=text("who gave the command, on which machine; empty where that is not told"),
        directory=text("where it was given"),
        hosts=by_name(ref("host"), "every host of the run"),
    )
    return document(
        "fleetdeploy past run",
        "What `runs show` prints with `--json`, or why it prints nothing.",
        EITHER,
        closed=closed,
        **or_error(result),
        host=with_optional(host, **states),
    )


def _head(description: str) -> Schema:
    return exactly(
        description,
        run=text("its id"),
        state=one_of(
            *(state.value for state in RunState),
            description="whether its journal tells of an end; `unfinished` was killed or still goes on, `unknown` has "
            "a journal that is damaged before its end or cannot be read",
        ),
        exit_code=_or_null("integer", "the command's; null where nothing tells of an end"),
        verdict=text("what that means, in two words, for people"),
        command=text("the command line; values of -e are masked"),
        started_s=_or_null("number", "Unix time; null where no record can be read"),
        ended_s=_or_null("number", "Unix time of its last record"),
        torn=boolean("whether the journal's last line was cut off"),
        damage=text("from where on the journal is not believed, and why; empty where it is whole"),
    )


def _or_null(kind: str, description: str) -> Schema:
    """A value of this type, or null."""
    return described(or_null({"type": kind}), description)
