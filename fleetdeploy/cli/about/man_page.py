"""The manual page, made of the same parser that answers ``--help``; what several commands take stands in it once.

argparse-manpage was weighed: it leaves out the commands' epilogs, where examples and exit codes stand, fills what was
laid out, and repeats the shared options for every command.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator

from fleetdeploy import __version__
from fleetdeploy.cli.about import roff

SHARED_BY = 3
"""An option that so many commands take in the same words is told once."""

EXIT_CODES = {
    "0": "converged, or nothing to do",
    "1": "a bug in fleetdeploy",
    "2": "bad input, or a host with another key than the pinned one; nothing touched",
    "3": "failed; every touched host is back on what it served before",
    "4": "failed; the fleet is mixed, or a host's state is not known: the last line says what to do",
    "5": "refused before the start: hosts or Docker down, no space, GPUs or ports do not fit, no capacity to spare, a "
    "freeze window; nothing touched",
    "6": "another run holds the lock",
    "7": "a model was refused: layout, manifest, or other content under an old number",
    "8": "all reachable hosts done, others skipped with --allow-unreachable",
    "9": "held: a person has to agree (pause, --step)",
    "10": "this deploy would change something (plan --exit-code), drift (status --exit-code), or sync holds "
    "something back for now",
    "130, 143": "interrupted; the last line names the command that goes on (fleetdeploy resume does so, too)",
}
FILES = {
    "inventories/": "the fleet, where -i names nothing: YAML, JSON or INI files or programs, with group_vars/ and "
    "host_vars/ beside them",
    "playbooks/deploy.yml": "what deploy runs, where no playbook is named",
    "templates/model.config.j2": "the template of what TF Serving reads",
    "fleetdeploy.yml": "settings of the project: freeze windows, notifications, metrics; optional",
    "~/.ssh/config, ~/.ssh/known_hosts": "are read as ssh does; a host whose key is not known is refused",
    "~/.local/state/fleetdeploy/": "runs and their journals (--state-dir), local locks, debts of hosts",
    "~/.cache/fleetdeploy/hashes": "hashes of model files by inode and times; without it they are read anew",
    "/srv/fleetdeploy/SERVICE/": "on a host: models, configuration and releases of a service",
}
ENVIRONMENT = {
    "ANSIBLE_VAULT_PASSWORD_FILE": "opens vaults where --vault-password-file is not given",
    "CI": "on a build server nothing that was printed is drawn over",
    "NO_COLOR": "no colours, as with --no-color",
    "SSH_AUTH_SOCK": "the agent that holds the SSH keys",
    "XDG_CACHE_HOME": "below it hashes of model files and answers of inventory programs are kept (default: ~/.cache)",
    "XDG_STATE_HOME": "below it the state is kept (default: ~/.local/state)",
}
_Commands = list[tuple[str, argparse.ArgumentParser]]
_Shared = dict[tuple[object, ...], argparse.Action]


def man_page(parser: argparse.ArgumentParser) -> str:
    """The page as roff; the same for the same parser, on every machine."""
    return "\n".join(_page(parser)) + "\n"


def _page(parser: argparse.ArgumentParser) -> Iterator[str]:
    commands = list(_commands(parser))
    shared = _shared(commands)
    yield '.\\" Made by `fleetdeploy man` from the command line itself; changes made here are lost.'
    yield f'.TH "FLEETDEPLOY" "1" "" "fleetdeploy {__version__}" "User Commands"'
    yield from (".nh", ".ad l")
    yield roff.section("NAME")
    yield "fleetdeploy \\- rolling deployment of TF Serving models to GPU hosts over SSH"
    yield roff.section("SYNOPSIS")
    yield f"{roff.bold('fleetdeploy')} {roff.italic('COMMAND')} [{roff.italic('OPTION')} ...]"
    yield roff.section("DESCRIPTION")
    yield from roff.paragraph(parser.description or "")
    yield from roff.paragraph(
        "The result goes to standard output, progress to standard error. Nothing asks without a terminal."
    )
    yield roff.section("COMMANDS")
    for name, command in commands:
        yield from _command(name, command, shared)
    yield roff.section("COMMON OPTIONS")
    yield from roff.paragraph("Commands that take them say so, and mean the same by them.")
    for action in shared.values():
        yield from _option(action)
    yield from _table("EXIT STATUS", EXIT_CODES)
    yield from _table("FILES", FILES)
    yield from _table("ENVIRONMENT", ENVIRONMENT)
    yield roff.section("EXAMPLES")
    yield from roff.raw_text((parser.epilog or "").split("\nexit codes:")[0])
    yield roff.section("SEE ALSO")
    yield from roff.paragraph("ssh(1), ssh_config(5), rsync(1), docker(1), crontab(5), systemd.timer(5)")


def _commands(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that has no verbs, and every verb, by its whole name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                verbs = list(_commands(inner, f"{before}{name} "))
                yield from verbs or [(before + name, inner)]


def _own(command: argparse.ArgumentParser) -> list[argparse.Action]:
    return [
        action
        for action in command._actions
        if action.help is not argparse.SUPPRESS and not isinstance(action, argparse._HelpAction)
    ]


def _key(action: argparse.Action) -> tuple[object, ...]:
    return (*action.option_strings, _metavar(action), _help(action))


def _shared(commands: _Commands) -> _Shared:
    """What several commands take in the same words, in the order in which it is met."""
    actions = {_key(action): action for _, command in commands for action in _own(command) if action.option_strings}
    count = Counter(_key(action) for _, command in commands for action in _own(command))
    return {key: action for key, action in actions.items() if count[key] >= SHARED_BY}


def _command(
    name: str, command: argparse.ArgumentParser, shared: dict[tuple[object, ...], argparse.Action]
) -> Iterator[str]:
    actions = _own(command)
    yield roff.subsection(f"fleetdeploy {name}")
    words = [_positional(action) for action in actions if not action.option_strings]
    if words or any(action.option_strings for action in actions):
        options = [f"[{roff.italic('OPTION')} ...]"] if any(action.option_strings for action in actions) else []
        yield from (".PP", " ".join([roff.bold(f"fleetdeploy {name}"), *options, *words]))
    yield from roff.paragraph(command.description or "")
    for action in actions:
        if not action.option_strings:
            yield from roff.item(roff.italic(_metavar(action)), _help(action))
        elif _key(action) not in shared:
            yield from _option(action)
    common = [action.option_strings[0] for action in actions if _key(action) in shared]
    if common:
        yield from (".PP", f"Common options: {', '.join(map(roff.bold, common))}")
    yield from roff.raw_text(command.epilog or "")


def _positional(action: argparse.Action) -> str:
    word = roff.italic(_metavar(action))
    if action.nargs in {"*", argparse.REMAINDER}:
        return f"[{word} ...]"
    return {"?": f"[{word}]", "+": f"{word} ..."}.get(str(action.nargs), word)


def _option(action: argparse.Action) -> Iterator[str]:
    value = ""
    if action.nargs != 0:
        value = f" [{roff.italic(_metavar(action))}]" if action.nargs == "?" else f" {roff.italic(_metavar(action))}"
    yield from roff.item(", ".join(roff.bold(text) for text in action.option_strings) + value, _help(action))


def _metavar(action: argparse.Action) -> str:
    return action.metavar if isinstance(action.metavar, str) else action.dest.upper()


def _help(action: argparse.Action) -> str:
    return " ".join(str((action.help or "") % vars(action)).split())


def _table(title: str, rows: dict[str, str]) -> Iterator[str]:
    yield roff.section(title)
    for name, text in rows.items():
        yield from roff.item(roff.bold(name), text)
