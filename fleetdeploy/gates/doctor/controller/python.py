"""The Python that runs this."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn
from fleetdeploy.gates.doctor.versions import shown

_FROM, _BEFORE = (3, 10), (3, 14)


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """One of the versions that tests run on."""
    version = tuple(facts.python)
    if not version:
        raise ValueError("no version")
    if _FROM <= version < _BEFORE:
        yield fine(f"Python {shown(version)}")
    else:
        yield warn(f"Python {shown(version)} is not one that is tested", fix="use Python 3.10 to 3.13")


CHECK = Check(Group.TOOLS, "Python's version", look, "python3 --version")
