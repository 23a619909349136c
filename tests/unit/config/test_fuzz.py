"""Trees of the right words in the wrong places: loaders answer with a result or with InputError, and quickly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.inventory.patterns import select
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.domain.inventory import Inventory
from fleetdeploy.errors import InputError

from .limits import within_limits

WORDS = (
    "all", "hosts", "children", "vars", "web", "db", "h1", "h[1:3]", "services", "gpus", "balancer", "ranking", "image",
    "ports", "grpc", "rest", "bind", "models", "ranker", "source", "versions", "latest", "labels", "golden", "requires",
    "flags", "environment", "count", "devices", "memory", "kind", "host", "socket", "pools", "ansible_host",
    "ansible_port", "ansible_user", "ansible_group_priority", "fleetdeploy_known_hosts", "name", "tasks", "always",
    "serial", "soak", "max_unavailable", "on_failure", "drain", "verify", "a:1", "10.0.0.0/8", "7", "10%", "2m", "none",
    "ungrouped",
)  # fmt: skip
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-2, 70000), st.floats(allow_nan=False), st.sampled_from(WORDS))
TREES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=20,
)
SERVICE = {
    "image": "a:1",
    "ports": {"grpc": 1, "rest": 2},
    "bind": "10.0.0.1",
    "models": {"m": {"source": "m", "versions": [7], "golden": "none"}},
}
QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def placed(errors: tuple[object, ...], path: Path) -> bool:
    return all(str(getattr(problem, "where", "")).startswith(str(path)) for problem in errors)


@QUICK
@given(TREES)
def test_any_inventory(tmp_path: Path, tree: object) -> None:
    """Whatever tree an inventory file holds, it is an inventory with hosts, or refused with places."""
    path = tmp_path / "hosts.yml"
    path.write_text(json.dumps(tree))
    try:
        assert within_limits(lambda: load_inventory([path])).hosts
    except InputError as error:
        assert placed(error.problems, path)  # noqa: PT017  both ends of the property


@QUICK
@given(st.dictionaries(st.sampled_from(WORDS), TREES, max_size=4), st.sampled_from(["", "ports", "models"]))
def test_any_service(tmp_path: Path, tree: dict[str, object], below: str) -> None:
    """Whatever is laid over a service that is right, it stays a service or is refused with places."""
    path = tmp_path / "hosts.yml"
    overlay = {below: tree} if below else tree
    group = {"hosts": {"h1": None}, "vars": {"services": {"ranking": {**SERVICE, **overlay}}, "gpus": tree}}
    path.write_text(json.dumps({"web": group}))
    try:
        (service,) = within_limits(lambda: load_inventory([path])).hosts["h1"].services
        assert service.models
    except InputError as error:
        assert placed(error.problems, path)  # noqa: PT017  both ends of the property


@QUICK
@given(TREES | st.lists(st.dictionaries(st.sampled_from(WORDS), TREES, max_size=5), max_size=2))
def test_any_playbook(tmp_path: Path, tree: object) -> None:
    """Whatever tree a playbook file holds, it is a list of plays with tasks, or refused with places."""
    path = tmp_path / "book.yml"
    path.write_text(json.dumps(tree))
    try:
        book = within_limits(lambda: load_playbook(path, task_names=("drain", "verify")))
        assert all(play.tasks for play in book.plays)
    except InputError as error:
        assert placed(error.problems, path)  # noqa: PT017  both ends of the property


@pytest.fixture(scope="module")
def inventory() -> Inventory:
    return load_inventory([Path(__file__).parent / "cases" / "ansible" / "layers" / "hosts.yml"])


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="all:!&,~*?[0]-gpu. @(", max_size=14))
def test_any_pattern(inventory: Inventory, pattern: str) -> None:
    """Whatever the pattern, it names at least one host of the inventory, or is refused."""
    try:
        hosts = within_limits(lambda: select(inventory, pattern))
    except InputError:
        return
    assert hosts
    assert set(hosts) <= set(inventory.hosts)
