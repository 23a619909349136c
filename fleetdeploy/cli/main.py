"""The ``fleetdeploy`` command: parse, run, and end with an exit code and a last line that are true."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

from fleetdeploy import __version__
from fleetdeploy.cli.about import completion, demo, docs, init, lab, man, schema
from fleetdeploy.cli.changing import deploy, exec_, plan, prune, resume, rollback, run_end, sync
from fleetdeploy.cli.changing import run as run_command
from fleetdeploy.cli.failures import print_error
from fleetdeploy.cli.showing import doctor, inventory, lock, logs, models, runs, status, validate
from fleetdeploy.cli.standard_streams import make_whole
from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.errors import FleetdeployError, InputError
from fleetdeploy.report.redacted_output import OutputLost, redacted_output

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


_NO_CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)")
_DASHES = "--"
_NO_OPTION = re.compile(r"unrecognized arguments: (?:\S+ )*?(--[^\s=]+)")


class Parser(argparse.ArgumentParser):
    """Errors end with exit code 2: one line with what may have been meant, and where the command's help is."""

    def __init__(self, **options: object) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options, allow_abbrev=False)  # type: ignore[arg-type]
        self._given: tuple[str, ...] = ()
        self._whole: tuple[str, ...] = ()

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Refuse what is left over here, and not where the commands' parsers come together: this one knows what there
        is.
        """
        self._given = tuple(sys.argv[1:] if args is None else args)
        for action in self._subparsers._group_actions if self._subparsers else ():
            for parser in (action.choices or {}).values():  # type: ignore[attr-defined]  # a mapping, of commands
                parser._whole = self._given
        found, left = super().parse_known_args(args, namespace)
        if left:
            message = f"unrecognized arguments: {' '.join(left)}"
            if meant := self._behind_dashes(left):
                self._end(f"{message}\n    the command goes behind {_DASHES}: {meant}")
            self.error(message)
        return found, left

    def error(self, message: str) -> NoReturn:
        """Print it and end."""
        self._end(self._said(message))

    def _end(self, text: str) -> NoReturn:
        self.exit(2, f"error: {text}\n    see: {self.prog} --help\n")

    def _behind_dashes(self, left: Sequence[str]) -> str:
        """The command line as it was meant, where a host's command was written without ``--`` before it."""
        if _DASHES in self._whole or f"{_DASHES} CMD" not in (self.usage or "") or left[0].startswith("-"):
            return ""
        at = len(self._given)
        for word in reversed(left):
            at = next((place for place in reversed(range(at)) if self._given[place] == word), 0)
        own, words = self._given[:at], self._given[at:]
        # Values of variables may be secret, and nothing redacts this.
        shown = "..." if any(word.startswith(("-e", "--extra-vars")) for word in own) else shlex.join(own)
        return f"{self.prog} {shown} {_DASHES} {shlex.join(words)}"

    def _said(self, message: str) -> str:
        """The message, less what a suggestion makes needless."""
        from fleetdeploy.config.syntax.suggest import nearest

        told = [text for action in self._actions if action.help != argparse.SUPPRESS for text in action.option_strings]
        first = self._given[0].partition("=")[0] if self._subparsers and self._given else ""
        if first.startswith("-") and (close := nearest(first, told)):
            message = f"unrecognized arguments: {first}"
        elif first.startswith("-"):
            return f"{first} stands before the command; options go behind it: {self.prog} COMMAND {first} ..."
        elif (found := _NO_CHOICE.search(message)) and found[1] == "help" and self._given[:1] == ("help",):
            command = next((word for word in self._given[1:] if f"'{word}'" in found[2]), "COMMAND")
            return f"there is no command help; it is an option: {self.prog} {command} --help"
        elif found:
            close = nearest(found[1], re.findall(r"[\w.-]+", found[2]))
            message = message.replace(f" (choose from {found[2]})", "") if close else message
        else:
            found = _NO_OPTION.search(message)
            close = nearest(found[1], (text for text in told if text.startswith("--"))) if found else ""
        return f"{message}; did you mean {close}?" if close else message


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = Parser(
        prog="fleetdeploy",
        description="Deploy TF Serving models to bare-metal GPU fleets over SSH,\nhost by host, proven and reversible.",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"fleetdeploy {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    nouns = (init, validate, inventory, doctor, plan, deploy, sync, resume, rollback, status, runs, lock, models)
    reaching = (logs, exec_, run_command, prune)
    for noun in (*nouns, *reaching, docs, schema, completion, man, lab, demo):
        noun.register(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    arguments = build_parser().parse_args(argv)
    arguments.redactor, arguments.afterwards, arguments.refusal = Redactor(), [], ""
    with redacted_output(arguments.redactor, as_json=getattr(arguments, "json", False)):
        code = _run(arguments)
        _tell_the_end(arguments, code)
        return code


def _tell_the_end(arguments: argparse.Namespace, code: int) -> None:
    """To whoever asked for it. Nothing that goes wrong there changes the exit code, and a signal only ends the telling:
    how the command ended stands on the terminal.
    """
    if not arguments.afterwards:
        return
    from fleetdeploy.rollout.interrupt import as_ctrl_c

    with suppress(KeyboardInterrupt), as_ctrl_c():
        for tell in arguments.afterwards:
            try:
                tell(code, arguments.refusal)
            except Exception:  # noqa: BLE001
                traceback.print_exc()


def _run(arguments: argparse.Namespace) -> int:
    code: int | None = None
    try:
        code = int(arguments.run(arguments))
        sys.stdout.flush()
        return code
    except FleetdeployError as error:
        arguments.refusal = str(error)
        with suppress(OSError):  # the exit code is true, whoever reads
            as_json, no_color = getattr(arguments, "json", False), getattr(arguments, "no_color", False)
            print_error(error, as_json=as_json, no_color=no_color)
            sys.stdout.flush()
        return error.exit_code
    except OutputLost:  # which has been told of, and which no run that has ended lets through
        return InputError.exit_code
    except BrokenPipeError:
        # The reader of stdout went away; Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return run_end.UNREAD
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
    make_whole()
    if completion.ASKED in os.environ:
        completion.answer(build_parser())
    from fleetdeploy.rollout.interrupt import end_at_second, end_with

    end_at_second()
    code = main()
    end_with(code)
    sys.exit(code)
