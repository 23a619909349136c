"""``fleetdeploy init``: a small project that is valid as it is written, to be changed into one's own."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fleetdeploy.cli.about import starter

EPILOG = """\
Writes hosts, what they serve, a playbook, a template and settings, with
comments that say what each line is for. Nothing that exists is overwritten.
Without --model an example model is written as well, with a request that proves
it.

examples:
  fleetdeploy init
  fleetdeploy init fleet --host gpu1 --host gpu2 --user deploy \\
    --model ranker=/data/models/ranker --network 10.20.0.0/16
  fleetdeploy lab up && fleetdeploy init fleet --lab    try it here, as root
"""
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
Value = TypeVar("Value")


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "init",
        help="write a small working project to begin with",
        description="Write a small working project: inventory, playbook, template, settings.",
        epilog=EPILOG,
    )
    parser.add_argument("directory", nargs="?", type=Path, default=Path(), metavar="DIR", help="where (default: here)")
    parser.add_argument(
        "--host", action="append", default=[], type=_host, metavar="NAME",
        help="a GPU host, as ssh knows it; may be given several times (default: two of example.net)",
    )  # fmt: skip
    parser.add_argument("--user", type=_user, metavar="NAME", help="whom to log in as (default: as ssh would)")
    parser.add_argument(
        "--image", type=_by("parse_image"), metavar="IMAGE", help=f"what serves (default: {starter.IMAGE})"
    )
    parser.add_argument(
        "--network", type=_by("parse_bind"), metavar="CIDR",
        help=f"the network from which hosts are called; each binds its own address there (default: {starter.NETWORK})",
    )  # fmt: skip
    parser.add_argument(
        "--model", action="append", default=[], type=_model, metavar="NAME=SOURCE",
        help="a model and its directory of numbered versions; may be given several times (default: an example)",
    )  # fmt: skip
    parser.add_argument(
        "--name", type=_by("parse_name"), metavar="NAME",
        help="what the inventory is called, below inventories/ (default: prod, or the lab's name)",
    )  # fmt: skip
    parser.add_argument(
        "--lab", nargs="?", const="lab", metavar="LAB",
        help="for the hosts of `fleetdeploy lab up`, of this name (default: lab)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0, or an InputError that names every file that is in the way; nothing is written then."""
    from fleetdeploy.errors import InputError

    if arguments.lab and (arguments.host or arguments.user):
        raise InputError("--lab brings its own hosts and user", hint="leave out --host and --user")
    directory: Path = arguments.directory
    wanted = _wanted(arguments)
    inventory = Path("inventories") / wanted.inventory
    files = {directory / path: content for path, content in starter.files_of(wanted).items()}
    hosts = directory / inventory / "hosts.yml"
    _refuse_existing({*files, hosts})
    for path, content in files.items():
        _write(path, content)
    if arguments.lab:
        from fleetdeploy.lab.fleet import Lab
        from fleetdeploy.lab.inventory_file import write_inventory

        lab = Lab.find(arguments.lab)
        write_inventory(lab.record, lab.paths, hosts)  # not by the lab, whose `down` removes the one it wrote itself
    for path in sorted({*files, hosts}):
        sys.stdout.write(f"wrote {path}\n")
    sys.stderr.write(_next(directory, inventory))
    return 0


def _wanted(arguments: argparse.Namespace) -> starter.Wanted:
    own = dict(arguments.model)
    if arguments.lab:
        from fleetdeploy.lab.fleet import Lab

        lab = Lab.find(arguments.lab)
        name = arguments.name or lab.name
        addresses = next(host for host in lab.hosts.values() if host.role == "gpu")
        base = starter.Wanted(
            inventory=name, lab=True, service="ranking", image=lab.images[0],
            hosts=tuple(host.name for host in lab.hosts.values() if host.role == "gpu"),
            network=".".join(addresses.address.split(".")[:3]) + ".0/24",
        )  # fmt: skip
    else:
        base = starter.Wanted(inventory=arguments.name or "prod")
    place = arguments.directory / "inventories" / base.inventory
    return starter.Wanted(
        inventory=base.inventory,
        hosts=tuple(dict.fromkeys(arguments.host)) or base.hosts,
        user=arguments.user or "",
        service=base.service,
        image=arguments.image or base.image,
        network=arguments.network or base.network,
        models={name: starter.source_in(place, source) for name, source in own.items()},
        lab=base.lab,
    )


def _refuse_existing(paths: set[Path]) -> None:
    from fleetdeploy.errors import InputError

    there = [str(path) for path in sorted(paths) if path.exists() or path.is_symlink()]
    if there:
        verb, them = ("exists, and is", "it") if len(there) == 1 else ("exist, and are", "them")
        hint = f"nothing was written; move {them} away, or name another directory: fleetdeploy init DIR"
        raise InputError(f"{verb} not overwritten", where=", ".join(there), hint=hint)


def _write(path: Path, content: bytes) -> None:
    from fleetdeploy.errors import InputError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror}", where=str(path), hint="what was written before stays"
        ) from None


def _next(directory: Path, inventory: Path) -> str:
    import shlex

    lines = [
        *([f"cd {shlex.quote(str(directory))}"] if directory.resolve() != Path.cwd() else []),
        f"fleetdeploy validate -i {inventory}      is everything well-formed?",
        f"fleetdeploy doctor -i {inventory}        are the hosts ready?",
        f"fleetdeploy plan -i {inventory}          what would change, and why",
        f"fleetdeploy deploy -i {inventory}        make it so, host by host",
    ]
    return "next:\n" + "".join(f"  {line}\n" for line in lines)


def _by(parser: str) -> Callable[[str], str]:
    """An argparse type: what the inventory's own reader takes for such a value."""

    def parse(text: str) -> str:
        from fleetdeploy.config.fields import values
        from fleetdeploy.config.syntax.refusal import Refused

        try:
            return str(getattr(values, parser)(text))
        except Refused as error:
            said = "; ".join(filter(None, (error.message, error.hint)))
            raise argparse.ArgumentTypeError(f"{text!r}: {said}") from None

    return parse


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no host name; ranges can be written into hosts.yml afterwards")
    return text


def _user(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no user name")
    return text


def _model(text: str) -> tuple[str, Path]:
    name, given, source = text.partition("=")
    if not given or not source:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAME=SOURCE, such as ranker=models/ranker")
    path = Path(source).expanduser()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(
            f"{source!r} is no directory; it holds numbered versions, such as {source.rstrip('/')}/1/saved_model.pb. "
            "Without --model an example is written"
        )
    return _by("parse_name")(name), path
