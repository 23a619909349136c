"""``fleetdeploy demo``: the main job on a lab, from first deploy to a broken model taken back, under steady load."""

from __future__ import annotations

import argparse
from pathlib import Path

from fleetdeploy.cli import options


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="the main job on a lab: deploy, roll, break, revert, with no request lost",
        description="Make a lab, deploy two real models, keep gRPC and REST requests coming through\n"
        "HAProxy, roll a new version by hot reload and a new image by container\n"
        "replacement, ship a broken version and see it taken back. Exit status 0 only if\n"
        "no request failed and everything went as expected. Needs root.",
    )
    parser.add_argument(
        "--hosts", type=options.positive, default=3, metavar="N", help="GPU hosts of the lab (default: 3)"
    )
    parser.add_argument(
        "--project", type=Path, default=Path(), metavar="DIR", help="holds inventories/lab, playbooks, templates"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0 only if every expectation held and no request failed."""
    from fleetdeploy.lab.demo import Demo

    return Demo(project=arguments.project.resolve(), hosts=arguments.hosts).run()
