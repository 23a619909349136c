"""The keys of ``fleetdeploy.yml``."""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated, Any, Union

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from fleetdeploy.config.fields.durations import Duration, duration_up_to
from fleetdeploy.config.fields.values import LocalPath, TextOrSecret, written
from fleetdeploy.config.json_schema import DRAFT, Schema, fields_schema
from fleetdeploy.config.playbook.task_values import Argv, parse_web_address
from fleetdeploy.config.reserved.service_schema import Fields
from fleetdeploy.config.syntax.refusal import NotA, Refused, Several
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.domain.freeze import why_not_cron
from fleetdeploy.domain.secret import Secret
from fleetdeploy.domain.settings import WORTH_TELLING, News

LONGEST_FREEZE_S = 92 * 86400.0
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,80}")
_OURS = frozenset({"content-type", "content-length", "host", "user-agent", "connection", "transfer-encoding"})
_EXAMPLE = '"0 18 * * fri"'


def parse_cron(value: object) -> str:
    """A cron expression: minute, hour, day of month, month, day of week."""
    hint = f"minute, hour, day of month, month, day of week, in quotes, such as {_EXAMPLE}"
    if not isinstance(value, str) or not value.isascii():
        raise NotA("a cron expression", hint)
    if why := why_not_cron(value):
        raise Refused(f"{value[:80]!r} is not a cron expression: {why}", f"expected {hint}")
    return value


def parse_zone(value: object) -> str:
    """The IANA name of a time zone."""
    known = zoneinfo.available_timezones()
    if isinstance(value, str) and value in known:
        return value
    if isinstance(value, str) and (close := hint_for(value, known, what="zones")):
        raise Refused(f"{value[:80]!r} is not a time zone", close)
    raise NotA("a time zone", "a name such as Europe/Berlin or UTC")


def parse_freeze(value: object) -> float:
    """How long a window is, in seconds: some time, and at most 92 days."""
    seconds = duration_up_to(LONGEST_FREEZE_S)(value)
    if not seconds:
        raise Refused("the window would be over at once", "write something like 62h, or remove it")
    return seconds


def parse_address(value: object) -> str | Secret:
    """A web address, or a secret that is one: that is found out when it is used."""
    return value if isinstance(value, Secret) else parse_web_address(value)


def parse_about(value: object) -> tuple[News, ...]:
    """Ends of runs, by their names."""
    names = [item.value for item in News]
    if not isinstance(value, list) or not value:
        raise NotA("a list of ends", f"one or more of {', '.join(names)}")
    wrong = [
        Refused(f"{str(word)[:80]!r} is no end of a run", hint_for(str(word), names, what="ends"), at=(index,))
        for index, word in enumerate(value)
        if word not in names
    ]
    if wrong:
        raise Several(wrong)
    return tuple(dict.fromkeys(News(word) for word in value))


def check_most(value: int) -> int:
    """How many hosts at most, from 1: whoever writes 0 wants none to change, and `freeze` says that."""
    if value < 1:
        hint = "to stop changes, write a window below `freeze:`, or take the timer or the cron line out; for no limit, "
        raise Refused(f"{value} is not a whole number from 1", f"{hint}remove it")
    return value


def parse_header(value: object) -> str:
    """The name of a header of HTTP that is not ours to set."""
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise NotA("a header's name", "something like Authorization")
    if value.lower() in _OURS:
        raise Refused("a header that is set already", "remove it")
    return value


Cron = Annotated[str, PlainValidator(parse_cron), written("cron expression", r"\s*(\S+\s+){4}\S+\s*")]
Zone = Annotated[str, PlainValidator(parse_zone), written("time zone", r"[A-Za-z0-9_+/-]+")]
FreezeTime = Annotated[
    float,
    PlainValidator(parse_freeze),
    WithJsonSchema({
        "title": "duration",
        "type": ["string", "number"],
        "pattern": r"^(?=\d)(\d{1,9}d)?(\d{1,9}h)?(\d{1,9}m)?(\d{1,9}s)?(\d{1,9}ms)?$",
        "exclusiveMinimum": 0,
        "maximum": LONGEST_FREEZE_S,
    }),
]  # fmt: skip
_SECRET: dict[str, Any] = {"type": "object", "minProperties": 1, "maxProperties": 1}
Address = Annotated[
    Union[str, Secret],
    PlainValidator(parse_address),
    WithJsonSchema({"title": "web address or !secret", "anyOf": [
        {"type": "string", "pattern": "^https?://[^@#\\s]+$"}, _SECRET,
    ]}),
]  # fmt: skip
About = Annotated[
    tuple[News, ...],
    PlainValidator(parse_about),
    WithJsonSchema({"type": "array", "minItems": 1, "items": {"enum": [item.value for item in News]}}),
]
MostHosts = Annotated[
    int, AfterValidator(check_most), WithJsonSchema({"title": "number of hosts", "type": "integer", "minimum": 1})
]
HeaderName = Annotated[str, PlainValidator(parse_header), written("header", _HEADER.pattern)]


class FreezeFields(Fields):
    """A freeze window: in it `deploy` and `sync` change nothing; a rollback is never kept from its work."""

    when: Cron = Field(description=f"when it begins, as cron expression: {_EXAMPLE}")
    lasts: FreezeTime = Field(alias="for", description="how long it is on the zone's clock, such as 62h")
    zone: Zone = Field(description="whose clock counts, such as Europe/Berlin or UTC")
    reason: str = Field(default="", max_length=200, description="why, for whoever meets it")


class NotifyFields(Fields):
    """Who is told how a run ended: one of `url` and `command`."""

    url: Address = Field(default="", description="where the JSON is posted to")
    command: Argv = Field(
        default=(), description="a command on the controller, which reads the JSON; `./NAME` is beside this file"
    )
    headers: dict[HeaderName, TextOrSecret] = Field(
        default_factory=dict, description="such as Authorization: !secret {env: TOKEN}"
    )
    on: About = Field(default=WORTH_TELLING, description="which ends it is told of")
    timeout: Duration = Field(default=10.0, description="how long one try may take")
    retries: int = Field(
        default=2, ge=0, le=5, description="how many more times it is tried; a command not, unless it is said here"
    )


class SyncFields(Fields):
    """What `sync` does unless its command line says otherwise."""

    playbook: LocalPath = Field(default="", description="relative to this file")
    limit: str = Field(default="", description="only these hosts")
    splay: Duration = Field(default=0.0, description="begin up to so much later, always as late on one machine")
    max_hosts: MostHosts = Field(
        default_factory=int, description="change nothing where more hosts would change; without it any number may"
    )
    retry_after: Duration = Field(
        default=600.0,
        description="how long a release that failed is left alone, then twice as long, up to 6h; 0: it is not",
    )


class SettingsFields(Fields):
    """The whole file."""

    freeze: list[FreezeFields] = Field(default_factory=list, description="times in which nothing is rolled out")
    notify: list[NotifyFields] = Field(default_factory=list, description="who is told how a run ended")
    textfile: LocalPath = Field(
        default="", description="metrics for Prometheus' node exporter, relative to this file; ends with .prom"
    )
    sync: SyncFields = Field(default_factory=SyncFields, description="what `sync` does")


def settings_schema() -> Schema:
    """For editors."""
    schema = fields_schema(SettingsFields)
    schema["$defs"]["NotifyFields"]["oneOf"] = [{"required": ["url"]}, {"required": ["command"]}]
    return {"$schema": DRAFT, **schema, "title": "fleetdeploy settings"}
