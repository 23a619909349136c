"""The JSON Schema of what those are sent whom ``notify`` of ``fleetdeploy.yml`` names."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.settings import News
from fleetdeploy.report.notify import FORMAT
from fleetdeploy.report.schema_words import (
    by_name,
    count,
    described,
    document,
    exactly,
    format_of,
    items,
    number_of,
    one_of,
    or_null,
    ref,
    text,
)

_STATES = tuple(state.value for state in HostState)


def notification_schema(*, closed: bool = False) -> Schema:
    """Of one notification; ``closed`` is the form for writers."""
    host = exactly("How it ended for one host.", state=one_of(*_STATES), reason=text("empty without one"))
    return document(
        "fleetdeploy notification",
        "What is posted to a web address, or is the standard input of a command, when a run has ended.",
        ref("notification"),
        closed=closed,
        notification=_notification(),
        host=host,
    )


def _notification() -> Schema:
    return exactly(
        "How a run ended.",
        format=format_of(FORMAT),
        command=text("such as `deploy` or `sync`"),
        news=one_of(*(item.value for item in News), description="how it ended, in one word"),
        run=text("the run's id; empty where it was refused before it began"),
        exit_code=described({"type": "integer"}, "the command's"),
        summary=text("the last line of the terminal"),
        inventory=text(),
        controller=text("who gave the command, on which machine"),
        started=text("ISO 8601, in UTC"),
        seconds=number_of("how long it took"),
        counts=exactly("Hosts by state.", **{state: count() for state in _STATES}),
        hosts=by_name(ref("host"), "each that is not just ok"),
        pending=items(text(), "hosts that still differ from the inventory"),
        frozen_until=or_null(text("ISO 8601, in UTC; null without a freeze, or without an end of it in sight")),
    )
