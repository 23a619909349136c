"""The keys of a play."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PlainValidator, WithJsonSchema

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.config.fields.values import HostCount, parse_quantity
from fleetdeploy.config.reserved.service_schema import Fields
from fleetdeploy.config.syntax.refusal import NotA, Refused, Several
from fleetdeploy.domain.playbook import OnFailure, Quantity


def parse_serial(value: object) -> tuple[Quantity, ...]:
    """One size for all waves, or a list of sizes of which the last repeats."""
    if not isinstance(value, list):
        return (parse_quantity(value),)
    if not value:
        raise Refused("no wave is listed", "list the sizes of the waves, or remove `serial` for all hosts at once")
    sizes, wrong = [], []
    for index, item in enumerate(value):
        try:
            sizes.append(parse_quantity(item))
        except NotA as error:
            wrong.append(NotA(error.what, error.hint.removeprefix("expected "), at=(index,)))
    if wrong:
        raise Several(wrong)
    return tuple(sizes)


def parse_on_failure(value: object) -> OnFailure:
    """One of the values of :class:`OnFailure`."""
    allowed = [item.value for item in OnFailure]
    if value not in allowed:
        raise NotA("a way to go on", " or ".join(allowed))
    return OnFailure(value)


Serial = Annotated[
    tuple[Quantity, ...], PlainValidator(parse_serial), WithJsonSchema({"type": ["string", "integer", "array"]})
]
FailurePolicy = Annotated[
    OnFailure, PlainValidator(parse_on_failure), WithJsonSchema({"enum": [item.value for item in OnFailure]})
]


class PlayFields(Fields):
    """One play. ``tasks`` and ``always`` are read by the playbook loader, entry by entry."""

    name: str = Field(default="", description="what the play does, shown while it runs")
    hosts: str = Field(min_length=1, description="the pattern of the hosts it runs on")
    serial: Serial = Field(default=(), description="hosts at once: a count, a percentage, or a list of them")
    max_unavailable: HostCount = Field(default=Quantity(1), description="how many hosts may be out of service at once")
    max_fail_percentage: int = Field(default=0, ge=0, le=100, description="stop when this share of the hosts failed")
    soak: Duration = Field(default=0.0, description="how long to wait between two waves")
    on_failure: FailurePolicy = Field(default=OnFailure.REVERT, description="stop, revert or revert_all")
    tasks: list[object] = Field(min_length=1, description="what is done on each host, in order")
    always: list[object] = Field(default_factory=list, description="tasks for a host that dropped out, once it is back")
