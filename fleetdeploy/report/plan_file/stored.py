"""The file that ``plan --out`` writes and ``deploy`` takes in a playbook's place.

::

    {"format": "fleetdeploy-plan", "version": 1,
     "made": {"at": UTC time, "by": fleetdeploy's version},
     "inputs": {...}       what has to be given again to read the same project, see Inputs
     "wanted": {...}       see document.py
     "observed": {...}     see document.py
     "plan": {...}         what ``plan --json`` prints
     "digest": SHA-256 of all of this as JSON with sorted keys}

The digest finds a file that was cut short or edited; it is no signature. It needs none: whatever the file says, it is
only ever held against what the project and the fleet say at that time, and applied where they say the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from fleetdeploy.errors import InputError, PlanFileRefused
from fleetdeploy.report.plan_file.plain import digest
from fleetdeploy.report.whole_file import write_whole

FORMAT = "fleetdeploy-plan"
VERSION = 1
_HEAD = 512
AGAIN = "plan again with `plan --out FILE`"


class Inputs(BaseModel):
    """What of a command line decides what is planned. Of ``-e`` only names are kept: values may be secret.

    ``directory`` is where it was planned, as an absolute path; the other paths may start there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    directory: str
    inventory: list[str]
    playbook: str
    project: str
    limit: str | None
    tags: list[str]
    skip_tags: list[str]
    start_at_task: str
    allow_remove: bool
    allow_signature_change: list[str]
    again: bool = False
    extra_vars: list[str]
    forks: int


@dataclass(frozen=True)
class StoredPlan:
    """A plan file's content; the three documents are JSON values."""

    inputs: Inputs
    wanted: Mapping[str, object]
    observed: Mapping[str, object]
    plan: Mapping[str, object]
    made_at: str
    made_by: str

    def as_json(self) -> dict[str, object]:
        """The whole file as JSON values, its digest last."""
        content: dict[str, object] = {
            "format": FORMAT,
            "version": VERSION,
            "made": {"at": self.made_at, "by": self.made_by},
            "inputs": self.inputs.model_dump(),
            "wanted": self.wanted,
            "observed": self.observed,
            "plan": self.plan,
        }
        return {**content, "digest": digest(content)}


def is_plan_file(path: Path) -> bool:
    """Whether a file begins as a plan file does. No playbook does: it is a list, and this is a mapping."""
    if not path.is_file():  # what can be read only once is left to who reads playbooks
        return False
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return False
    return head.lstrip().startswith(b"{") and f'"{FORMAT}"'.encode() in head


def check_target(path: Path) -> None:
    """Refuse what :func:`write` would refuse, before any work is done. Raises InputError."""
    place = str(path)
    if path.is_dir():
        raise InputError("is a directory", where=place, hint="name a file with --out")
    if path.exists() and not is_plan_file(path):
        raise InputError("is there already and is no plan file", where=place, hint="name another file with --out")
    if not path.parent.is_dir():
        raise InputError(f"there is no directory {path.parent}", where=place, hint="make it, or name another file")


def write(path: Path, plan: StoredPlan) -> None:
    """Put the file in place in one step, readable by its owner alone. Raises InputError."""
    check_target(path)
    text = json.dumps(plan.as_json(), indent=2, ensure_ascii=True) + "\n"
    try:
        write_whole(path, text)
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror}", where=str(path), hint="name another file with --out"
        ) from error


def read(path: Path) -> StoredPlan:
    """A plan file's content. Raises PlanFileRefused."""
    content = _content(path)
    made, version = content.get("made"), content.get("version")
    by = made.get("by") if isinstance(made, dict) else None
    if version != VERSION or isinstance(version, bool):
        raise _refused(path, f"is of version {version!s:.20} of the format, this is fleetdeploy with version {VERSION}")
    if content.pop("digest", None) != digest(content):
        raise _refused(path, "was changed after it had been written")
    try:
        inputs = Inputs.model_validate(content.get("inputs"))
    except ValidationError as error:
        first = error.errors()[0]
        raise _refused(path, f"inputs {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    parts = [content.get(name) for name in ("wanted", "observed", "plan")]
    for name, part in zip(("wanted", "observed", "plan"), parts, strict=True):
        if not isinstance(part, dict) or not isinstance(part.get("hosts"), dict):
            raise _refused(path, f"has no `{name}` with its hosts")
    wanted, observed, plan = (part for part in parts if isinstance(part, dict))
    at = made.get("at") if isinstance(made, dict) else None
    return StoredPlan(inputs, wanted, observed, plan, str(at or ""), str(by or ""))


def _content(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise _refused(path, "is a plan file that was cut short or damaged") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise _refused(path, "is no plan file")
    return content


def _refused(path: Path, message: str) -> PlanFileRefused:
    return PlanFileRefused(message, where=str(path), hint=f"nothing was touched; {AGAIN}")
