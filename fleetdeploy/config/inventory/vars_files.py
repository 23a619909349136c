"""``group_vars`` and ``host_vars`` beside an inventory: which files set variables for which group or host.

As in Ansible, ``NAME``, ``NAME.yml``, ``NAME.yaml`` and ``NAME.json`` are read, or every such file below a directory
``NAME`` in the order of their names. Unlike there, two of these at once, and a name that no group or host has, are
refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode, Scalar
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.suggest import hint_for
from fleetdeploy.errors import InputError, Problem

FOLDERS = {"group": "group_vars", "host": "host_vars"}
SUFFIXES = (".yml", ".yaml", ".json")
_NOT_VARIABLES = (".bak", ".md", ".orig", ".pyc", ".retry", ".rst", ".swp", ".txt", "~")


def read(
    base: Path, kind: str, *, known: Collection[str], problems: list[Problem], secrets: Secrets | None = None
) -> dict[str, tuple[MapNode, ...]]:
    """The variable files of one kind (``group`` or ``host``) below ``base``, by the name they belong to."""
    folder = base / FOLDERS[kind]
    if not folder.exists() and not folder.is_symlink():
        return {}
    by_name: dict[str, list[Path]] = {}
    try:
        for path in sorted(folder.iterdir()):
            if not _ignored(path):
                by_name.setdefault(_owner(path), []).append(path)
    except OSError as error:
        problems.append(Problem(f"cannot be read: {error.strerror}", str(folder), f"{folder.name} is a directory"))
    result = {}
    for name, paths in by_name.items():
        if name not in known:
            problems.append(
                Problem(
                    f"{folder.name} for {kind} {name!r}, which the inventory does not have",
                    str(paths[0]),
                    hint_for(name, known, what=f"{kind}s"),
                )
            )
        elif len(paths) > 1:
            listed = " and ".join(path.name for path in paths)
            problems.append(
                Problem(
                    f"variables of {kind} {name!r} stand in {listed} at once",
                    str(paths[0]),
                    "keep one: a file, or a directory of files",
                )
            )
        else:
            result[name] = tuple(_files(paths[0], problems, secrets))
    return result


def _owner(path: Path) -> str:
    return path.name.removesuffix(path.suffix) if path.suffix in SUFFIXES and path.is_file() else path.name


def _ignored(path: Path) -> bool:
    return path.name.startswith(".") or path.name.endswith(_NOT_VARIABLES)


def _files(path: Path, problems: list[Problem], secrets: Secrets | None) -> Iterator[MapNode]:
    if path.is_dir():
        try:
            children = sorted(path.iterdir())
        except OSError as error:
            problems.append(Problem(f"cannot be read: {error.strerror}", str(path), "check its permissions"))
            return
        for child in children:
            if not _ignored(child) and (child.is_dir() or child.suffix in {"", *SUFFIXES}):
                yield from _files(child, problems, secrets)
        return
    try:
        node = yaml.load(path, what="variables file", secrets=secrets)
    except InputError as error:
        problems.extend(error.problems)
        return
    if isinstance(node, MapNode):
        yield node
    elif not (isinstance(node, Scalar) and node.is_null):
        problems.append(
            Problem(f"a variables file is a mapping, got {shown(node)}", str(node.origin), "write `name: value` pairs")
        )
