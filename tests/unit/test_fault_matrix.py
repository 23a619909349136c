"""The fault matrix, F1 to F36: each of its rows is injected by a test with real hosts."""

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


def on_tests(module: ast.Module) -> Iterator[ast.Call]:
    """Those that stand on a test function, or by ``pytestmark`` on all of a module that has one."""
    tests = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    for test in tests:
        for decorator in test.decorator_list:
            yield from marks(decorator)
    for node in module.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark" and tests:
            yield from marks(node)


def modules(below: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted(below.rglob("*.py")):
        yield path, ast.parse(path.read_text(encoding="utf-8"), str(path))


def test_every_fault_has_a_test_with_real_hosts() -> None:
    """Each row of the matrix stands on a test below tests/fleet."""
    found = {row for _, module in modules(TESTS / "fleet") for row in rows(list(on_tests(module)))}
    assert sorted(ROWS - found) == []


def test_every_mark_names_a_row_and_stands_on_a_test() -> None:
    """No mark names a row that does not exist, and none hangs on something that is not run."""
    for path, module in modules(TESTS):
        there = marks(module)
        assert all(call.args and not call.keywords for call in there), path
        assert rows(there) <= ROWS, path
        assert len(there) == len(list(on_tests(module))), path
