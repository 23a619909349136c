"""An unprivileged user on lab hosts, with the lab's client key and whatever sudo shall let it do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.lab.fleet import Lab

USER = "deploy"
ANYTHING = f"{USER} ALL=(root) NOPASSWD: ALL"
_HOME = "/var/lib/deploy"
_ADD = f"""
set -eu
echo '{USER}:x:1500:1500::{_HOME}:/bin/sh' >>/etc/passwd
echo '{USER}:x:1500:' >>/etc/group
echo '{USER}:*:19000:0:99999:7:::' >>/etc/shadow
mkdir -p -m 0700 {_HOME}/.ssh
cp /root/.ssh/authorized_keys {_HOME}/.ssh/
chown -R 1500:1500 {_HOME}
"""
_REMOVE = f"""
rm -rf {_HOME} /etc/sudoers.d/{USER}
for file in passwd group shadow; do sed -i '/^{USER}:/d' /etc/$file; done
"""
_RULE = f"cat >/etc/sudoers.d/{USER}; chmod 0440 /etc/sudoers.d/{USER}"


@contextmanager
def deploy_user(lab: Lab, hosts: Sequence[str], *, sudoers: str = ANYTHING) -> Iterator[None]:
    """The user exists on these hosts while the block runs."""
    try:
        for name in hosts:
            lab.run_on(name, ["sh", "-c", _ADD])
            rule(lab, name, sudoers)
        yield
    finally:
        for name in hosts:
            lab.run_on(name, ["sh", "-c", _REMOVE])


def rule(lab: Lab, host: str, sudoers: str) -> None:
    """Replace what sudo lets the user do on a host."""
    lab.run_on(host, ["sh", "-c", _RULE], stdin=f"{sudoers}\n")


def lab_host(lab: Lab, name: str, **changes: object) -> Host:
    """A lab host as an inventory has it, reached as root through its door unless ``changes`` say otherwise."""
    at = lab.host(name)
    link = Connection(at.door_address, at.ssh_port, "root", lab.paths.client_key, lab.paths.known_hosts)
    return Host(name, replace(link, **changes))  # type: ignore[arg-type]


def lab_user(lab: Lab, name: str) -> Host:
    """The same, reached as the user, who becomes root."""
    return lab_host(lab, name, user=USER, become=True)
