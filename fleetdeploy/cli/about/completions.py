"""What can stand where a host, a group, a pattern, a model, a task or a tag is asked for, read from files alone.

Variables are not merged for this, programs among the inventories are passed over, and secrets stay closed. Functions
take the text to be completed and the arguments before it; they may raise anything, and then nothing is offered.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from fleetdeploy.config.inventory.draft import Draft, finish
from fleetdeploy.config.inventory.layers import Layers
from fleetdeploy.config.inventory.sources import SourceFile, files_of, is_host_list, read_host_list, read_source_file
from fleetdeploy.config.playbook import facts
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.playbook.schema import SELECTORS
from fleetdeploy.config.reserved.names import SERVICES
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.syntax.nodes import MapNode, find
from fleetdeploy.domain.playbook import TaskCall
from fleetdeploy.errors import InputError, Problem
from fleetdeploy.report.contract import events_page
from fleetdeploy.tasks import registry

INVENTORY = "inventories"
PLAYBOOK = "playbooks/deploy.yml"
_LAST_TERM = re.compile(r"(?:.*[:,])?[!&]?", re.DOTALL)


class _Program(Exception):
    """An inventory is a program, which is not run here."""


def hosts(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:  # noqa: ARG001
    """Every host."""
    return _read(arguments)[0].hosts


def groups(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:  # noqa: ARG001
    """Every group."""
    return _read(arguments)[0].groups


def patterns(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:
    """Groups and hosts as the last term of a pattern: ``ranking:!can`` goes on with ``canary``."""
    found = _LAST_TERM.match(prefix)
    before = found[0] if found else ""
    draft, _ = _read(arguments)
    return [f"{before}{name}" for name in (*draft.groups, *draft.hosts)]


def services(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:  # noqa: ARG001
    """Every service that any variables name."""
    return _keys(_variables(arguments), (SERVICES,))


def models(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:  # noqa: ARG001
    """Every model of every service."""
    variables = _variables(arguments)
    places = [(SERVICES, service, "models") for service in _keys(variables, (SERVICES,))]
    return dict.fromkeys(name for place in places for name in _keys(variables, place))


def keys(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:
    """Variables, and below a dot the keys in them: ``services.ranking.im`` goes on with ``image``."""
    *place, _ = prefix.split(".")
    return [".".join((*place, name)) for name in _keys(_variables(arguments), place)]


def tasks(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:  # noqa: ARG001
    """Every page of ``docs``: a task that a playbook may name, or one of the others."""
    return (*registry(), facts.NAME, events_page.NAME)


def tags(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:
    """The playbook's tags, and the words that choose among them, behind the last comma."""
    before = prefix[: prefix.rfind(",") + 1]
    found = dict.fromkeys(tag for call in _calls(arguments) for tag in call.tags)
    return [f"{before}{tag}" for tag in (*found, *SELECTORS)]


def runs(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:  # noqa: ARG001
    """Every run that was recorded, the newest first."""
    found = (Path(arguments.state_dir).expanduser() / "runs").glob("*/events.jsonl")
    return sorted((path.parent.name for path in found), reverse=True)


def titles(prefix: str, arguments: argparse.Namespace) -> Iterable[str]:  # noqa: ARG001
    """What the playbook calls its tasks."""
    return dict.fromkeys(call.title for call in _calls(arguments))


def _calls(arguments: argparse.Namespace) -> Iterator[TaskCall]:
    project = _project(arguments)
    playbook = load_playbook(_playbook(arguments), task_names=registry().keys(), project=project, secrets=SecretStore())
    for play in playbook.plays:
        yield from play.all_tasks


def _project(arguments: argparse.Namespace) -> Path:
    return Path(getattr(arguments, "project", None) or ".").expanduser()


def _playbook(arguments: argparse.Namespace) -> Path:
    given = getattr(arguments, "playbook", None)
    return Path(given).expanduser() if given else _project(arguments) / PLAYBOOK


def _read(arguments: argparse.Namespace) -> tuple[Draft, list[SourceFile]]:
    """Groups and hosts of the inventory files. Raises InputError where one of them is broken."""
    given = getattr(arguments, "inventory", None) or [str(_project(arguments) / INVENTORY)]
    sources = [Path(item).expanduser() for item in ([given] if isinstance(given, (str, Path)) else given)]
    draft, files, whole = Draft(), [], True
    problems: list[Problem] = []
    for source in sources:
        if is_host_list(source):
            read_host_list(str(source), draft)
            continue
        for file in files_of(source, problems):
            files.append(file)
            try:
                read_source_file(file, draft, run_script=_refuse, secrets=SecretStore())
            except _Program:
                whole = False
    if whole:
        finish(draft)  # a program may define what the files only name
    if problems or draft.problems:
        raise InputError(problems=[*problems, *draft.problems])
    return draft, files


def _refuse(path: Path, words: Sequence[str]) -> NoReturn:
    raise _Program(f"{path} {' '.join(words)}")


def _variables(arguments: argparse.Namespace) -> list[MapNode]:
    """All mappings of variables; a file of them that cannot be read is passed over."""
    draft, files = _read(arguments)
    beside = Path(getattr(arguments, "playbook_dir", None) or _playbook(arguments).parent).expanduser()
    layers = Layers(draft, files, playbook_dir=beside, extra=None, secrets=SecretStore())
    return list(layers.everything())


def _keys(variables: Iterable[MapNode], place: Sequence[str]) -> Iterable[str]:
    """The keys of the mappings that stand at ``place``."""
    nodes = (find(node, place) for node in variables)
    return dict.fromkeys(str(key) for node in nodes if isinstance(node, MapNode) for key in node.entries)
