"""``fleetdeploy docs``: what each task of a playbook does, takes and leaves behind; what conditions and events tell."""

from __future__ import annotations

import argparse
import sys
from itertools import chain

from fleetdeploy.cli import options

FACTS = "what `when` can ask of a host"
EVENTS = "what each line of `deploy --events FILE` and of a run's journal tells"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "docs",
        help="what the tasks of a playbook do and take, and what events tell",
        description="The tasks that a playbook may name; for one of them its arguments, its undo and\nan example. "
        "`facts` is what conditions can ask of a host, `events` what a line\nof --events and of a journal tells.",
        epilog="examples:\n  fleetdeploy docs\n  fleetdeploy docs verify\n  fleetdeploy docs events",
    )
    parser.add_argument(
        "task", nargs="?", metavar="TASK", help="one task, `facts` or `events` (default: a list of all tasks)"
    )
    options.add_output(parser, quiet="", verbose="")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, or an InputError for a task that does not exist."""
    from fleetdeploy.config.playbook import facts
    from fleetdeploy.config.syntax.suggest import hint_for
    from fleetdeploy.errors import InputError
    from fleetdeploy.report import task_docs
    from fleetdeploy.report.contract import events_page
    from fleetdeploy.tasks import registry

    tasks = registry()
    pages = [*tasks, facts.NAME, events_page.NAME]
    if arguments.task is not None and arguments.task not in pages:
        raise InputError(
            f"no task {arguments.task!r}",
            where="command line",
            hint=hint_for(arguments.task, pages, what="there are", most=len(pages)),
        )
    if arguments.json:
        import json

        found: object = (
            [task_docs.as_json(tasks[name]) for name in sorted(tasks)]
            if arguments.task is None
            else dict(facts.lines())
            if arguments.task == facts.NAME
            else events_page.as_json()
            if arguments.task == events_page.NAME
            else task_docs.as_json(tasks[arguments.task])
        )
        sys.stdout.write(json.dumps(found, indent=2) + "\n")
        return 0
    if arguments.task == facts.NAME:
        lines = task_docs.facts_page()
    elif arguments.task == events_page.NAME:
        lines = events_page.page()
    elif arguments.task is None:
        lines = chain(task_docs.overview(tasks), task_docs.other_pages({facts.NAME: FACTS, events_page.NAME: EVENTS}))
    else:
        lines = task_docs.page(tasks[arguments.task])
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0
