"""The rules of the house (see fleetdeploy/ARCHITECTURE.md), held by reading the code."""

from __future__ import annotations

import ast
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from fleetdeploy.tasks import registry

PACKAGE = Path(__file__).parents[2] / "fleetdeploy"
FLOORS = {
    "errors": 0,
    "domain": 1,
    "config": 2,
    "tfserving": 2,
    "planning": 3,
    "gates": 4,
    "tasks": 4,
    "balancers": 4,
    "remote": 5,
    "rollout": 6,
    "report": 7,
    "cli": 8,
    "lab": 9,
}
SIDEWAYS = {("tasks", "gates")}
"""Rooms of one floor of which the first may import the second."""
ALLOWED_UP = {("cli", "lab")}
NETWORK = {"socket", "socketserver", "ssl", "paramiko", "fabric", "grpc", "docker", "requests", "urllib3", "http"}
TIME = {"time", "random", "threading", "signal"}
ALLOWED = {
    **{name: {"remote", "lab"} for name in NETWORK | {"subprocess"}},
    **{name: {"rollout", "remote", "lab"} for name in TIME},
}
EXCEPTIONS = {
    # Loads protobuf modules under a lock, as any thread may be the first to need one.
    ("tfserving/stubs.py", "threading"),
}
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "manager", "common", "misc"}


@cache
def modules() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of the package: its path in it, and its syntax tree."""
    files = sorted(path for path in PACKAGE.rglob("*.py"))
    return tuple((path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text(encoding="utf-8"))) for path in files)


def room_of(path: str) -> str:
    return path.split("/", maxsplit=1)[0].removesuffix(".py")


@cache
def imports(tree: ast.Module) -> tuple[tuple[str, int], ...]:
    """Dotted names of everything imported anywhere in a module, and the lines."""
    return tuple(_imports(tree))


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or "", node.lineno
            yield from ((f"{node.module}.{name.name}", node.lineno) for name in node.names)


def test_imports_only_go_down() -> None:
    """A file imports only from floors below its own, and from its own room."""
    wrong = []
    for path, tree in modules():
        here = room_of(path)
        if here in {"__init__", "__main__"}:
            continue
        for name, line in imports(tree):
            parts = name.split(".")
            if parts[0] != "fleetdeploy" or len(parts) < 2 or parts[1] not in FLOORS:
                continue
            there = parts[1]
            fine = here == there or FLOORS[there] < FLOORS[here] or (here, there) in SIDEWAYS | ALLOWED_UP
            if not fine or (there == "lab" and here not in {"cli", "lab"}):
                wrong.append(f"{path}:{line} imports {name}")
    assert wrong == []


def test_every_room_has_a_floor() -> None:
    """A new room of the package has to be given a floor here."""
    rooms = {room_of(path) for path, _ in modules()} - {"__init__", "__main__"}
    assert rooms == set(FLOORS)


def test_only_some_rooms_touch_network_programs_and_time() -> None:
    """Networks and programs belong to remote and lab; clock, chance and threads to them and to rollout."""
    wrong = []
    for path, tree in modules():
        for name, line in imports(tree):
            top = name.split(".")[0]
            if top in ALLOWED and room_of(path) not in ALLOWED[top] and (path, top) not in EXCEPTIONS:
                wrong.append(f"{path}:{line} imports {name}")
    assert wrong == []


def test_the_exceptions_are_still_needed() -> None:
    """An exception that nobody uses any longer is taken out of the list."""
    used = {(path, name.split(".")[0]) for path, tree in modules() for name, _ in imports(tree)}
    assert used >= EXCEPTIONS


def test_only_config_reads_yaml_and_templates() -> None:
    """YAML is read, and templates are rendered, in config alone; the command line may write YAML, a report has its own
    template.
    """
    wrong = [
        f"{path}:{line} imports {name}"
        for path, tree in modules()
        for name, line in imports(tree)
        if name.split(".")[0] in {"yaml", "jinja2"} and room_of(path) not in {"config", "lab"}
        and (path, name.split(".")[0]) not in {("cli/showing/inventory.py", "yaml"), ("report/html/page.py", "jinja2")}
    ]  # fmt: skip
    assert wrong == []


def test_every_module_says_what_it_is_for() -> None:
    """Every module but an empty one begins with a docstring."""
    assert [path for path, tree in modules() if tree.body and not ast.get_docstring(tree)] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    """No module is called utils, helpers, manager or common."""
    names = {part.removesuffix(".py") for path, _ in modules() for part in path.split("/")}
    assert names & FORBIDDEN_NAMES == set()


def test_files_fit_a_reader() -> None:
    """No module grows far beyond 300 lines."""
    long = {path: len((PACKAGE / path).read_text(encoding="utf-8").splitlines()) for path, _ in modules()}
    assert {path: count for path, count in long.items() if count > 330} == {}


@pytest.mark.programs
@pytest.mark.parametrize("arguments", [["-c", "import fleetdeploy.cli.main"], ["-m", "fleetdeploy", "--help"]])
def test_the_command_line_starts_light(arguments: list[str]) -> None:
    """Neither ``--help`` nor the import of the command line loads TensorFlow, paramiko, pydantic, PyYAML or rich."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "argparse" in loaded
    heavy = {"tensorflow", "tensorflow_serving", "paramiko", "pydantic", "yaml", "rich", "docker", "grpc", "jinja2"}
    assert loaded & heavy == set()


def test_every_task_is_complete() -> None:
    """Every task has its file's name, frozen arguments without unknown keys, and an undo or a reason for none."""
    found = registry()
    files = {path.stem for path in (PACKAGE / "tasks").glob("*.py")} - {"__init__", "step"}
    assert set(found) == files
    for name, task in found.items():
        assert task.name == name
        assert task.arguments.model_config.get("extra") == "forbid"
        assert task.arguments.model_config.get("frozen") is True
        assert isinstance(task.touches_traffic, bool)
        assert task.arguments(), "every argument has a default"
        assert type(task).__doc__
        assert all(field.description for field in task.arguments.model_fields.values())
        assert not task.no_undo or len(task.no_undo) > 10


def test_unit_tests_cannot_leave_the_process() -> None:
    """The guard around unit tests refuses a connection and a program."""
    with socket.socket() as one, pytest.raises(AssertionError, match="unit test"):
        one.connect(("127.0.0.1", 9))
    with pytest.raises(AssertionError, match="unit test"):
        subprocess.run(["true"], check=False)
