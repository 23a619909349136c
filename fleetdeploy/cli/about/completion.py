"""Shell completion: commands and options by themselves, hosts, groups, models, tasks and tags from the project's files.

``fleetdeploy completion SHELL`` prints what a shell has to read once. The shell then starts ``fleetdeploy`` with
``_ARGCOMPLETE`` set, and argcomplete answers it; nothing of this is loaded otherwise.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

SHELLS = ("bash", "zsh", "fish")
ASKED = "_ARGCOMPLETE"
"""The variable of the environment by which a shell asks for completions instead of running a command."""
EPILOG = """\
put one line where your shell reads its settings:
  bash  ~/.bashrc                      eval "$(fleetdeploy completion bash)"
  zsh   ~/.zshrc, behind compinit      eval "$(fleetdeploy completion zsh)"
  fish  ~/.config/fish/config.fish     fleetdeploy completion fish | source

Hosts, groups, services, models and tags are read from the files that -i,
--project and PLAYBOOK name, runs from --state-dir. No host is contacted, no
program is run, no secret is opened; where a file cannot be read, nothing is
offered.
"""
Completer = Callable[..., Iterable[str]]


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion",
        help="what bash, zsh or fish has to read to complete commands",
        description="Print what a shell has to read to complete fleetdeploy's commands, hosts, groups\nand models.",
        epilog=EPILOG,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit code 0, or an InputError where argcomplete is not installed."""
    from fleetdeploy.errors import InputError

    try:
        from argcomplete.shell_integration import shellcode
    except ImportError:
        raise InputError("argcomplete is not installed", hint="pip install argcomplete") from None
    sys.stdout.write(shellcode(["fleetdeploy"], shell=arguments.shell) + "\n")
    return 0


def answer(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, and end the process. Whatever goes wrong, the shell gets no completions and no message."""
    # A shell would show what is printed here in the middle of the line that is typed.
    with suppress(Exception):
        import argcomplete

        attach(parser)
        # Options are offered where the word begins with a dash.
        argcomplete.autocomplete(parser, always_complete_options=False)
    sys.exit(1)


def attach(parser: argparse.ArgumentParser) -> None:
    """Give every argument of the command line the completer of its kind."""
    fleet = any(action.dest == "inventory" for action in parser._actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                attach(inner)
        elif action.nargs != 0 and action.choices is None and not _is_file(action):
            kind = _KINDS.get(str(action.metavar)) or _KINDS.get(action.dest)
            completer = _quiet(kind) if kind and (fleet or kind in _WITHOUT_FLEET) else _nothing
            action.completer = completer  # type: ignore[attr-defined]  # argcomplete's own protocol


def _is_file(action: argparse.Action) -> bool:
    """Whether argcomplete is to offer files, as it does by itself."""
    return action.type is Path or any(word in str(action.metavar) for word in ("FILE", "SOURCE", "PLAYBOOK"))


def _nothing(**_: object) -> Iterable[str]:
    return ()


_KINDS = {
    "PATTERN": "patterns",
    "HOST": "hosts",
    "GROUP": "groups",
    "TASK": "tasks",
    "TAGS": "tags",
    "MODEL": "models",
    "SERVICE": "services",
    "KEY": "keys",
    "RUN": "runs",
    "start_at_task": "titles",
}
_WITHOUT_FLEET = frozenset({"tasks", "runs"})
"""What can be told without an inventory."""


def _quiet(kind: str) -> Completer:
    """The function of :mod:`fleetdeploy.cli.about.completions` with this name, which gives nothing where it fails."""

    def complete(prefix: str, parsed_args: argparse.Namespace, **_: object) -> Iterable[str]:
        try:
            from fleetdeploy.cli.about import completions

            return list(getattr(completions, kind)(prefix, parsed_args))
        except Exception:  # noqa: BLE001  see `answer`
            return []

    return complete
