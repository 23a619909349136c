"""The JSON Schema of what ``status --json`` prints."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.observed import State, Traffic
from fleetdeploy.domain.watch import WatchState
from fleetdeploy.report.contract.failure import EITHER, or_error
from fleetdeploy.report.schema_words import (
    boolean,
    by_name,
    count,
    described,
    document,
    exactly,
    format_of,
    items,
    looked_at,
    number,
    one_of,
    or_null,
    ref,
    text,
    with_optional,
)
from fleetdeploy.report.status.as_json import FORMAT


def status_schema(*, closed: bool = False) -> Schema:
    """Of the whole fleet; ``closed`` is the form for writers."""
    return document(
        "fleetdeploy status",
        "What `fleetdeploy status --json` prints, with `--watch` one a line. Null is what is not known, or what there "
        "is none of; a service's `unknown` tells the two apart.",
        EITHER,
        closed=closed,
        **or_error(_fleet()),
        host=_host(),
        service=_service(),
        debt=_debt(),
        version=_version(),
    )


def _fleet() -> Schema:
    fleet = exactly(
        "The fleet as it was seen.",
        format=format_of(FORMAT),
        **looked_at(),
        owed=by_name(ref("debt"), "hosts that have missed what a run switched over to"),
        balancers_not_asked=by_name(text(), "balancers that did not answer, and why"),
        summary=text("the last line of the terminal"),
    )
    return with_optional(fleet, time=text("of the look, with --watch"))


def _host() -> Schema:
    member = exactly(
        "One of its servers in the balancer.",
        pool=text(),
        server=text(),
        traffic=one_of(*(item.value for item in Traffic), description="what the balancer reports"),
        weight=count(),
    )
    gpu = exactly("One GPU.", index=count(), name=text(), memory_bytes=count(), memory_used_bytes=count())
    host = exactly(
        "One host.",
        refusals=items(
            exactly(message=text(), hint=text("what to do"), exit_code=count("that a deploy would end with")),
            "why a deploy would refuse it",
        ),
        gpus=or_null(items(gpu)),
        services=by_name(ref("service"), "what each of its services does"),
    )
    found = items(member, "of the host's pools; null where the balancer did not answer, left out where it has none")
    return with_optional(host, balancer=or_null(found))


def _service() -> Schema:
    container = exactly(
        name=text(),
        status=text("by Docker's own word, such as `running`"),
        image=or_null(text("as the inventory names it")),
        image_id=text(),
        started_at=or_null(text("by the host's clock, as Docker writes it")),
        restarts=count("by Docker's restart policy"),
    )
    watchdog = exactly(
        state=one_of(*(item.value for item in WatchState), description="what it does, or did"),
        run=text("the run that armed it"),
        release=text("the release that had to be confirmed"),
        reason=text("why it could not go back, where it could not"),
    )
    return exactly(
        "One service on one host.",
        release=or_null(text("the release that was proven last")),
        took_back=or_null(text("the release that it was taken back from")),
        container=or_null(container),
        served=by_name(
            or_null(items(ref("version"))), "by model: its versions, none where it is not served, null where unknown"
        ),
        drained_by=or_null(text("the run that took the host out of its balancer and has not put it back")),
        watchdog=or_null(described(watchdog, "where the host may go back by itself, or did")),
        drift=or_null(text("in what it differs from the inventory, for people")),
        unknown=by_name(text(), "what could not be read, and why"),
    )


def _version() -> Schema:
    return exactly(
        "One version of a model, by the server's own word.",
        version=number(),
        state=one_of(*(item.value for item in State), description="its state"),
        error=or_null(text()),
    )


def _debt() -> Schema:
    return exactly(
        "What a host has missed.",
        host=text(),
        address=text(),
        run=text("the run that went on without it"),
        since=text("when that was"),
        why=text(),
        drained=boolean("whether that run took it out of its balancer"),
        balancer=text("which one, for people; empty without one"),
        pools=by_name(items(text()), "its pools, by service"),
    )
