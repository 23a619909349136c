"""``group_vars`` and ``host_vars`` beside an inventory: which files set variables for which group or host.

As in Ansible, ``NAME``, ``NAME.yml``, ``NAME.yaml`` and ``NAME.json`` are read, or every such file below a directory
``NAME`` in the order of their names. Unlike there, two of these at once, a name that no group or host has, and what
Ansible would pass over in silence are refused; only hidden files, editors' copies and notes may lie beside them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from fleetdeploy.config.fields.schema import shown
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode, Scalar
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.suggest import hint_for, nearest
from fleetdeploy.config.syntax.text_file import exists
from fleetdeploy.errors import InputError, Problem

FOLDERS = {"group": "group_vars", "host": "host_vars"}
SUFFIXES = (".yml", ".yaml", ".json")
_COPIES = (".bak", ".orig", ".pyc", ".retry", ".swp", "~")
_NOTES = (".md", ".rst")
_VARIABLE_LINE = re.compile(rb"---|\$ANSIBLE_VAULT;|[A-Za-z_][A-Za-z0-9_]*\s*:(?:\s|$)")
_READ = 64 * 1024
_CUTOFF = 0.85
"""One letter or so away from ``group_vars`` and ``host_vars``."""


def near_misses(children: Iterable[Path]) -> Iterator[Problem]:
    """What is almost the directory ``group_vars`` or ``host_vars``: its variables would be set for nobody."""
    for child in children:
        if child.name in FOLDERS.values() or _ignored(child):
            continue
        if not child.is_dir():
            if child.suffix in SUFFIXES and child.stem in FOLDERS.values():
                yield _file_for_folder(child)
            continue
        if meant := nearest(child.name, FOLDERS.values(), cutoff=_CUTOFF):
            yield Problem(
                f"the directory {child.name!r} looks like {meant!r}, and would be passed over",
                str(child),
                f"did you mean {meant!r}? a directory of your own needs a name that is less like it",
            )


def _file_for_folder(path: Path) -> Problem:
    inner = "all.yml" if path.stem == FOLDERS["group"] else "HOST.yml"
    return Problem(
        f"{path.name!r} is a file, and would be passed over: variables stand in files below a directory {path.stem}",
        str(path),
        f"move it to {path.parent / path.stem / inner}",
    )


def near_misses_in(folder: Path) -> list[Problem]:
    """The :func:`near_misses` in a directory; none where it cannot be listed, as nothing is read from it then."""
    try:
        return list(near_misses(sorted(folder.iterdir())))
    except OSError:
        return []


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
        if name not in known and paths[0].suffix and paths[0].stem in known:
            problems.append(_passed_over(paths[0]))
        elif name not in known:
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
    """Whose variables a path holds. What is no directory was meant as a file, a broken link and a pipe as well."""
    return path.name.removesuffix(path.suffix) if path.suffix in SUFFIXES and not path.is_dir() else path.name


def _ignored(path: Path) -> bool:
    """Hidden files, copies that editors and tools leave, and notes, unless they are variables under a note's ending."""
    name = path.name
    return name.startswith(".") or name.endswith((*_COPIES, *_NOTES)) or (name.endswith(".txt") and not _speaks(path))


def _speaks(path: Path) -> bool:
    """Whether the first line of a file that says anything sets a variable."""
    try:
        with path.open("rb") as stream:
            lines = (line.strip() for line in stream.read(_READ).splitlines())
            first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    except OSError:
        return False
    return _VARIABLE_LINE.match(first) is not None


def _files(path: Path, problems: list[Problem], secrets: Secrets | None) -> Iterator[MapNode]:
    if path.is_dir():
        try:
            children = sorted(path.iterdir())
        except OSError as error:
            problems.append(Problem(f"cannot be read: {error.strerror}", str(path), "check its permissions"))
            return
        for child in children:
            if _ignored(child):
                continue
            if child.suffix in ({""} if child.is_dir() else {"", *SUFFIXES}):
                yield from _files(child, problems, secrets)
            else:
                problems.append(_passed_over(child))
        return
    if path.is_symlink() and not exists(path):
        problems.append(Problem("cannot be read: a link to what does not exist", str(path), f"ls -l {path}"))
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


def _passed_over(path: Path) -> Problem:
    if path.is_dir():
        return Problem(
            f"the directory {path.name!r} would be passed over: with an ending it is none of variable files",
            str(path),
            "give it a name without a dot",
        )
    return Problem(
        f"{path.name!r} would be passed over: {path.suffix} is no variables file's ending",
        str(path),
        f"variable files end in {', '.join(SUFFIXES)}, or have no ending; a copy that is kept ends in .bak",
    )
