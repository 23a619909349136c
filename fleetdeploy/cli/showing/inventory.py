"""``fleetdeploy inventory``: what the inventory means, without contacting a host."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fleetdeploy.cli import options
from fleetdeploy.domain.secret import without_secrets

if TYPE_CHECKING:
    from fleetdeploy.config.inventory.explain import Explanation
    from fleetdeploy.config.inventory.load import Loaded
    from fleetdeploy.domain.inventory import Inventory

_NAME = re.compile(r"[A-Za-z0-9_.-]+")
"""A name, and none of what makes a pattern of it."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its verbs."""
    parser = commands.add_parser(
        "inventory",
        help="list hosts, draw groups, show a host's variables and where they come from",
        description="What the inventory means. No host is contacted.",
        epilog="examples:\n  fleetdeploy inventory list 'ranking:!canary' -i inventories/prod\n"
        "  fleetdeploy inventory graph -i inventories/prod\n"
        "  fleetdeploy inventory explain gpu01 services.ranking.image -i inventories/prod",
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    text = "hosts that match a pattern, one a line; with --json as ansible-inventory --list"
    listing = _verb(verbs, "list", text, _list)
    listing.add_argument("pattern", nargs="?", default="all", metavar="PATTERN")
    graph = _verb(verbs, "graph", "groups and hosts as a tree, as ansible-inventory --graph", _graph)
    graph.add_argument("group", nargs="?", default="all", metavar="GROUP")
    graph.add_argument("--vars", action="store_true", help="variables of hosts and groups as well")
    host = _verb(verbs, "host", "one host's merged variables", _host)
    host.add_argument("host", metavar="HOST")
    explain = _verb(verbs, "explain", "where a host's variables come from, and what they override", _explain)
    explain.add_argument("host", metavar="HOST")
    explain.add_argument("key", nargs="?", metavar="KEY", help="a variable, or a key in it: services.ranking.image")


def _verb(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    run: Callable[[argparse.Namespace], int],
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    options.add_inventory(parser)
    options.add_project(parser)
    parser.add_argument(
        "--playbook-dir", type=Path, metavar="DIR", help="where else group_vars and host_vars are (default: playbooks/)"
    )
    options.add_output(parser, quiet="", verbose="")
    parser.set_defaults(run=run)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    from fleetdeploy.cli.binding.project import read_inventory
    from fleetdeploy.config.inventory.patterns import select

    inventory = read_inventory(arguments)
    chosen = select(inventory, arguments.pattern, limit=arguments.limit)
    if not arguments.json:
        sys.stdout.writelines(f"{name}\n" for name in chosen)
        return 0
    variables = {name: dict(inventory.hosts[name].variables) for name in chosen}
    groups: dict[str, object] = {"_meta": {"hostvars": {name: found for name, found in variables.items() if found}}}
    meant = set(chosen)
    for group in inventory.groups.values():
        entry: dict[str, object] = {}
        if hosts := [name for name in group.hosts if name in meant and group.name != "all"]:
            entry["hosts"] = hosts
        if group.children:
            entry["children"] = list(group.children)
        if entry:
            groups[group.name] = entry
    _print_as_ansible(groups)
    return 0


def _print_as_ansible(value: object) -> None:
    """JSON in the form of ``ansible-inventory``: four blanks, keys sorted, letters as they are."""
    text = json.dumps(
        _with_text_keys(without_secrets(value)), indent=4, sort_keys=True, ensure_ascii=False, default=str
    )
    sys.stdout.write(f"{text}\n")


def _with_text_keys(value: object) -> object:
    """Keys as JSON writes them, so that they can be sorted."""
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else json.dumps(key, default=str): _with_text_keys(item)
                for key, item in value.items()}  # fmt: skip
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def _graph(arguments: argparse.Namespace) -> int:
    from fleetdeploy.cli.binding.project import open_inventory
    from fleetdeploy.config.syntax.suggest import hint_for
    from fleetdeploy.errors import InputError

    loaded = open_inventory(arguments)
    if arguments.group not in loaded.inventory.groups:
        hint = hint_for(arguments.group, loaded.inventory.groups, what="groups")
        raise InputError(f"no group {arguments.group!r}", hint=hint)
    lines = _tree(loaded, arguments.group, 0, variables=arguments.vars)
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _tree(loaded: Loaded, name: str, depth: int, *, variables: bool) -> Iterator[str]:
    """As ``ansible-inventory --graph`` draws it: child groups first, then hosts, then variables."""
    yield f"{'  |' * depth}--@{name}:" if depth else f"@{name}:"
    group = loaded.inventory.groups[name]
    inner = "  |" * (depth + 1)
    for child in group.children:
        yield from _tree(loaded, child, depth + 1, variables=variables)
    for host in group.hosts if name != "all" else ():
        yield f"{inner}--{host}"
        if variables:
            yield from _drawn(loaded.inventory.hosts[host].variables, f"{inner}  |")
    if variables:
        yield from _drawn(loaded.group_variables(name), inner)


def _drawn(variables: Mapping[str, object], indent: str) -> Iterator[str]:
    yield from (f"{indent}--{{{key} = {without_secrets(value)}}}" for key, value in sorted(variables.items()))


def _host(arguments: argparse.Namespace) -> int:
    import yaml

    from fleetdeploy.cli.binding.project import print_json, read_inventory

    inventory = read_inventory(arguments)
    name = _one_host(inventory, arguments)
    variables = {key: without_secrets(value) for key, value in inventory.hosts[name].variables.items()}
    if arguments.json:
        print_json(variables)
    else:
        sys.stdout.write(yaml.safe_dump(variables, sort_keys=True, allow_unicode=True))
    return 0


def _one_host(inventory: Inventory, arguments: argparse.Namespace) -> str:
    """The host that is meant, by its name or a pattern that only it matches. Raises PatternError."""
    from fleetdeploy.config.inventory.patterns import select
    from fleetdeploy.config.syntax.suggest import hint_for
    from fleetdeploy.errors import PatternError

    given = arguments.host
    if _NAME.fullmatch(given) and given not in {*inventory.hosts, *inventory.groups}:
        hint = hint_for(given, inventory.hosts, what="hosts") or "see them all with `fleetdeploy inventory list`"
        raise PatternError(f"the inventory has no host {given!r}", hint=hint)
    names = select(inventory, given, limit=arguments.limit)
    if len(names) != 1:
        raise PatternError(f"{given!r} stands for {len(names)} hosts", hint=f"name one: {', '.join(names[:8])}")
    return names[0]


def _explain(arguments: argparse.Namespace) -> int:
    from fleetdeploy.cli.binding.project import open_inventory, print_json
    from fleetdeploy.config.inventory.explain import explain, explain_all

    loaded = open_inventory(arguments)
    host = _one_host(loaded.inventory, arguments)
    if arguments.key is None:
        found = explain_all(loaded, host)
        if arguments.json:
            print_json({"host": host, "variables": [_as_json(item) for item in found]})
        else:
            sys.stdout.writelines(
                f"{item.key}: {_flow(item.value)}    # {item.where}{_given(item)}\n" for item in found
            )
        return 0
    item = explain(loaded, host, arguments.key)
    if arguments.json:
        print_json({"host": host, **_as_json(item)})
    else:
        sys.stdout.writelines(f"{line}\n" for line in _history(item))
    return 0


def _as_json(item: Explanation) -> dict[str, object]:
    settings = [
        {"layer": said.layer, "where": str(said.where), "value": said.value, "removes": said.removes}
        for said in item.settings
    ]
    found: dict[str, object] = {"key": item.key, "value": item.value, "where": str(item.where), "layers": settings}
    if item.rendered is not None:
        gives = {"problem": item.rendered.problem} if item.rendered.problem else {"rendered": item.rendered.value}
        used = [{"key": use.key, "value": use.value, "where": str(use.where)} for use in item.uses]
        found |= {**gives, "uses": used}
    return found


def _given(item: Explanation) -> str:
    """What the expressions in a value give, where there are any."""
    if item.rendered is None:
        return ""
    gives = item.rendered
    return f", gives no value: {gives.problem}" if gives.problem else f", gives {_flow(gives.value)}"


def _history(item: Explanation) -> Iterator[str]:
    """The value as YAML, then every layer that says something about it, the weakest first."""
    import yaml

    yield yaml.safe_dump({item.key: without_secrets(item.value)}, sort_keys=False, allow_unicode=True).rstrip()
    yield f"# set at {item.where}"
    wide = max((len(said.layer) for said in item.settings), default=0)
    for number, said in enumerate(item.settings, 1):
        value = "removed" if said.removes else _flow(said.value)
        yield f"#   {number}. {said.layer:{wide}}  {value}    {said.where}"
    if item.rendered is not None:
        yield f"# {_given(item).removeprefix(', ')}"
    for use in item.uses:
        yield f"#   {use.key}: {_flow(use.value)}    {use.where}"


def _flow(value: object) -> str:
    """A value on one line of YAML."""
    import yaml

    text = yaml.safe_dump(
        without_secrets(value), default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("\n...")
