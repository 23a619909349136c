"""Which tests with real hosts have requests running through the balancer, and why the others have none."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

FLEET = Path(__file__).parents[1] / "fleet"
SENDS = {"load", "lost_only_on", "steady_load"}
"""Functions of tests/fleet/load.py that send requests."""

DEPLOYS = {"project", "sample", "empty"}
"""Fixtures with which a test can deploy."""

WITHOUT = {
    "parts of the product are asked past any deploy: no fleet serves that could lose a request": (
        "contract/test_both_balancer.py",
        "contract/test_both_containers.py",
        "contract/test_both_files.py",
        "contract/test_both_serving.py",
        "contract/test_both_sessions.py",
        "contract/test_both_watchdog.py",
        "faults/test_controller.py",
        "remote/test_become.py",
        "remote/test_half_open.py",
        "remote/test_jump.py",
        "remote/test_playbook_commands.py",
        "remote/test_power_loss.py",
        "remote/test_remote_ends.py",
        "remote/test_remote_lab.py",
        "remote/test_remote_shells.py",
        "remote/test_remote_ssh.py",
        "remote/test_remote_stage.py",
        "remote/test_traced.py",
        "test_dropbear.py",
        "test_journal.py",
        "test_lease_contract.py",
        "test_progress.py",
        "test_systemd_host.py",
    ),
    "the lab itself is looked at, or what is in it": (
        "test_doorway.py",
        "test_image_contract.py",
        "test_lab.py",
        "test_sample_project.py",
    ),
    "its only deploy that comes to its end is the first: nobody serves before": (
        "remote/test_jump.py::test_a_deploy_through_jump_hosts",
        "test_deploy_broken.py::test_a_first_deploy_that_fails_leaves_no_container",
        "test_init.py::test_ones_own_hosts_are_served_with_no_more_than_the_comments_tell",
        "test_sample_project.py::test_the_example_is_deployed_in_parts",
    ),
    "nothing is ever deployed: there is nobody to answer": (
        "test_deploy_bad_input.py",
        "test_deploy_broken.py::test_a_service_directory_that_is_not_ours_is_left_alone",
        "test_deploy_trouble.py::test_a_port_that_is_taken_stops_a_first_deploy",
        "test_doctor.py::test_a_host_out_of_reach_is_not_known",
        "test_doctor.py::test_a_socket_that_may_only_be_asked_is_named",
        "test_doctor.py::test_what_is_broken_is_named",
        "test_logs_and_run.py::test_a_command_over_its_deadline_ends_on_the_host_too",
        "test_logs_and_run.py::test_a_second_ctrl_c_stops_at_once_and_leaves_nothing_on_the_hosts",
        "test_logs_and_run.py::test_ctrl_c_ends_what_runs_and_begins_no_further_host",
        "test_logs_and_run.py::test_the_command_ends_with_the_controller_however_that_ends",
        "test_logs_and_run.py::test_what_hosts_print_moves_no_cursor_and_is_whole_for_programs",
    ),
}
"""Why no requests run: in a file's tests that cannot deploy, or in one that can."""


def fixtures(path: Path) -> dict[str, ast.FunctionDef]:
    """Those that a test of the file may ask for, the nearest of each name."""
    places = [folder / "conftest.py" for folder in reversed(path.parents) if folder.is_relative_to(FLEET)]
    return {
        node.name: node
        for place in (*places, path)
        if place.exists()
        for node in functions(place)
        if any("fixture" in ast.unparse(word) for word in node.decorator_list)
    }


def functions(path: Path) -> list[ast.FunctionDef]:
    module = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return [node for node in module.body if isinstance(node, ast.FunctionDef)]


def with_what_it_asks_for(test: ast.FunctionDef, there: dict[str, ast.FunctionDef]) -> dict[str, ast.FunctionDef]:
    """The test and its fixtures, and theirs, by name."""
    found, left = {test.name: test}, [test]
    while left:
        for name in {argument.arg for argument in left.pop().args.args} & there.keys() - found.keys():
            found[name] = there[name]
            left.append(there[name])
    return found


def calls(nodes: Iterator[ast.AST] | Sequence[ast.AST], name: str) -> list[ast.Call]:
    """Calls of a function by its plain name, or of a mark."""
    inside = [found for node in nodes for found in ast.walk(node) if isinstance(found, ast.Call)]
    return [found for found in inside if ast.unparse(found.func) in {name, f"pytest.mark.{name}"}]


def every_test() -> Iterator[tuple[str, ast.FunctionDef, dict[str, ast.FunctionDef]]]:
    """File below tests/fleet, test, and all that it asks for."""
    for path in sorted(FLEET.rglob("test_*.py")):
        there = fixtures(path)
        for node in functions(path):
            if node.name.startswith("test_"):
                yield path.relative_to(FLEET).as_posix(), node, with_what_it_asks_for(node, there)


def under_load(asked: dict[str, ast.FunctionDef]) -> bool:
    own = [node for name, node in asked.items() if name != "served"]
    return bool("served" in asked or any(calls(own, name) for name in SENDS))


def without_load() -> set[str]:
    """Tests that can deploy, by name, and files with others; but for those whose mark has their rule."""
    found = set[str]()
    for file, test, asked in every_test():
        if not under_load(asked) and not calls(test.decorator_list, "without_load"):
            found.add(f"{file}::{test.name}" if asked.keys() & DEPLOYS else file)
    return found


def test_every_fleet_test_is_under_load_or_says_why_not() -> None:
    """A test asks for `served`, sends requests of its own, or has its reason in its mark or in the table above; no
    reason is left of a test that has gone, or is under load.
    """
    said = {place for places in WITHOUT.values() for place in places}
    assert sorted(without_load() - said) == [], "ask for `served`, or say in WITHOUT why no requests run"
    assert sorted(said - without_load()) == [], "said of no test that runs without load"


def test_what_may_be_lost_is_said_with_its_rule() -> None:
    """Whoever opts out, or lets requests be lost on some hosts, names the rule that allows it."""
    found = [
        (path.relative_to(FLEET).as_posix(), call)
        for path in sorted(FLEET.rglob("*.py"))
        for name in ("without_load", "lost_only_on")
        for call in calls(functions(path), name)
    ]
    assert found
    for file, call in found:
        rules = [word.value for word in call.keywords if word.arg == "rule"] or call.args[:1]
        assert rules, f"{file}:{call.lineno}"
        (rule,) = rules
        assert not (isinstance(rule, ast.Constant) and not rule.value), f"{file}:{call.lineno}"
