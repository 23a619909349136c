"""One record of a journal: a line of JSON that a person can read, and that says whether it is still as it was written.

::

    {"n": 2, "time_s": 1760000000.5, "kind": "step_started", "run": "20260101T000000Z-ab12", "host": "gpu1",
     "task": "drain", "message": "…", "data": {…}, "prev": "<hash of record 1>", "hash": "<of this line up to here>"}

``hash`` is the SHA-256 of the line's bytes before ``, "hash"``, which hold the hash of the record before. Nothing has
to be written anew to check it, so that numbers, escapes and keys given twice cannot make two readers differ. Sixteen of
its bytes are shown: they find damage, and lines that were taken out, put in or mixed up, and keep the line short. They
keep nobody out who may write the file, as there is no key: against them 32 bytes would be no better.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetdeploy.domain.events import Event

JOURNAL = "events.jsonl"
"""The journal's name in a run's directory."""

BEGINS = b'{"n": 1, '
"""How every journal begins."""

_LATEST_S = 253_402_300_799
"""The last second that a calendar can show."""
_SHOWN = 32
_MARK = b', "hash": "'
_TAIL_BYTES = len(_MARK) + _SHOWN + 2


@dataclass(frozen=True)
class Record:
    """One event as its journal has it. ``kind`` may be one that only a newer version knows."""

    n: int
    kind: str
    time_s: float
    run: str
    host: str = ""
    task: str = ""
    message: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


def as_json(event: Event) -> str:
    """One event as one line of JSON, without the newline. Empty fields are left out."""
    fields = {
        "time_s": event.time_s, "kind": event.kind, "run": event.run, "host": event.host, "task": event.task,
        "message": event.message, "data": dict(event.data),
    }  # fmt: skip
    return json.dumps({name: value for name, value in fields.items() if value not in ("", {})}, default=str)


def line_of(event: Event, *, n: int, prev: str) -> tuple[bytes, str]:
    """The ``n``-th record of a journal as it is written, and its hash; ``prev`` is that of the record before."""
    body = f'{{"n": {n}, {as_json(event)[1:-1]}, "prev": "{prev}"'.encode()
    shown = _hash(body)
    return body + _MARK + shown.encode() + b'"}\n', shown


def fields_of(line: bytes) -> dict[str, object] | None:
    """A line's JSON object; None where it is none."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def record_of(line: bytes, *, n: int, prev: str) -> tuple[Record, str]:
    """The ``n``-th record and its hash, from its line without the newline. Raises ValueError, which says what is wrong.

    ``prev`` is the hash of the record before. Fields that nobody knows are passed over.
    """
    body, tail = line[:-_TAIL_BYTES], line[-_TAIL_BYTES:]
    shown = _hash(body)
    if tail != _MARK + shown.encode() + b'"}':
        raise ValueError("its hash is not that of its text")
    fields = fields_of(line)
    if fields is None:
        raise ValueError("it is no JSON object")
    if fields.get("prev") != prev:
        raise ValueError("it does not follow the record before")
    if type(fields.get("n")) is not int or fields["n"] != n:
        raise ValueError(f"its number is {fields.get('n')!r}")
    return _record(n, fields), shown


def _record(n: int, fields: Mapping[str, object]) -> Record:
    kind, time_s, run, data = fields.get("kind"), fields.get("time_s"), fields.get("run"), fields.get("data", {})
    host, task, message = (fields.get(name, "") for name in ("host", "task", "message"))
    if not (isinstance(kind, str) and kind and isinstance(run, str) and run):
        raise ValueError("it tells neither kind nor run")
    if isinstance(time_s, bool) or not isinstance(time_s, (int, float)) or not abs(time_s) <= _LATEST_S:
        raise ValueError("its time is none")
    if not (isinstance(host, str) and isinstance(task, str) and isinstance(message, str) and isinstance(data, dict)):
        raise ValueError("a field of it is of another type")  # noqa: TRY004  one error for every wrong line
    return Record(n, kind, float(time_s), run, host, task, message, data)


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_SHOWN]
