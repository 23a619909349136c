"""The part of a plan's JSON Schema that tells how the run goes: freezes, plays, waves, seconds."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.report.schema_words import (
    boolean,
    count,
    exactly,
    items,
    number_of,
    or_null,
    ref,
    text,
)


def freeze() -> Schema:
    """``freeze``."""
    return exactly(
        "The freeze window that is open: a deploy that begins now is refused where hosts wait. Null without one.",
        until=or_null(number_of("when no window is open any more, in Unix time; null where that is not in sight")),
        window=text("its cron expression"),
        zone=text("the zone on whose clock it is meant"),
        reason=text("empty without one"),
        waiting=items(text(), "hosts that would get something new; one that only comes back does not wait"),
    )


def play() -> Schema:
    """One of ``plays``."""
    return exactly(
        "One play that has work, as it goes when nothing fails.",
        name=text(),
        hosts_total=count("hosts of the play, whatever --limit leaves"),
        max_unavailable=count("how many of them may be out of service at once"),
        min_available=text("as the playbook has it: how many of each failure domain stay in service"),
        spread=text("the variable that names a host's failure domain; empty without one"),
        soak_seconds=number_of("waited between two waves"),
        watched_seconds=number_of(
            "after how long a host that hears nothing more goes back by itself; 0 where none does"
        ),
        takes_out=boolean("whether it can take hosts out of service"),
        foreseen=boolean("whether work is planned in it; else it only looks again at hosts of earlier plays"),
        refused=boolean("whether the run would be refused because of it; then no wave is begun"),
        waves=items(ref("wave"), "in order"),
        **seconds(),
    )


def wave() -> Schema:
    """One of a play's ``waves``."""
    domain = exactly(
        "The failure domain that comes closest to what has to stay.",
        name=text("empty where the play has no failure domains"),
        lowest=count("its hosts in service at any moment"),
        total=count(),
        least=count("how many of them have to be"),
    )
    return exactly(
        "One wave of a play.",
        number=count("from 1"),
        hosts=items(text(), "in order"),
        in_service=or_null(
            exactly(
                "How many hosts of the play serve; null where that stays, nobody knows, or the play is refused.",
                before=count(),
                lowest=count("at any moment of the wave"),
                taken_out=items(text(), "hosts that serve and are taken out"),
                side_by_side=count("at most this many at a time"),
                domain=or_null(domain),
            )
        ),
        **seconds(),
    )


def seconds() -> dict[str, Schema]:
    """How long something takes, where that is known."""
    return {
        "seconds": or_null(number_of("by what earlier runs took; null where nothing is known")),
        "seconds_at_least": boolean("whether of some of it nothing is known"),
    }
