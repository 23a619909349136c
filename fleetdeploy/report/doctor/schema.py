"""The JSON Schema of what ``doctor --json`` prints: every key, none of them left out, and no other."""

from __future__ import annotations

from fleetdeploy.config.json_schema import Schema
from fleetdeploy.domain.checkup import Health
from fleetdeploy.report.doctor.as_json import FORMAT
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
    ref,
    text,
)


def doctor_schema() -> Schema:
    """The whole schema, in keywords that mean the same in draft 7 and in draft 2020-12."""
    states = [health.value for health in Health]
    return document(
        "fleetdeploy doctor",
        "What `fleetdeploy doctor --json` prints.",
        exactly(
            format=format_of(FORMAT),
            hosts=by_name(ref("checked"), "every host that was asked for"),
            controller=described(ref("checked"), "the machine that fleetdeploy runs on"),
            exit_code=count("the command's own"),
            summary=text("the last line"),
        ),
        closed=True,
        state=one_of(*states, description="unknown: it could not be read, and may be fine or not"),
        checked=exactly(
            state=described(ref("state"), "the worst of its findings"),
            findings=items(ref("finding"), "also of what is fine"),
        ),
        finding=exactly(
            check=text("its name: a file of gates/doctor/"),
            state=ref("state"),
            what=text("one sentence"),
            why=text("what follows from it, or the reason why it is not known"),
            fix=text("something to type or to write down"),
            aside=boolean("nothing hangs on it that this is not known"),
        ),
    )
