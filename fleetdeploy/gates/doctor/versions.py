"""Versions in what tools print, and the command that installs what a host lacks."""

from __future__ import annotations

import re

from fleetdeploy.domain.checkup import HostFacts, Untold

Version = tuple[int, ...]
_NUMBERS = re.compile(r"\d+(?:\.\d+)*")
_RSYNC = re.compile(r"rsync +version ")
_INSTALLERS = {
    "debian": "sudo apt-get install",
    "rhel": "sudo dnf install",
    "fedora": "sudo dnf install",
    "suse": "sudo zypper install",
    "alpine": "sudo apk add",
    "arch": "sudo pacman -S",
}


def version_in(text: str, *, after: str = "") -> Version:
    """The first number with points behind ``after``. Raises ValueError when there is none."""
    at = text.find(after)
    match = _NUMBERS.search(text, at + len(after)) if at >= 0 else None
    if match is None or len(match[0]) > 40:
        raise ValueError(f"no version in {text[:60]!r}")
    return tuple(map(int, match[0].split(".")))


def rsync_version(text: str) -> Version:
    """Of ``rsync --version``; another maker's names the version that it is compatible with. Raises ValueError."""
    line = next((line for line in text.splitlines() if _RSYNC.match(line)), "")
    return version_in(line, after="version")


def shown(version: Version) -> str:
    """``3.2.4``."""
    return ".".join(map(str, version))


def install(facts: HostFacts, package: str) -> str:
    """What to type on the host, by what its os-release says it is."""
    try:
        told = facts.text("os")
    except Untold:
        told = ""
    for line in told.splitlines():
        name, _, value = line.partition("=")
        if name in {"ID", "ID_LIKE"}:
            for word in value.strip().strip('"').split():
                if word in {"ubuntu", *_INSTALLERS}:
                    return f"on {{host}}: {_INSTALLERS.get(word, _INSTALLERS['debian'])} {package}"
    return f"on {{host}}: install the package {package}"
