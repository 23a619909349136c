"""The fault matrix, F1 to F36: each of its rows is injected by a test with real hosts that `make test` has."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = {f"F{number}" for number in range(1, 37)}


def marks(node: ast.AST) -> list[ast.Call]:
    """Every ``pytest.mark.fault(...)`` in it."""
    calls = [found for found in ast.walk(node) if isinstance(found, ast.Call)]
    return [call for call in calls if ast.unparse(call.func).endswith("mark.fault")]


def rows(calls: list[ast.Call]) -> set[str]:
    return {ast.literal_eval(word) for call in calls for word in call.args}


def functions(module: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]


def on_all(module: ast.Module) -> list[ast.expr]:
    """What ``pytestmark`` is in the module."""
    assigned = [node for node in module.body if isinstance(node, ast.Assign)]
    return [node.value for node in assigned if ast.unparse(node.targets[0]) == "pytestmark"]


def on_tests(module: ast.Module) -> Iterator[ast.Call]:
    """Those that stand on a test function, or by ``pytestmark`` on all of a module that has one."""
    tests = functions(module)
    for node in [decorator for test in tests for decorator in test.decorator_list] + (on_all(module) if tests else []):
        yield from marks(node)


def is_long(node: ast.expr) -> bool:
    """Whether a decorator or ``pytestmark`` marks every case that it stands on as ``long``: itself, or by a parameter
    each of whose values is.
    """
    if isinstance(node, ast.List | ast.Tuple):
        return any(map(is_long, node.elts))
    if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("mark.parametrize"):
        return ast.unparse(node).endswith("mark.long")
    values = node.args[1]
    if isinstance(values, ast.List | ast.Tuple):
        return all("mark.long" in ast.unparse(value) for value in values.elts)
    return isinstance(values, ast.Call) and ast.unparse(values).endswith("in_ci=0)")


def in_short(module: ast.Module) -> Iterator[tuple[str, set[str]]]:
    """The module's tests that have a case which is not ``long``, each with its rows."""
    for test in functions(module):
        there = [*on_all(module), *test.decorator_list]
        if not any(map(is_long, there)):
            yield test.name, rows([call for node in there for call in marks(node)])


def modules(below: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(below.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_every_fault_has_a_test_with_real_hosts() -> None:
    """Each row of the matrix stands on a test below tests/fleet that is not ``long``."""
    found = {row for _, module in modules(TESTS / "fleet") for _, there in in_short(module) for row in there}
    assert sorted(ROWS - found) == []


def test_what_rolling_updates_with_ansible_are_known_for_is_in_every_test_run() -> None:
    """Neither of the two failures is ``long``."""
    path = TESTS / "fleet/test_ansible_failures.py"
    module = ast.parse(path.read_text(encoding="utf-8"), str(path))
    assert [name for name, _ in in_short(module)] == [test.name for test in functions(module)]
    assert len(functions(module)) == 2


def test_every_mark_names_a_row_and_stands_on_a_test() -> None:
    """No mark names a row that does not exist, and none hangs on something that is not run."""
    for path, module in modules(TESTS):
        there = marks(module)
        assert all(call.args and not call.keywords for call in there), path
        assert rows(there) <= ROWS, path
        assert len(there) == len(list(on_tests(module))), path
