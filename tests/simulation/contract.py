"""What is printed for programs is held against its schemas wherever a test makes any: events of runs, journals, and
the output of commands.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from fleetdeploy.domain.events import Event
from fleetdeploy.report.contract.event_schema import event_schema
from fleetdeploy.report.contract.kinds import is_written
from fleetdeploy.report.contract.lock_schema import lock_schema
from fleetdeploy.report.contract.model_schema import model_schema
from fleetdeploy.report.contract.notification_schema import notification_schema
from fleetdeploy.report.contract.past_schema import past_run_schema, runs_schema
from fleetdeploy.report.contract.reaching_schema import command_schema, log_schema
from fleetdeploy.report.contract.run_schema import run_schema
from fleetdeploy.report.contract.status_schema import status_schema
from fleetdeploy.report.contract.validate_schema import validate_schema
from fleetdeploy.rollout.journal.record import as_json, fields_of

SCHEMAS = {
    "event": event_schema,
    "run": run_schema,
    "status": status_schema,
    "command": command_schema,
    "log": log_schema,
    "validate": validate_schema,
    "lock": lock_schema,
    "model": model_schema,
    "runs": runs_schema,
    "past-run": past_run_schema,
    "notification": notification_schema,
}
COMMANDS = {
    "deploy": "run",
    "rollback": "run",
    "resume": "run",
    "status": "status",
    "run": "command",
    "exec": "command",
    "logs": "log",
    "validate": "validate",
    "lock show": "lock",
    "lock break": "lock",
    "models inspect": "model",
    "prune": "run",
    "sync": "run",
    "runs list": "runs",
    "runs show": "past-run",
}
_PLANS = {"-C", "--check", "--list-hosts", "--list-tasks", "--list-tags"}
_OF_JOURNALS = {"n": 1, "prev": "", "hash": "0" * 32}
_fine: set[object] = set()
"""The shapes of lines that were held before: of lines that are alike one is looked at."""


def wrong(kind: str, value: object) -> list[str]:
    """What the closed schema, the one for writers, has to say about a value. What is counted is no ``5.0``, which JSON
    Schema would take for a whole number.
    """
    return [f"{item.json_path}: {item.message}" for item in _validator(kind).iter_errors(value)]


def hold_events(events: Iterable[Event]) -> None:
    """Raise AssertionError for an event that the schema does not know."""
    for event in events:
        if is_written(event.kind):
            fields = (event.kind.value, bool(event.host), bool(event.task), bool(event.message), _types(event.data))
            if fields not in _fine:
                _hold("event", {**json.loads(as_json(event)), **_OF_JOURNALS})
                _fine.add(fields)


def hold_journals(runs: Path) -> None:
    """The same for the lines of all journals below a directory, but one that was never finished, or is none of ours."""
    for path in runs.glob("*/events.jsonl"):
        for text in path.read_bytes().splitlines(keepends=True):
            line = fields_of(text)
            if text.endswith(b"\n") and line is not None:
                shape = _types({name: item for name, item in line.items() if name not in {"n", "time_s", "hash"}})
                if shape not in _fine:
                    _hold("event", line)
                    _fine.add(shape)


def hold_output(words: Sequence[str], out: str) -> None:
    """The same for what a command printed with ``--json``."""
    kind = COMMANDS.get(words[0]) or COMMANDS.get(" ".join(words[:2]))
    if kind is not None and "--json" in words and not _PLANS.intersection(words):
        for value in _documents(out):
            _hold(kind, value)


def _hold(kind: str, value: object) -> None:
    found = wrong(kind, value)
    assert found == [], f"not as `fleetdeploy schema {kind}` says: {value}\n{found}"


@cache
def _validator(kind: str) -> Any:
    held = jsonschema.Draft202012Validator
    counts = held.TYPE_CHECKER.redefine("integer", lambda _, value: type(value) is int)
    return jsonschema.validators.extend(held, type_checker=counts)(SCHEMAS[kind](closed=True))


def _types(value: object) -> object:
    """The shape of a JSON value. Words count by themselves, as there are few: states, kinds."""
    if isinstance(value, Mapping):
        return tuple((name, _types(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return frozenset(map(_types, value))
    return value if isinstance(value, str) and value.isalpha() else type(value)


def _documents(text: str) -> Iterator[object]:
    while text := text.lstrip():
        value, end = json.JSONDecoder().raw_decode(text)
        yield value
        text = text[end:]
