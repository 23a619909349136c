"""The ``fleetdeploy`` command: parse, run, and end with an exit code and a last line that are true."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from fleetdeploy import __version__
from fleetdeploy.cli import (
    completion,
    demo,
    deploy,
    docs,
    inventory,
    lab,
    lock,
    models,
    plan,
    resume,
    rollback,
    schema,
    status,
    validate,
)
from fleetdeploy.cli.failures import print_error
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.errors import FleetdeployError
from fleetdeploy.report.redacted_output import redacted_output

EPILOG = """\
first steps:
  fleetdeploy validate -i inventories/prod           is everything well-formed?
  fleetdeploy plan -i inventories/prod               what would change, and why
  fleetdeploy deploy -i inventories/prod             make it so, host by host
  fleetdeploy deploy -i inventories/prod -l rack1    only there
  fleetdeploy status -i inventories/prod             what each host serves now
  fleetdeploy resume                                 go on where a run ended
  fleetdeploy rollback -i inventories/prod           the last good release again

exit codes: 0 converged · 1 a bug · 2 bad input · 3 failed and taken back ·
  4 failed, fleet mixed · 5 preflight refused · 6 locked · 7 model refused ·
  8 some hosts skipped · 9 held for a person · 10 changes pending ·
  130/143 interrupted
"""


class Parser(argparse.ArgumentParser):
    """Errors end with exit code 2 and the usage of the command at hand."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options, allow_abbrev=False)  # type: ignore[arg-type]


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="fleetdeploy",
        description="Deploy TF Serving models to bare-metal GPU fleets over SSH,\nhost by host, proven and reversible.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"fleetdeploy {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    nouns = (validate, inventory, plan, deploy, resume, rollback, status, lock, models)
    for noun in (*nouns, docs, schema, completion, lab, demo):
        noun.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = build_parser().parse_args(argv)
    arguments.redactor = Redactor()
    with redacted_output(arguments.redactor, as_json=getattr(arguments, "json", False)):
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    code: int | None = None
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except FleetdeployError as error:
        with suppress(OSError):  # the exit code is true, whoever reads
            as_json, no_color = getattr(arguments, "json", False), getattr(arguments, "no_color", False)
            print_error(error, as_json=as_json, no_color=no_color)
        return error.exit_code
    except BrokenPipeError:
        # The reader of stdout went away; Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except KeyboardInterrupt:
        if code is not None:  # it has ended, and told how
            return code
        sys.stderr.write("interrupted; nothing was being changed\n")
        return 130
    except Exception:  # noqa: BLE001  what Python would print by itself would go past the redaction
        traceback.print_exc()
        return FleetdeployError.exit_code


def run() -> None:
    """The console script."""
    if completion.ASKED in os.environ:
        completion.answer(build_parser())
    sys.exit(main())
