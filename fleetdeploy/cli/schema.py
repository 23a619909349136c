"""``fleetdeploy schema``: JSON Schemas of what people write, for their editors, and of plans, for their programs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

KINDS = {
    "inventory": "a YAML inventory",
    "variables": "a file of group_vars/ or host_vars/",
    "playbook": "a playbook",
    "tasks": "a file that include_tasks names",
    "plan": "what plan --json prints",
}
EPILOG = """\
kinds:
  inventory   a YAML inventory
  variables   a file of group_vars/ or host_vars/
  playbook    a playbook
  tasks       a file that include_tasks names
  plan        what `fleetdeploy plan --json` prints, for programs that read it

An editor with a YAML language server checks a file whose first line names its
schema, as a path relative to that file or as an absolute one:

  # yaml-language-server: $schema=../.schemas/inventory.json

or by patterns, in the editor's settings (here those of Visual Studio Code):

  "yaml.schemas": {
    ".schemas/inventory.json": ["inventories/*/hosts.yml"],
    ".schemas/variables.json": ["**/group_vars/**", "**/host_vars/**"],
    ".schemas/playbook.json": ["playbooks/*.yml"]
  },
  "yaml.customTags": ["!vault scalar", "!secret mapping"]

The schema knows the shape of one file. What only the whole project can tell,
`fleetdeploy validate` tells.

examples:
  fleetdeploy schema playbook
  fleetdeploy schema inventory -o .schemas/inventory.json
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "schema",
        help="JSON Schemas of inventories, playbooks and plans",
        description="Print the JSON Schema of one kind of file, or of a plan.",
        epilog=EPILOG,
    )
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there, and print nothing")
    parser.set_defaults(run=run)


def text_of(kind: str) -> str:
    """The schema of a kind, as it is printed and shipped."""
    from fleetdeploy import balancers
    from fleetdeploy.config import inventory_schema, json_schema
    from fleetdeploy.report.plan.schema import plan_schema
    from fleetdeploy.report.task_docs import shape_of
    from fleetdeploy.tasks import registry

    if kind == "inventory":
        schema = inventory_schema.inventory_schema(balancer_kinds=balancers.kinds())
    elif kind == "variables":
        schema = inventory_schema.variables_schema(balancer_kinds=balancers.kinds())
    elif kind == "plan":
        schema = plan_schema()
    else:
        shapes = {name: shape_of(task) for name, task in sorted(registry().items())}
        schema = json_schema.playbook_schema(shapes) if kind == "playbook" else json_schema.tasks_schema(shapes)
    return json.dumps(json_schema.readable(schema), indent=2, ensure_ascii=False) + "\n"


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, or an InputError for a file that cannot be written."""
    from fleetdeploy.errors import InputError

    text = text_of(arguments.kind)
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    try:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot be written: {error.strerror}", where=str(arguments.output), hint="name another file with -o"
        ) from error
    return 0
