"""``fleetdeploy man``: the manual page."""

from __future__ import annotations

import argparse
import sys

EPILOG = """\
`pip install` puts the page where `man fleetdeploy` finds it, as long as the
command itself is on your PATH.

examples:
  fleetdeploy man | man -l -
  fleetdeploy man > /usr/local/share/man/man1/fleetdeploy.1
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "man",
        help="the manual page",
        description="Print the manual page, made of the same texts as --help.",
        epilog=EPILOG,
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:  # noqa: ARG001
    """Exit code 0."""
    from fleetdeploy.cli.about.man_page import man_page
    from fleetdeploy.cli.main import build_parser

    sys.stdout.write(man_page(build_parser()))
    return 0
