"""How many sessions and logins sshd takes at a time, where it lets itself be asked: only root may."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import Finding, HostFacts
from fleetdeploy.gates.doctor.check import Check, Group, fine, warn

SESSIONS = 8
"""As many commands of ours run on one connection at a time."""
LOGINS = 10
"""sshd's own default for logins that have just begun."""


def look(facts: HostFacts) -> Iterator[Finding]:
    """By ``sshd -T``, see sshd_config(5)."""
    said = dict(line.partition(" ")[::2] for line in facts.text("sshd").lower().splitlines())
    sessions, begun = int(said["maxsessions"]), said["maxstartups"]
    if sessions < SESSIONS:
        yield warn(
            f"sshd takes {sessions} sessions on one connection",
            why=f"up to {SESSIONS} of ours run at a time",
            fix="on {host}: set `MaxSessions 10` in sshd_config, then: sudo systemctl reload ssh",
        )
    else:
        yield fine(f"sshd takes {sessions} sessions on one connection")
    if int(begun.split(":")[0]) < LOGINS:
        yield warn(
            f"sshd refuses logins beyond {begun.split(':')[0]} at a time (MaxStartups {begun})",
            why="rsync and commands log in beside each other",
            fix="on {host}: set `MaxStartups 10:30:100` in sshd_config, then: sudo systemctl reload ssh",
        )
    else:
        yield fine(f"sshd takes logins at a time: {begun}")


CHECK = Check(Group.SSH, "sshd's limits", look, "sudo sshd -T | grep -i max", aside=True)
