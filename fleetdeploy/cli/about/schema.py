"""``fleetdeploy schema``: JSON Schemas of what people write, for their editors, and of what their programs read."""

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
    "settings": "fleetdeploy.yml",
    "plan": "what plan --json prints",
    "run": "what deploy, sync, rollback, resume and prune --json print",
    "status": "what status --json prints",
    "doctor": "what doctor --json prints",
    "command": "what run and exec --json print",
    "log": "a line of logs --json",
    "validate": "what validate --json prints",
    "lock": "what lock show and lock break --json print",
    "model": "what models inspect --json prints",
    "runs": "what runs list --json prints",
    "past-run": "what runs show --json prints",
    "event": "a line of deploy --events FILE and of a run's journal",
    "notification": "what those are sent whom notify of fleetdeploy.yml names",
}
EPILOG = """\
kinds:
  inventory   a YAML inventory
  variables   a file of group_vars/ or host_vars/
  playbook    a playbook
  tasks       a file that include_tasks names
  settings    fleetdeploy.yml: freeze windows, notifications, sync
  plan        what `fleetdeploy plan --json` prints, for programs that read it
  run         what `deploy`, `sync`, `rollback`, `resume` and `prune` print with
              --json
  status      what `fleetdeploy status --json` prints
  doctor      what `fleetdeploy doctor --json` prints
  command     what `run` and `exec` print with --json
  log         one line of what `logs` prints with --json
  validate    what `validate` prints with --json
  lock        what `lock show` and `lock break` print with --json
  model       what `models inspect` prints with --json
  runs        what `runs list` prints with --json
  past-run    what `runs show` prints with --json: a run by its journal
  event       one line of `deploy --events FILE` and of a run's journal; see
              `fleetdeploy docs events`
  notification  what those are sent whom `notify` of fleetdeploy.yml names

An editor with a YAML language server checks a file whose first line names its
schema, as a path relative to that file or as an absolute one:

  # yaml-language-server: $schema=../.schemas/inventory.json

or by patterns, in the editor's settings (here those of Visual Studio Code):

  "yaml.schemas": {
    ".schemas/inventory.json": ["inventories/*/hosts.yml"],
    ".schemas/variables.json": ["**/group_vars/**", "**/host_vars/**"],
    ".schemas/playbook.json": ["playbooks/*.yml"],
    ".schemas/settings.json": ["fleetdeploy.yml"]
  },
  "yaml.customTags": ["!vault scalar", "!secret mapping"]

The schema knows the shape of one file. What only the whole project can tell,
`fleetdeploy validate` tells.

examples:
  fleetdeploy schema playbook
  fleetdeploy schema inventory -o .schemas/inventory.json
  fleetdeploy schema event
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "schema",
        help="JSON Schemas of inventories, playbooks, and of what is printed for programs",
        description="Print the JSON Schema of one kind of file, or of what is printed for programs.",
        epilog=EPILOG,
    )
    parser.add_argument("kind", choices=KINDS, metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="write it there, and print nothing")
    parser.set_defaults(run=run)


def text_of(kind: str) -> str:
    """The schema of a kind, as it is printed and shipped."""
    from fleetdeploy import balancers
    from fleetdeploy.config import inventory_schema, json_schema
    from fleetdeploy.config.settings.schema import settings_schema
    from fleetdeploy.report.contract.event_schema import event_schema
    from fleetdeploy.report.contract.lock_schema import lock_schema
    from fleetdeploy.report.contract.model_schema import model_schema
    from fleetdeploy.report.contract.notification_schema import notification_schema
    from fleetdeploy.report.contract.past_schema import past_run_schema, runs_schema
    from fleetdeploy.report.contract.reaching_schema import command_schema, log_schema
    from fleetdeploy.report.contract.run_schema import run_schema
    from fleetdeploy.report.contract.status_schema import status_schema
    from fleetdeploy.report.contract.validate_schema import validate_schema
    from fleetdeploy.report.doctor.schema import doctor_schema
    from fleetdeploy.report.plan.schema import plan_schema
    from fleetdeploy.report.task_docs import shape_of
    from fleetdeploy.tasks import registry

    printed = {
        "plan": plan_schema,
        "run": run_schema,
        "status": status_schema,
        "doctor": doctor_schema,
        "command": command_schema,
        "log": log_schema,
        "validate": validate_schema,
        "lock": lock_schema,
        "model": model_schema,
        "runs": runs_schema,
        "past-run": past_run_schema,
        "event": event_schema,
        "notification": notification_schema,
    }
    if kind in printed:
        schema = printed[kind]()
    elif kind == "inventory":
        schema = inventory_schema.inventory_schema(balancer_kinds=balancers.kinds())
    elif kind == "variables":
        schema = inventory_schema.variables_schema(balancer_kinds=balancers.kinds())
    elif kind == "settings":
        schema = settings_schema()
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
