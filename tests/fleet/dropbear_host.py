"""A lab whose host serves SSH by dropbear instead of OpenSSH, under the same key: the rest is as ever."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.one_host import HOST, one_host_lab

# The host's first process starts it in sshd's place, now and after a reboot.
_INSTEAD = r"""
set -eu
key=/etc/ssh/fdlab_host_dropbear
dropbearconvert openssh dropbear /etc/ssh/fdlab_host_ed25519 $key
sed -i "s|start sshd .*|start sshd dropbear -F -E -s -r $key -p 22 -P /run/sshd.pid|" /usr/local/sbin/fdlab-services
kill "$(cat /run/sshd.pid)"
"""


@contextmanager
def dropbear_lab() -> Iterator[Lab]:
    """A lab of one host, with dropbear on port 22; it ends with the block, and with this process."""
    with one_host_lab("dropbear") as lab:
        lab.run_on(HOST, ["sh", "-c", _INSTEAD])
        wait_until(lambda: not lab.status().hosts[0].sshd, "sshd has gone", deadline_s=20)
        lab.start_service(HOST, "sshd")
        wait_until(lambda: lab.status().hosts[0].sshd, "dropbear answers", deadline_s=20)
        yield lab
