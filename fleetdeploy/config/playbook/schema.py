"""The keys of a play, of a task, and of the entries that stand for another file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.config.fields.values import COUNT_SCHEMA, EnvironmentName, HostCount, TextOrSecret, parse_quantity
from fleetdeploy.config.playbook import foreign_words
from fleetdeploy.config.reserved.service_schema import Fields
from fleetdeploy.config.syntax.refusal import NotA, Refused, Several
from fleetdeploy.domain.playbook import OnFailure, Order, Quantity

_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_SHELLS_OWN = frozenset({
    "_", "BASHOPTS", "BASHPID", "BASH_ARGV0", "BASH_COMMAND", "BASH_SUBSHELL", "BASH_VERSINFO", "DIRSTACK",
    "EPOCHREALTIME", "EPOCHSECONDS", "EUID", "FUNCNAME", "GROUPS", "HISTCMD", "LINENO", "OPTIND", "PPID", "RANDOM",
    "SECONDS", "SHELLOPTS", "SHLVL", "SRANDOM", "UID",
})  # fmt: skip
"""Variables that some shell refuses to take, or gives other values than it was told."""
SELECTORS = ("all", "tagged", "untagged")
"""Words that choose among tags on the command line, so that no task may carry them."""


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


def parse_order(value: object) -> Order:
    """One of the values of :class:`Order`."""
    allowed = [item.value for item in Order]
    if value not in allowed:
        raise NotA("an order of hosts", " or ".join(allowed))
    return Order(value)


def parse_tags(value: object) -> tuple[str, ...]:
    """Tags as a list, or as one text with commas between them, as Ansible takes them."""
    words = [word.strip() for word in value.split(",")] if isinstance(value, str) else value
    if not isinstance(words, list):
        raise NotA("a list of tags", "something like [canary, prune]")
    wrong: list[Refused] = []
    for index, word in enumerate(words):
        place = (index,) if isinstance(value, list) else ()
        if not isinstance(word, str) or not _TAG.fullmatch(word):
            wrong.append(NotA("a tag", "a word of letters, digits, `_`, `-`, `.` and `:`", at=place))
        elif word in SELECTORS:
            wrong.append(Refused(f"{word!r} is a word of --tags, not a tag", "choose another name", at=place))
    if wrong:
        raise Several(wrong)
    return tuple(dict.fromkeys(words))


def parse_when(value: object) -> tuple[str, ...]:
    """One condition, or a list of conditions that all have to hold."""
    items = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(item, (str, bool)) and item != "" for item in items):
        raise NotA("a condition", "an expression such as \"rack == 'r1'\", or a list of them")
    return tuple(str(item).lower() if isinstance(item, bool) else str(item) for item in items)


def parse_variable(value: object) -> str:
    """The name of a variable."""
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise NotA("a variable's name", "letters, digits and `_`, not starting with a digit")
    return value


def check_environment_name(name: str) -> str:
    """The name of a variable that every shell passes on as it is."""
    if name in _SHELLS_OWN:
        raise Refused("a variable that shells set themselves", "choose another name")
    return name


_TAG_WORD = rf"(?!(?:{'|'.join(SELECTORS)})(?:\s*,|$)){_TAG.pattern}"
_TAGS: dict[str, object] = {
    "title": "tags",
    "type": ["string", "array"],
    "pattern": rf"^\s*{_TAG_WORD}\s*(?:,\s*{_TAG_WORD}\s*)*$",
    "items": {"type": "string", "pattern": f"^{_TAG_WORD}$"},
}
_CONDITIONS: dict[str, object] = {
    "title": "condition",
    "type": ["string", "boolean", "array"],
    "minLength": 1,
    "items": {"type": ["string", "boolean"], "minLength": 1},
    "minItems": 1,
}
_SERIAL = {**COUNT_SCHEMA, "type": ["string", "integer", "array"], "items": COUNT_SCHEMA, "minItems": 1}
Serial = Annotated[tuple[Quantity, ...], PlainValidator(parse_serial), WithJsonSchema(_SERIAL)]
FailurePolicy = Annotated[
    OnFailure, PlainValidator(parse_on_failure), WithJsonSchema({"enum": [item.value for item in OnFailure]})
]
HostOrder = Annotated[Order, PlainValidator(parse_order), WithJsonSchema({"enum": [item.value for item in Order]})]
Tags = Annotated[tuple[str, ...], PlainValidator(parse_tags), WithJsonSchema(_TAGS)]
Conditions = Annotated[tuple[str, ...], PlainValidator(parse_when), WithJsonSchema(_CONDITIONS)]
VariableName = Annotated[
    str, PlainValidator(parse_variable), WithJsonSchema({"type": "string", "pattern": f"^{_VARIABLE.pattern}$"})
]


Environment = dict[Annotated[EnvironmentName, AfterValidator(check_environment_name)], TextOrSecret]


class PlayFields(Fields):
    """One play. ``tasks`` and ``always`` are read by the playbook loader, entry by entry."""

    elsewhere: ClassVar[Mapping[str, str]] = foreign_words.PLAY

    name: str = Field(default="", description="what the play does, shown while it runs")
    hosts: str = Field(min_length=1, description="the pattern of the hosts it runs on")
    tags: Tags = Field(default=(), description="tags that all tasks of the play have")
    order: HostOrder = Field(default=Order.INVENTORY, description="in which order the hosts come")
    seed: int | None = Field(default=None, ge=0, description="the number that decides the order `shuffle`")
    spread: VariableName | None = Field(default=None, description="the variable that names a host's failure domain")
    serial: Serial = Field(default=(), description="hosts at once: a count, a percentage, or a list of them")
    max_unavailable: HostCount = Field(default=Quantity(1), description="how many hosts may be out of service at once")
    min_available: HostCount | None = Field(
        default=None, description="how many hosts of each failure domain stay in service"
    )
    max_fail_percentage: int | None = Field(
        default=None, ge=0, le=100, description="stop when this share of the play's hosts failed (default 0)"
    )
    any_errors_fatal: bool | None = Field(default=None, description="stop at the first failure, whatever the share")
    soak: Duration = Field(default=0.0, description="how long to wait between two waves")
    confirm_timeout: Duration = Field(
        default=0.0,
        description="how long a host waits, beyond what its tasks may take at the most, for our word that all is well "
        "before it goes back by itself; 0s: for ever",
    )
    on_failure: FailurePolicy = Field(default=OnFailure.REVERT, description="stop, revert or revert_all")
    vars: dict[VariableName, object] = Field(
        default_factory=dict, description="variables for the templates of the play's hosts; -e wins over them"
    )
    environment: Environment = Field(
        default_factory=dict, description="environment of the commands that tasks run; a task's own wins over it"
    )
    tasks: list[object] = Field(min_length=1, description="what is done on each host, in order")
    rescue: list[object] = Field(
        default_factory=list, description="commands and messages for a host that failed, once it has been taken back"
    )
    always: list[object] = Field(default_factory=list, description="tasks for a host that dropped out, once it is back")


class TaskKeywords(Fields):
    """What stands beside a task's name."""

    elsewhere: ClassVar[Mapping[str, str]] = foreign_words.TASK

    name: str = Field(default="", min_length=1, description="what the task is for, shown instead of its name")
    tags: Tags = Field(default=(), description="words by which --tags and --skip-tags choose it")
    when: Conditions = Field(
        default=(), description="conditions over the host's variables and facts, all of which must hold"
    )
    run_once: bool = Field(
        default=False,
        description="once in the whole rollout, by the first host that comes to it; the others wait, and fail with it",
    )
    delegate_to: str = Field(default="", min_length=1, description="the host it is done on instead")
    environment: Environment = Field(default_factory=dict, description="environment of the command that it runs")


class IncludeKeywords(Fields):
    """What stands beside ``import_playbook``, ``import_tasks`` and ``include_tasks``: it holds for all tasks there."""

    elsewhere: ClassVar[Mapping[str, str]] = foreign_words.TASK

    name: str = Field(default="", min_length=1, description="what the file is for")
    tags: Tags = Field(default=(), description="tags that all tasks of the file have")
    when: Conditions = Field(default=(), description="conditions that hold for all tasks of the file")
    environment: Environment = Field(
        default_factory=dict, description="environment of the commands that tasks of the file run"
    )
