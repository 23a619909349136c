"""A lab whose host boots systemd as its first process, as a container that systemd may manage: the rest is as ever."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.processes import log_tail
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.one_host import HOST, one_host_lab

SYSTEMD = Path("/lib/systemd/systemd")
_CGROUPS = Path("/sys/fs/cgroup")

# The lab's first process is `tini`, which is looked for here first. What the machine's kernel shares with the host is
# not for systemd to change: /dev is one of its own, /sys and /proc/sys are read-only, and so are control groups but
# for those below the host's. Hierarchies that the machine has not mounted are hidden, or systemd would mount them.
_INIT = """#!/bin/sh
set -eu
exec >>/var/log/systemd.log 2>&1
new=/run/new
mkdir $new
mount -t tmpfs -o mode=0755 dev $new
for node in null zero full random urandom tty fuse; do [ ! -e /dev/$node ] || cp -a /dev/$node $new; done
for link in ptmx:pts/ptmx fd:/proc/self/fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
  ln -s ${link#*:} $new/${link%%:*}
done
for place in pts shm; do mkdir $new/$place; mount --move /dev/$place $new/$place; done
mount --move $new /dev
if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t tmpfs -o mode=0755 cgroup $new
  for path in /sys/fs/cgroup/*/; do
    name=$(basename $path)
    mkdir $new/$name
    mount --bind $path $new/$name
  done
  for name in $(awk '$2 == 0 && !/^#/ { print $1 }' /proc/cgroups); do
    case $name in net_cls | net_prio) name=net_cls,net_prio ;; esac
    [ -d $new/$name ] || { mkdir $new/$name; mount -t tmpfs none $new/$name; }
  done
  mount --move $new /sys/fs/cgroup
fi
rmdir $new
mount --bind /proc/sys/net /proc/sys/net
mount --rbind /proc/sys /proc/sys
mount -o remount,bind,ro /proc/sys
mount -o remount,bind,ro /sys
for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
  [ -e $hierarchy/cgroup.procs ] || continue
  mkdir -p $hierarchy/%(group)s/os
  echo 0 >$hierarchy/%(group)s/os/cgroup.procs
done
for unit in /etc/systemd/system/*.target.wants/*; do ln -sf /dev/null /etc/systemd/system/${unit##*/}; done
exec env container=lab %(systemd)s --system --unit=lab.target --show-status=no
"""
_UNITS = {
    "lab.target": "[Unit]\nRequires=basic.target\nAfter=basic.target\n"
    "Wants=lab.service systemd-user-sessions.service\n",
    "lab.service": "[Service]\nExecStart=/usr/local/sbin/fdlab-services start\nDelegate=yes\n",
}


def why_not() -> str:
    """Why systemd cannot be the first process of a host here; empty where it can."""
    if not any((_CGROUPS / name).exists() for name in ("cgroup.controllers", "unified/cgroup.procs")):
        return f"no control groups of version 2 at {_CGROUPS}, which systemd needs"
    if not os.access(_CGROUPS, os.W_OK):
        return f"{_CGROUPS} is read-only: systemd needs groups of its own"
    return ""


def why_no_sessions() -> str:
    """Why logind has no sessions on such a host, where SSH logs in through PAM; empty where it has."""
    session = Path("/etc/pam.d/common-session")
    if "pam_systemd.so" in (session.read_text() if session.exists() else "") and shutil.which("dbus-daemon"):
        return ""
    return f"no pam_systemd.so in {session}, or no D-Bus: apt-get install libpam-systemd dbus"


@contextmanager
def systemd_lab() -> Iterator[Lab]:
    """A lab of one host, which has booted systemd; it ends with the block, and with this process."""
    with one_host_lab("systemd") as lab:
        lab.power_off(HOST)
        upper = lab.paths.host(HOST) / "upper"
        words = {"group": f"{lab.paths.prefix}{HOST}", "systemd": SYSTEMD}
        _put(upper / "usr/local/sbin/tini", _INIT % words, mode=0o755)
        for name, text in _UNITS.items():
            _put(upper / "etc/systemd/system" / name, text)
        lab.power_on(HOST)
        state = ["systemctl", "is-system-running", "--wait"]
        wait_until(
            lambda: lab.run_on(HOST, state, check=False).stdout.strip() in {"running", "degraded"},
            "systemd has booted",
            deadline_s=60,
            on_timeout=lambda: log_tail(upper / "var/log/systemd.log"),
        )
        lab.run_on(HOST, ["systemctl", "reset-failed"])  # what of the machine's own cannot start on a host
        yield lab


def _put(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
