"""ssh and rsync on this machine, which copy models."""

from __future__ import annotations

from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding, Untold
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine, warn
from fleetdeploy.gates.doctor.versions import rsync_version, shown, version_in

_OLDEST = {"ssh": (7, 3), "rsync": (3, 1)}
"""``ssh -V`` with ProxyJump, and rsync with ``--info=progress2``."""
_SYNCS_SINCE = (3, 2, 4)
_PACKAGES = {"ssh": "openssh-client", "rsync": "rsync"}


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """Both by what they say of themselves."""
    for name, oldest in _OLDEST.items():
        fix = f"install or update it on this machine, such as: sudo apt-get install {_PACKAGES[name]}"
        try:
            text = facts.text(name)
            version = rsync_version(text) if name == "rsync" else version_in(text, after="OpenSSH_")
        except Untold as reason:
            if "not found" not in str(reason):
                raise
            yield bad(f"{name} is missing on this machine", why="models are copied by rsync over ssh", fix=fix)
            continue
        if version < oldest:
            yield bad(f"{name} {shown(version)} is older than {shown(oldest)}", fix=fix)
        elif name == "rsync" and version < _SYNCS_SINCE:
            yield warn(
                f"rsync {shown(version)} has no --fsync, which came with {shown(_SYNCS_SINCE)}",
                why="copies are synced all at once behind their end",
                fix=fix,
            )
        else:
            yield fine(f"{name} {shown(version)}")


CHECK = Check(Group.TOOLS, "the versions of ssh and rsync here", look, "ssh -V; rsync --version")
