"""What one kind of event tells, so that its schema and its documentation can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetdeploy.config.json_schema import Schema

NEVER, MAYBE, ALWAYS = "never", "maybe", "always"


@dataclass(frozen=True)
class Shape:
    """One kind of event. ``message`` says what its text is, empty where it has none; ``host`` and ``task`` whether it
    names one. ``data`` has what is always told, ``more`` what is told where there is such a thing. ``before`` is
    whether it is written before what it tells of is done.
    """

    when: str
    message: str = ""
    host: str = NEVER
    task: str = NEVER
    data: Mapping[str, Schema] = field(default_factory=dict)
    more: Mapping[str, Schema] = field(default_factory=dict)
    before: bool = False
