"""``fleetdeploy inventory``: what the inventory means, without contacting a host."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fleetdeploy.cli import options

if TYPE_CHECKING:
    from fleetdeploy.domain.inventory import Inventory


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its verbs."""
    parser = commands.add_parser(
        "inventory",
        help="list hosts, draw groups, show a host's variables",
        description="What the inventory means. No host is contacted.",
        epilog="examples:\n  fleetdeploy inventory list 'ranking:!canary' -i inventories/prod\n"
        "  fleetdeploy inventory graph -i inventories/prod\n"
        "  fleetdeploy inventory host gpu01 -i inventories/prod",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, text, run, argument in (
        ("list", "hosts that match a pattern, one a line; with --json as ansible-inventory --list", _list, "pattern"),
        ("graph", "groups and hosts as a tree", _graph, None),
        ("host", "one host's merged variables", _host, "host"),
    ):
        verb_parser = verbs.add_parser(verb, help=text, description=text)
        if argument == "pattern":
            verb_parser.add_argument("pattern", nargs="?", default="all", metavar="PATTERN")
        elif argument:
            verb_parser.add_argument(argument, metavar=argument.upper())
        options.add_inventory(verb_parser)
        options.add_project(verb_parser)
        options.add_output(verb_parser)
        verb_parser.set_defaults(run=run)


def _list(arguments: argparse.Namespace) -> int:
    from fleetdeploy.cli.project import print_json, read_inventory
    from fleetdeploy.config.inventory.patterns import select

    inventory = read_inventory(arguments)
    chosen = select(inventory, arguments.pattern, limit=arguments.limit)
    if not arguments.json:
        sys.stdout.writelines(f"{name}\n" for name in chosen)
        return 0
    groups: dict[str, object] = {
        "_meta": {"hostvars": {name: dict(inventory.hosts[name].variables) for name in chosen}}
    }
    for group in inventory.groups.values():
        entry: dict[str, object] = {}
        if hosts := [name for name in group.hosts if name in chosen]:
            entry["hosts"] = hosts
        if group.children:
            entry["children"] = list(group.children)
        if entry:
            groups[group.name] = entry
    print_json(groups)
    return 0


def _graph(arguments: argparse.Namespace) -> int:
    from fleetdeploy.cli.project import read_inventory

    sys.stdout.writelines(f"{line}\n" for line in _tree(read_inventory(arguments), "all", 0))
    return 0


def _tree(inventory: Inventory, name: str, depth: int) -> Iterator[str]:
    """As ``ansible-inventory --graph`` draws it: child groups first, then hosts."""
    yield f"{'  |' * depth}--@{name}:" if depth else f"@{name}:"
    group = inventory.groups[name]
    for child in group.children:
        yield from _tree(inventory, child, depth + 1)
    for host in group.hosts:
        yield f"{'  |' * (depth + 1)}--{host}"


def _host(arguments: argparse.Namespace) -> int:
    import yaml

    from fleetdeploy.cli.project import print_json, read_inventory
    from fleetdeploy.config.inventory.patterns import select

    inventory = read_inventory(arguments)
    for name in select(inventory, arguments.host):
        variables = dict(inventory.hosts[name].variables)
        if arguments.json:
            print_json(variables)
        else:
            sys.stdout.write(yaml.safe_dump(variables, sort_keys=True, allow_unicode=True))
    return 0
