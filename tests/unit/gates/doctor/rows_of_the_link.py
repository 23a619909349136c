"""What is wrong with the way to a host, and with the tools that it needs."""

from __future__ import annotations

from dataclasses import replace

from fleetdeploy.domain.checkup import Health, HostFacts
from fleetdeploy.domain.observed import Present, Unknown

from .hosts import HEALTHY, HOST, SAID, Rows, saying

BAD, WARN = Health.BAD, Health.WARN


def link(**fields: object) -> HostFacts:
    return replace(HEALTHY, link=replace(HEALTHY.link, **fields))


def without(*tools: str) -> HostFacts:
    return saying(
        tools="\n".join(
            line.replace(" yes", " no") if line.split()[0] in tools else line for line in SAID["tools"].splitlines()
        )
    )


ROWS: Rows = {
    "old sshd": (
        "ssh_server",
        link(server=Present("SSH-2.0-OpenSSH_5.3")),
        [(WARN, "OpenSSH 5.3 is older than 6.7")],
    ),
    "dropbear": ("ssh_server", link(server=Present("SSH-2.0-dropbear_2022.83")), []),
    "other server": (
        "ssh_server",
        link(server=Present("SSH-2.0-Go")),
        [(WARN, "the SSH server calls itself 'Go'")],
    ),
    "far away": (
        "ssh_server",
        link(round_trip_s=Present(0.9)),
        [(WARN, "a question and its answer take more than 0.5 s")],
    ),
    "no TCP": ("ssh_forwarding", link(tcp=Present(value=False)), [(BAD, "sshd forbids connections to TCP ports")]),
    "no TCP, no sockets": (
        "ssh_forwarding",
        link(tcp=Present(value=False), sockets=Present(value=False)),
        [(BAD, "sshd forbids connections to TCP ports")],
    ),
    "no sockets": (
        "ssh_forwarding",
        link(sockets=Present(value=False)),
        [(WARN, "sshd forbids connections to sockets")],
    ),
    "few sessions": (
        "sshd_settings",
        saying(sshd="maxsessions 2\nmaxstartups 10:30:100"),
        [(WARN, "sshd takes 2 sessions on one connection")],
    ),
    "few logins": (
        "sshd_settings",
        saying(sshd="maxsessions 10\nmaxstartups 2:30:10"),
        [(WARN, "sshd refuses logins beyond 2 at a time (MaxStartups 2:30:10)")],
    ),
    "sudo to another": (
        "become",
        replace(HEALTHY, host=replace(HOST, connection=replace(HOST.connection, become=True))),
        [(BAD, "sudo makes deploy of us, not root")],
    ),
    "no flock": ("tools", without("flock"), [(BAD, "flock is missing on the host")]),
    "no setpriv": ("tools", without("setpriv"), [(WARN, "setpriv is missing on the host")]),
    "no rsync": (
        "rsync",
        saying(rsync=Unknown("rsync: not found on the host")),
        [(BAD, "rsync is missing on the host")],
    ),
    "old rsync": (
        "rsync",
        saying(rsync="rsync  version 3.0.9  protocol version 30\n"),
        [(BAD, "rsync 3.0.9 is older than 3.1")],
    ),
    "rsync of el8": (
        "rsync",
        saying(rsync="rsync  version 3.1.3  protocol version 31\n"),
        [(WARN, "rsync 3.1.3 has no --fsync, which came with 3.2.4")],
    ),
}
