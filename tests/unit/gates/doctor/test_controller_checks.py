"""Each check of the machine that fleetdeploy runs on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleetdeploy.domain.checkup import ControllerFacts, Health
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.gates.doctor.check import controller_checks, judged

from .test_every_check import CONTROLLER

BAD, WARN, UNKNOWN = Health.BAD, Health.WARN, Health.UNKNOWN


def saying(**said: str) -> ControllerFacts:
    return replace(CONTROLLER, said={**CONTROLLER.said, **{name: Present(text) for name, text in said.items()}})


ROWS: dict[str, tuple[str, ControllerFacts, list[tuple[Health, str]]]] = {
    "old ssh": ("tools", saying(ssh="OpenSSH_6.6.1p1 Ubuntu"), [(BAD, "ssh 6.6.1 is older than 7.3")]),
    "old rsync": (
        "tools",
        saying(rsync="rsync  version 3.1.3  protocol version 31"),
        [(WARN, "rsync 3.1.3 has no --fsync, which came with 3.2.4")],
    ),
    "rsync of another maker": (
        "tools",
        saying(rsync="openrsync: protocol version 29\nrsync version 2.6.9 compatible\n"),
        [(BAD, "rsync 2.6.9 is older than 3.1")],
    ),
    "no rsync": (
        "tools",
        replace(CONTROLLER, said={**CONTROLLER.said, "rsync": Unknown("rsync: not found on this machine")}),
        [(BAD, "rsync is missing on this machine")],
    ),
    "new Python": (
        "python",
        replace(CONTROLLER, python=(3, 15, 0)),
        [(WARN, "Python 3.15.0 is not one that is tested")],
    ),
    "state is another's": (
        "state_dir",
        replace(CONTROLLER, state_writable=Present(value=False)),
        [(BAD, "/home/ops/.local/state/fleetdeploy cannot be written to")],
    ),
    "state is full": (
        "state_dir",
        replace(CONTROLLER, state_free_bytes=Present(1024**2)),
        [(BAD, "1 MiB are free for /home/ops/.local/state/fleetdeploy")],
    ),
    "many hosts": (
        "files_open",
        replace(CONTROLLER, hosts=500),
        [(WARN, "a process may have 1024 files open, a run over 500 hosts needs about 2280")],
    ),
    "any number of files": ("files_open", replace(CONTROLLER, hosts=500, files_open=Present(0)), []),
    "no known_hosts": (
        "known_hosts",
        replace(CONTROLLER, known_hosts={"/prod/known_hosts": False}),
        [(BAD, "there is no /prod/known_hosts that can be read")],
    ),
    "a key that others may read": (
        "private_keys",
        replace(CONTROLLER, private_keys={"/prod/key": Present("0644"), "/prod/other": Present("")}),
        [(BAD, "the private key /prod/key has mode 0644")],
    ),
    "no key": (
        "private_keys",
        replace(CONTROLLER, private_keys={"/prod/key": Unknown("No such file or directory")}),
        [(BAD, "the private key /prod/key cannot be read")],
    ),
    "no NTP": (
        "clock",
        saying(ntp="NTPSynchronized=no"),
        [(WARN, "nothing keeps this machine's clock right")],
    ),
    "no zones": (
        "time_zones",
        replace(CONTROLLER, zone=Unknown("no data on time zones: 'Europe/Berlin'")),
        [(WARN, "this machine has no data on time zones")],
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_is_wrong_here_is_named(row: str) -> None:
    """What this machine lacks is what its check says, with a fix, and nothing else."""
    check, facts, meant = ROWS[row]
    found = [item for item in judged(check, controller_checks()[check], facts) if item.health is not Health.OK]
    assert [(item.health, item.what) for item in found] == meant
    assert all(item.fix for item in found)


def test_every_check_is_seen_to() -> None:
    """The table above has a machine for every check."""
    assert {check for check, _, meant in ROWS.values() if meant} == set(controller_checks())
