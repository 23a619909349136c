"""Checking a mapping against a model: typed result, or every problem with its place."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field

from fleetdeploy.config.fields.durations import Duration
from fleetdeploy.config.fields.schema import dotted, validate
from fleetdeploy.config.playbook.schema import PlayFields
from fleetdeploy.config.reserved.service_schema import BalancerFields, GpusFields, ServiceFields
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode, Placed
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    level: int = Field(ge=1, le=5, description="how much")


class Arguments(BaseModel):
    """What a task's arguments look like."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    timeout: Duration = Field(default=300.0, description="how long to wait")
    golden: bool = True
    inner: Inner | None = None
    names: list[str] = Field(default_factory=list)


def problems(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        validate(Arguments, yaml.loads(text, file="f"), what="verify")
    return [f"{problem.where}: {problem.message}" for problem in caught.value.problems]


def test_typed_result() -> None:
    """A mapping that is right becomes a model with its defaults."""
    result = validate(Arguments, {"timeout": "1m30s", "inner": {"level": 2}})
    assert (result.timeout, result.golden, result.inner.level) == (90.0, True, 2)


def test_placed_mapping_knows_its_places() -> None:
    """A plain mapping that came out of a file still names line and column."""
    node = yaml.loads("timeout: 5m\ngoldn: true\n", file="book.yml")
    assert isinstance(node, MapNode)
    with pytest.raises(InputError) as caught:
        validate(Arguments, Placed(node), what="verify")
    assert str(caught.value.problems[0]) == (
        "book.yml:2:1: verify.goldn: unknown key\n    did you mean 'golden'? keys here: golden, inner, names, timeout"
    )


class Needy(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    image: str
    ports: str


def needed(text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        validate(Needy, yaml.loads(text, file="f"))
    return [problem.message for problem in caught.value.problems]


def test_a_misspelt_key_is_one_problem() -> None:
    """That the key is missing which was meant is not told beside it; what else is missing is."""
    assert needed("imagee: x\nports: x\n") == ["imagee: unknown key"]
    assert needed("imagee: x\n") == ["ports: missing", "imagee: unknown key"]
    assert needed("colour: x\nports: x\n") == ["image: missing", "colour: unknown key"]


def test_mapping_without_places() -> None:
    """A mapping from elsewhere is placed at the origin that is given."""
    with pytest.raises(InputError) as caught:
        validate(Arguments, {"golden": "yes"}, what="verify", origin=Origin("book.yml", 3, 5))
    assert str(caught.value) == "book.yml:3:5: verify.golden: expected true or false, got 'yes'"


def test_all_problems_in_file_order_of_kind() -> None:
    """Wrong values, unknown keys, values out of range and nested problems come together."""
    found = problems("timeout: soon\ngolden: 1\ninner: {level: 9, x: 1}\nnames: [a, NO, 012]\nzzz: 1\n")
    assert sorted(found) == [
        "f:1:10: verify.timeout: 'soon' is not a duration",
        "f:2:9: verify.golden: expected true or false, got 1",
        "f:3:16: verify.inner.level: 9 is too large",
        "f:3:19: verify.inner.x: unknown key",
        "f:4:12: verify.names[1]: NO (read as the boolean false) where text is expected",
        "f:4:16: verify.names[2]: 012 is read as the number 10",
        "f:5:1: verify.zzz: unknown key",
    ]


def test_empty_value() -> None:
    """A key without a value is told apart from a wrong value."""
    assert problems("golden:\ninner: {level: }\n") == [
        "f:1:8: verify.golden: the value is missing",
        "f:2:16: verify.inner.level: the value is missing",
    ]


@pytest.mark.parametrize("text", ["[a]", "text", "7"])
def test_not_a_mapping(text: str) -> None:
    """Something else than a mapping is refused as a whole."""
    assert "expected a mapping" in problems(text)[0]


def test_dotted_paths_show_odd_keys_safely() -> None:
    """A key with control characters or dots cannot disguise itself in a message."""
    assert dotted(("services", "r", "models", "a.b", 0, "\x1b[2J")) == "services.r.models['a.b'][0]['\\x1b[2J']"


@pytest.mark.parametrize("model", [ServiceFields, GpusFields, BalancerFields, PlayFields])
def test_every_field_is_described(model: type[BaseModel]) -> None:
    """Each field says what it is for: messages and generated documents take their words from there."""
    pending, seen = [model], set()
    while pending:
        current = pending.pop()
        seen.add(current)
        for name, field in current.model_fields.items():
            assert field.description, f"{current.__name__}.{name}"
        pending += [item for item in _models_in(current) if item not in seen]
    assert model.model_json_schema()["additionalProperties"] is False


def _models_in(model: type[BaseModel]) -> list[type[BaseModel]]:
    import typing

    def walk(annotation: object) -> list[type[BaseModel]]:
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return [annotation]
        return [found for item in typing.get_args(annotation) for found in walk(item)]

    return [found for field in model.model_fields.values() for found in walk(field.annotation)]
