"""The JSON Schema of ``plan --json`` describes real plans, all of them, and nothing else."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema
import pytest

from fleetdeploy.cli.about.schema import text_of

from .conftest import Project

pytestmark = pytest.mark.simulation
DRAFTS = (jsonschema.Draft7Validator, jsonschema.Draft202012Validator)


@cache
def validators() -> tuple[Any, ...]:
    schema = json.loads(text_of("plan"))
    return tuple(draft(schema) for draft in DRAFTS)


def wrong(document: object) -> list[str]:
    return [f"{item.json_path}: {item.message}" for one in validators() for item in one.iter_errors(document)]


def first(project: Project) -> None:
    """Nobody has deployed anything yet."""


def nothing(project: Project) -> None:
    project.run("deploy")


def reload(project: Project) -> None:
    nothing(project)
    project.edit("versions: [1]", "versions: [2], labels: {stable: 2}")


def replaced(project: Project) -> None:
    nothing(project)
    project.edit("image: serving:1", "image: serving:2\n            environment: {LEVEL: '1'}")


def stopped(project: Project) -> None:
    nothing(project)
    project.edit("gpus: none", "gpus: none\n            flags: {num_load_threads: 4}")
    project.world.hosts["gpu2"].stop("fleetdeploy-ranking")


def down(project: Project) -> None:
    project.world.hosts["gpu2"].reachable = False


def refused(project: Project) -> None:
    nothing(project)
    project.edit("ranker: {source: models/ranker", "other: {source: models/ranker")


def removed(project: Project) -> None:
    """A model goes."""
    nothing(project)
    shutil.copytree(project.path / "models/ranker", project.path / "models/other")
    project.edit("ranker: {source: models/ranker", "other: {source: models/other")


def withheld(project: Project) -> None:
    """The run as a whole is refused: nobody knows what serves."""
    nothing(project)
    project.edit("versions: [1]", "versions: [2]")
    project.world.balancer_down = True


def with_gpus(project: Project) -> None:
    """The hosts have GPUs of which the model needs memory."""
    project.edit("gpus: none", "gpus: all")
    project.edit("versions: [1],", "versions: [1], requires: {gpu_memory: 1GiB},")


SITUATIONS = (first, nothing, reload, replaced, stopped, down, refused, removed, withheld, with_gpus)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_real_plans_are_as_described(project: Project, situation: Any) -> None:
    """In every kind of situation the document has all keys that the schema names, of the right kinds, and no other."""
    situation(project)
    result = project.run("plan", "--json", *(["--allow-remove"] if situation is removed else []))
    assert result.code == (5 if situation in {down, refused, withheld} else 0), result.err
    assert wrong(result.json) == []
    assert result.json["format"] == 1


def ways(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every object in a document."""
    if isinstance(value, dict):
        yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from ways(item, (*path, key))


def test_a_strange_key_is_refused_everywhere(project: Project) -> None:
    """In no object with a fixed set of keys may one be missing or one more be there."""
    reload(project)
    document = project.run("plan", "--json").json
    free = {"hosts", "services", "unreachable", "environment", "ports", "models", "golden", "labels", "unread"}
    checked = 0
    for path in ways(document):
        if path and path[-1] in free:
            continue
        for key in (None, *(_at(document, path))):
            spoilt = copy.deepcopy(document)
            inner = _at(spoilt, path)
            if key is None:
                inner["strange"] = 1
            else:
                del inner[key]
            assert wrong(spoilt), f"{path}: {key}"
            checked += 1
    assert checked > 100


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        value = value[step]
    return value


def met(schema: dict[str, Any], part: Any, value: Any, found: set[str]) -> None:
    """Add the name of every definition that describes something in a document."""
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        found.add(name)
        part = schema["$defs"][name]
    for choice in part.get("anyOf", []):
        met(schema, choice, value, found) if value is not None else None
    if isinstance(value, dict):
        known, other = part.get("properties", {}), part.get("additionalProperties")
        for key, item in value.items():
            inner = known.get(key, other)
            met(schema, inner, item, found) if isinstance(inner, dict) else None
    if isinstance(value, list) and isinstance(part.get("items"), dict):
        for item in value:
            met(schema, part["items"], item, found)


def test_no_part_of_it_is_only_on_paper(project: Project) -> None:
    """Every definition describes something in one of these plans."""
    schema, found = json.loads(text_of("plan")), set[str]()
    with_gpus(project)
    met(schema, schema, project.run("plan", "--json").json, found)
    project.run("deploy")
    reload(project)
    met(schema, schema, project.run("plan", "--json").json, found)
    project.world.balancer_down = True
    met(schema, schema, project.run("plan", "--json").json, found)
    assert found == schema["$defs"].keys()
