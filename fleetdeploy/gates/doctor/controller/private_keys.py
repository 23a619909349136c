"""The private keys that the inventory names, and who may read them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from fleetdeploy.domain.checkup import ControllerFacts, Finding
from fleetdeploy.domain.observed import Present, Unknown
from fleetdeploy.gates.doctor.check import Check, Group, bad, fine


def look(facts: ControllerFacts) -> Iterator[Finding]:
    """Whether the host takes the key is told host by host."""
    for path, mode in facts.private_keys.items():
        if isinstance(mode, Present) and not mode.value:
            yield fine(f"the private key {path} is for its owner alone")
        elif isinstance(mode, Present):
            yield bad(
                f"the private key {path} has mode {mode.value}",
                why="ssh uses no key that others may read, and models are copied by rsync over ssh",
                fix=f"chmod 600 {shlex.quote(path)}",
            )
        else:
            reason = mode.reason if isinstance(mode, Unknown) else "it was not asked for"
            fix = "name another file with ansible_ssh_private_key_file or --private-key"
            yield bad(f"the private key {path} cannot be read", why=reason, fix=fix)
    if not facts.private_keys:
        yield fine("private keys are those of ssh_config and ssh-agent")


CHECK = Check(Group.SSH, "the private keys", look, "ls -l ~/.ssh")
