"""How many files this process may have open, against the connections of a run."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding, known
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn

OF_A_HOST = 4
"""A connection, and the relays and copies beside it; connections are kept for a whole run."""
OF_US = 200


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """0 is no limit."""
    limit = known(facts.files_open) or 0
    needed = OF_US + OF_A_HOST * facts.hosts + OF_A_HOST * facts.forks
    if limit and limit < needed:
        yield warn(
            f"a process may have {limit} files open, a run over {facts.hosts} hosts needs about {needed}",
            why="connections fail when they are used up",
            fix="ulimit -n 65536  (in the shell, or LimitNOFILE= in the unit that runs fleetdeploy)",
        )
    else:
        yield fine(f"a process may have {limit or 'any number of'} files open")


CHECK = Check(Group.SYSTEM, "how many files may be open", look, "ulimit -n")
