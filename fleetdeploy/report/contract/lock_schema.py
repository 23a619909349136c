"""The JSON Schema of what ``lock show --json`` and ``lock break --json`` print."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.lock_text import FORMAT
from fleetdeploy.report.schema_words import by_name, count, described, document, exactly, format_of, items, ref, text


def lock_schema(*, closed: bool = False) -> Schema:
    """Of both; ``closed`` is the form for writers."""
    either: Schema = {"anyOf": [ref("shown"), ref("broken")]}
    shown = exactly(
        "Who holds which host, by `lock show`.",
        format=format_of(FORMAT),
        leases=items(ref("lease"), "leases on hosts"),
        local=items(ref("local"), "hosts that runs on this machine have locked, with a lease there or without"),
        failed=_failed(),
    )
    broken = exactly(
        "What `lock break` took away.",
        format=format_of(FORMAT),
        broken=items(ref("lease"), "leases as they were seen before they were broken"),
        local=items(ref("local"), "none: what runs on this machine have locked is not broken"),
        failed=_failed(),
        anew=items(ref("lease"), "leases that another run took after the look: they were not broken"),
    )
    return document(
        "fleetdeploy lock",
        "What `lock show` and `lock break` print with `--json`, or why they print nothing.",
        EITHER,
        closed=closed,
        **or_error(either),
        shown=shown,
        broken=broken,
        lease=_lease(),
        local=_local(),
    )


def _failed() -> Schema:
    return by_name(text(), "hosts that could not be asked, and why")


def _lease() -> Schema:
    return exactly(
        "One service on one host, held by one run.",
        host=text(),
        service=text(),
        owner=text("who gave the command, on which machine"),
        run=text("its id"),
        held_for=_seconds("so far"),
        free_in=_seconds("until it ends by itself, unless its run renews it"),
        number=count("that every change carries; a later lease has a higher one"),
    )


def _local() -> Schema:
    return exactly(
        "One host that a run on this machine has locked.",
        host=text(),
        user=text("whose run it is"),
        pid=count("the run's process"),
        run=text("its id"),
        held_for=_seconds("so far"),
    )


def _seconds(description: str) -> Schema:
    return described({"type": "integer"}, f"seconds {description}")
