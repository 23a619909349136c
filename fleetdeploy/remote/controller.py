"""What ``doctor`` wants to know of the machine that it runs on."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleetdeploy.domain.checkup import ControllerFacts
from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import Present, Reading, Unknown
from fleetdeploy.remote.host_words import printable
from fleetdeploy.remote.ssh.private_key import open_to_others

_CALL_S = 10.0
_TOLD_BY: Mapping[str, tuple[str, ...]] = {
    "ssh": ("ssh", "-V"),
    "rsync": ("rsync", "--version"),
    "ntp": ("timedatectl", "show", "-p", "NTPSynchronized"),
}


def examine_controller(hosts: Sequence[Host], *, state_dir: Path, forks: int) -> ControllerFacts:
    """Ask this machine's own tools; it changes nothing."""
    at = _nearest(state_dir)
    return ControllerFacts(
        said={name: _told(argv) for name, argv in _TOLD_BY.items()},
        python=tuple(sys.version_info[:3]),
        hosts=len(hosts),
        forks=forks,
        files_open=_files_open(),
        state_dir=str(state_dir),
        state_writable=Present(os.access(at, os.W_OK | os.X_OK)),
        state_free_bytes=_free(at),
        known_hosts=_known_hosts(hosts),
        zone=_zone(),
        private_keys=_private_keys(hosts),
    )


def _told(argv: Sequence[str]) -> Reading[str]:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", timeout=_CALL_S, check=False,
            stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except FileNotFoundError:
        return Unknown(f"{argv[0]}: not found on this machine")
    except (OSError, subprocess.TimeoutExpired) as error:
        return Unknown(printable(f"{argv[0]}: {error}"))
    text = done.stdout + done.stderr
    return Present(text) if done.returncode == 0 else Unknown(printable(f"{argv[0]}: {text}"))


def _files_open() -> Reading[int]:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return Present(0 if soft == resource.RLIM_INFINITY else soft)


def _nearest(path: Path) -> Path:
    return next((item for item in (path, *path.absolute().parents) if item.is_dir()), Path("/"))


def _free(path: Path) -> Reading[int]:
    try:
        return Present(shutil.disk_usage(path).free)
    except OSError as error:
        return Unknown(str(error.strerror))


def _known_hosts(hosts: Sequence[Host]) -> Mapping[str, bool]:
    named = {host.connection.known_hosts for host in hosts if host.connection.known_hosts}
    return {str(path): os.access(path.expanduser(), os.R_OK) for path in sorted(named)}


def _private_keys(hosts: Sequence[Host]) -> Mapping[str, Reading[str]]:
    def mode(path: Path) -> Reading[str]:
        try:
            return Present(open_to_others(path))
        except OSError as error:
            return Unknown(str(error.strerror))

    named = {host.connection.private_key for host in hosts if host.connection.private_key}
    return {str(path): mode(path) for path in sorted(named)}


def _zone() -> Reading[str]:
    """The name of local time, and whether there is data on zones: reports and freeze windows name some."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415  read by nothing else here

    try:
        ZoneInfo("Europe/Berlin")
    except (ZoneInfoNotFoundError, OSError) as error:
        return Unknown(printable(f"no data on time zones: {error}"))
    return Present(time.tzname[0])
