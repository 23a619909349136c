"""What a source of an inventory is: a file of one kind, a directory of them, or a list of hosts with commas.

See Ansible's guide "How to build your inventory" and its settings ``INVENTORY_IGNORE_EXTS`` and
``INVENTORY_ENABLED``. Ansible tries one plugin after the other and warns when none reads a file; here the kind is
decided by looking, so that the problems told are those of the kind that was meant.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.config.inventory import vars_files
from fleetdeploy.config.inventory.connection import KNOWN_HOSTS
from fleetdeploy.config.inventory.draft import Draft
from fleetdeploy.config.inventory.ini_reader import read_ini
from fleetdeploy.config.inventory.script_reader import read_script
from fleetdeploy.config.inventory.yaml_reader import read_yaml
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.secret_reader import Secrets
from fleetdeploy.config.syntax.suggest import missing_part
from fleetdeploy.config.syntax.text_file import exists, read_text
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError, Problem

RunScript = Callable[[Path, Sequence[str]], str]
"""Runs an executable inventory with arguments and gives what it prints. Raises InputError."""

_YAML = (".yml", ".yaml", ".json")
_ENDINGS = frozenset({"", ".conf", ".ini", ".hosts", ".inventory", ".toml", *_YAML})
"""Of files in a directory: Ansible tries any other as well, and warns when it makes nothing of it."""
_LISTED = frozenset({*_ENDINGS, ".py", ".sh"}) - {""}
_IGNORED_ENDINGS = (
    ".bak", ".cfg", ".md", ".orig", ".pyc", ".pyo", ".retry", ".rpm", ".rst", ".swp", ".txt", "~",
)  # fmt: skip
_IGNORED_NAMES = frozenset({*vars_files.FOLDERS.values(), "vars_plugins"})
_BESIDE = frozenset({"models", "golden", "known_hosts", "ssh_config"})
"""What fleetdeploy's own layout keeps beside an inventory. Ansible would try to read hosts from it."""
_MODEL_FILES = ("saved_model.pb", "saved_model.pbtxt", "model.tflite")
_YAML_LINE = re.compile(r"""---|%YAML|\{|(?:"[^"]*"|'[^']*'|[^\s=\[#;]+):(?:\s|$)""")
_MOST_NAMED = 6
_DEEPEST = 8


@dataclass(frozen=True)
class SourceFile:
    """An inventory file, and the directory of the source it belongs to: variable files and paths start there."""

    path: Path
    base: Path


def is_host_list(source: Path) -> bool:
    """``h1,h2,``: names with commas, and no file of that name."""
    return "," in str(source) and not exists(source)


def files_of(source: Path, problems: list[Problem]) -> list[SourceFile]:
    """The files of a source that is a file or a directory, in Ansible's order."""
    if not exists(source) and not _is_link(source):
        missing, hint = missing_part(source)
        if missing.parent == Path() and not hint.startswith("did"):
            hint += ": cd into the project, or write the whole path"
        problems.append(Problem("no such inventory", str(source), hint))
        return []
    if not source.is_dir():
        return [SourceFile(source, source.parent)]
    files = [SourceFile(path, source) for path in _below(source, problems, depth=0)]
    # Ansible would put inventories one level down together: prod and lab, for whoever forgets a part of the path.
    if not any(file.path.parent == source for file in files) and not problems:
        problems.append(
            Problem(
                "the directory holds no inventory",
                str(source),
                _elsewhere(source) or "write hosts.yml there, or name another directory",
            )
        )
        return []
    return files


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def read_source_file(
    file: SourceFile, draft: Draft, *, run_script: RunScript | None, secrets: Secrets | None = None
) -> None:
    """Take one inventory file of any kind into ``draft``. Raises InputError with the file's own problems."""
    path = file.path
    if path.suffix == ".toml":
        raise InputError("TOML inventories are not read", where=str(path), hint="convert it to YAML or INI")
    head = _head(path)
    if _is_script(path, head):
        read_script(path, draft, run_script=run_script, secrets=secrets)
    elif head.startswith(b"#!") and path.suffix not in _YAML and os.name == "posix":
        raise InputError(
            "begins with `#!`, but is not executable", where=str(path), hint=f"chmod +x {path}, or remove that line"
        )
    elif path.suffix in _YAML or (not path.suffix and _looks_like_yaml(path)):
        read_yaml(yaml.load(path, what="inventory", secrets=secrets), draft)
    elif head == yaml.VAULT_HEADER[:4].encode() and read_text(path, what="inventory").startswith(yaml.VAULT_HEADER):
        raise InputError(
            "an encrypted inventory is read as YAML only",
            where=str(path),
            hint=f"call it {path.name}.yml if it is YAML; or encrypt a variables file instead",
        )
    else:
        read_ini(path, draft)


def read_host_list(text: str, draft: Draft) -> None:
    """The hosts of ``-i h1,h2:2222,``. Raises nothing; problems are the draft's."""
    origin = Origin(f"-i {text}")
    for name in (part.strip() for part in text.split(",")):
        if "[" in name and not name.startswith("["):
            # Ansible would take the brackets for a part of the name.
            draft.problem(f"{name!r}: a list of hosts has no ranges", origin, "write them into an inventory file")
        elif _is_inventory(name):
            draft.problem(
                f"{name!r} is an inventory file, and a comma makes a host's name of it",
                origin,
                f"write -i {name} without the comma; several inventories are several -i",
            )
        elif name:
            draft.add_hosts(draft.groups["ungrouped"], name, origin)


def _is_inventory(name: str) -> bool:
    """Whether an element of a list is a file that could be an inventory, and so was meant as one."""
    path = Path(name)
    return path.suffix in _LISTED and exists(path) and path.is_file()


def _below(folder: Path, problems: list[Problem], *, depth: int) -> Iterator[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        problems.append(
            Problem(f"the inventory directory cannot be read: {error.strerror}", str(folder), "check its permissions")
        )
        return
    if depth > _DEEPEST:
        problems.append(Problem(f"more than {_DEEPEST} directories deep", str(folder), "a link to a directory above?"))
        return
    for child in children:
        if _ignored(child) or child.name in _BESIDE:
            continue
        if child.is_dir():
            if any((child / name).exists() for name in _MODEL_FILES):
                continue
            if almost := list(vars_files.near_misses([child])):
                problems += almost
                continue
            yield from _below(child, problems, depth=depth + 1)
            if _has_variable_files(child) and any(item.is_file() for item in children if not _ignored(item)):
                problems.append(
                    Problem(
                        f"{child.name} has variable files of its own, which would not be read",
                        str(child),
                        f"an inventory in an inventory: give it with -i {child}, or move its variable files up",
                    )
                )
        elif almost := list(vars_files.near_misses([child])):
            problems += almost
        elif child.name == KNOWN_HOSTS:
            hint = f"call the file known_hosts, and write `{KNOWN_HOSTS}: known_hosts` into the inventory"
            problems.append(
                Problem("is no inventory: a variable of this name says where host keys are", str(child), hint)
            )
        elif child.suffix in _ENDINGS or _is_script(child, _head(child)):
            yield child
        else:
            problems.append(
                Problem(
                    f"{child.suffix} is no inventory's ending",
                    str(child),
                    "models belong below models/, golden requests below golden/; an inventory ends in .yml or .ini",
                )
            )


def _has_variable_files(folder: Path) -> bool:
    """Ansible reads ``group_vars`` beside a source that was given, and not below it."""
    return any((folder / name).exists() for name in vars_files.FOLDERS.values())


def _ignored(path: Path) -> bool:
    return path.name.startswith(".") or path.name in _IGNORED_NAMES or path.name.endswith(_IGNORED_ENDINGS)


def _elsewhere(source: Path) -> str:
    """The inventories one level down, as the options that name them."""
    found = [path for path in sorted(source.iterdir()) if not _ignored(path) and _holds_files(path)]
    return f"did you mean {' or '.join(f'-i {path}' for path in found[:_MOST_NAMED])}?" if found else ""


def _holds_files(path: Path) -> bool:
    try:
        return path.is_dir() and any(child.is_file() and not _ignored(child) for child in path.iterdir())
    except OSError:
        return False


def _head(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(4)
    except OSError:
        return b""  # the reader that is chosen says why


def _is_script(path: Path, head: bytes) -> bool:
    """Executable, and a program: Ansible reads an executable file that is none as any other."""
    return head.startswith((b"#!", b"\x7fELF")) and os.access(path, os.X_OK)


def _looks_like_yaml(path: Path) -> bool:
    """Whether the first line that says anything is YAML: a mapping's key, a brace, or a document's start."""
    text = read_text(path, what="inventory")
    first = next((line.strip() for line in text.splitlines() if line.strip()[:1] not in {"", "#"}), "")
    return _YAML_LINE.match(first) is not None
