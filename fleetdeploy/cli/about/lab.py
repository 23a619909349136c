"""``fleetdeploy lab``: a throw-away fleet on this machine, to try things on."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fleetdeploy.cli import options

DEFAULT_INVENTORY = Path("inventories/lab/hosts.yml")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its verbs."""
    parser = commands.add_parser(
        "lab",
        help="a throw-away fleet on this machine",
        description="A fleet of hosts on this machine, each with its own address, sshd, rsync and\n"
        "Docker engine, and a load balancer with HAProxy. Needs root. `lab down` removes\n"
        "exactly what `lab up` made.",
        epilog="examples:\n  fleetdeploy lab up --hosts 3\n  fleetdeploy lab ssh gpu1 nvidia-smi -L\n"
        "  fleetdeploy deploy -i inventories/lab\n  fleetdeploy lab down",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    up = verbs.add_parser("up", help="make the lab and write its inventory", description="Make the lab.")
    up.add_argument("--hosts", type=options.positive, default=3, metavar="N", help="GPU hosts (default: 3)")
    up.add_argument("--image", metavar="IMAGE", help="pull this image instead of building the stand-in server")
    up.add_argument(
        "--inventory",
        type=Path,
        default=DEFAULT_INVENTORY,
        metavar="FILE",
        help=f"where its inventory is written (default: {DEFAULT_INVENTORY})",
    )
    up.set_defaults(run=_up)
    status = verbs.add_parser("status", help="what its hosts do now", description="What the lab's hosts do now.")
    status.set_defaults(run=_status)
    ssh = verbs.add_parser("ssh", help="a shell or a command on a host", description="SSH into a host of the lab.")
    ssh.add_argument("host", metavar="HOST", help="gpu1, gpu2, ... or lb")
    ssh.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND", help="default: a shell")
    ssh.set_defaults(run=_ssh)
    down = verbs.add_parser("down", help="remove the lab", description="Remove the lab and its inventory file.")
    down.set_defaults(run=_down)
    for verb in (up, status, ssh, down):
        verb.add_argument("--name", default="lab", help="several labs live side by side (default: lab)")


def _up(arguments: argparse.Namespace) -> int:
    from fleetdeploy.lab.fleet import Lab

    lab = Lab(arguments.name)
    sys.stderr.write(
        f"making lab {lab.name!r}: {arguments.hosts} GPU hosts and a balancer (the first time also images)\n"
    )
    try:
        lab.up(hosts=arguments.hosts, image=arguments.image)
    except KeyboardInterrupt:
        sys.stderr.write(f"interrupted; what was made of lab {lab.name!r} so far is removed again\n")
        return 130
    path = lab.write_inventory(arguments.inventory)
    sys.stdout.write(f"lab {lab.name!r} is up: {', '.join(lab.hosts)}\n  inventory  {path}\n")
    sys.stdout.write(f"  ssh        ssh -F {lab.paths.ssh_config} gpu1\n")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from fleetdeploy.lab.fleet import Lab

    status = Lab.find(arguments.name).status()
    sys.stdout.write(f"lab {status.name!r} is {status.phase}; images: {', '.join(status.images)}\n")
    for host in status.hosts:
        words = [word for word, holds in (("sshd", host.sshd), ("docker", host.docker)) if holds]
        state = f"on, {' and '.join(words) or 'nothing'} answer" if host.running else "off"
        sys.stdout.write(f"  {host.name:<8} {host.address:<12} ssh {host.door:<16} {state}\n")
    return 0


def _ssh(arguments: argparse.Namespace) -> int:
    from fleetdeploy.lab.fleet import Lab

    argv = [*Lab.find(arguments.name).ssh_argv(arguments.host), *arguments.argv]
    os.execvp(argv[0], argv)  # noqa: S606 - the session becomes ssh itself; there is nothing to come back to


def _down(arguments: argparse.Namespace) -> int:
    from fleetdeploy.lab.fleet import Lab
    from fleetdeploy.lab.inventory_file import remove_inventory
    from fleetdeploy.lab.leftovers import leftovers
    from fleetdeploy.lab.state import LabRecord

    lab = Lab(arguments.name)
    record = LabRecord.load(lab.paths.record)
    try:
        if record and record.inventory:
            remove_inventory(Path(record.inventory), lab.name)
        lab.down()
    except KeyboardInterrupt:
        again = "fleetdeploy lab down" + (f" --name {lab.name}" if lab.name != "lab" else "")
        sys.stderr.write(f"interrupted; lab {lab.name!r} may be half removed: `{again}` removes the rest\n")
        return 130
    left = leftovers(arguments.name)
    sys.stdout.writelines(f"left behind: {line}\n" for line in left)
    sys.stdout.write(f"lab {lab.name!r} is gone\n" if not left else "")
    return 4 if left else 0
