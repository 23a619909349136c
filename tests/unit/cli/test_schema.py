"""The schemas for editors say what the loaders say, as far as one file's shape tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fleetdeploy.cli.about.schema import KINDS, text_of
from fleetdeploy.cli.main import main
from fleetdeploy.config.inventory import connection
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.config.syntax import yaml
from fleetdeploy.tasks import registry

ROOT = Path(__file__).parents[3]
CASES = ROOT / "tests/unit/config/cases"
DRAFTS = (jsonschema.Draft7Validator, jsonschema.Draft202012Validator)
# What these are about is told by names in other places, by values that several files make together, by arithmetic, or
# by how a number is written, which a schema does not see.
BEYOND_SHAPE = frozenset({
    "ansible_host_template", "ansible_port_octal", "ansible_port_sexagesimal", "ansible_ssh_common_args",
    "balancer_host", "balancer_no_pool", "balancer_service", "cycle", "gpus_count_octal", "host_and_group",
    "name_date",
    "host_number", "host_port", "host_too_long", "no_hosts", "range_backwards", "range_huge", "range_mixed",
    "range_product_huge", "range_step", "range_widths", "self_cycle", "service_bind_everywhere",
    "service_bind_everywhere_ipv6", "service_bind_everywhere_network", "service_bind_host_bits",
    "service_environment_float", "service_environment_owned", "service_flag_typo", "service_golden_missing",
    "service_golden_null", "service_gpus_not_there", "service_gpus_too_many", "service_image_null",
    "service_label_unlisted", "service_missing_keys", "service_model_name_bool", "service_models_null",
    "service_no_models", "service_port_octal", "service_ports_equal", "service_ports_shared",
    "service_source_missing", "service_templated_value", "service_version_float", "service_version_hex",
    "service_version_octal", "service_version_octal_long", "service_version_sexagesimal",
    "service_version_underscore", "soak_clock", "soak_forever", "two_addresses", "undefined_child",
})  # fmt: skip


@cache
def validators(kind: str) -> tuple[Any, ...]:
    schema = json.loads(text_of(kind))
    return tuple(draft(schema) for draft in DRAFTS)


def found(kind: str, value: object) -> list[str]:
    """What the schema has to say about a value; both drafts must agree whether there is anything."""
    seen = [[f"{item.json_path}: {item.message}" for item in one.iter_errors(value)] for one in validators(kind)]
    assert bool(seen[0]) == bool(seen[1])
    return seen[0]


def content(path: Path) -> object:
    """A file as JSON knows it: every key is a text, a date too."""
    return json.loads(json.dumps(yaml.load(path, secrets=SecretStore()).plain(), default=str))


@pytest.mark.parametrize("kind", KINDS)
def test_each_schema_is_one(kind: str) -> None:
    """Every schema is valid by both drafts that editors know, and all its references lead somewhere."""
    schema = json.loads(text_of(kind))
    for draft in DRAFTS:
        draft.check_schema({**schema, "$schema": draft.META_SCHEMA["$schema"]})
    references = [part["$ref"] for part in parts(schema) if "$ref" in part]
    assert references
    for reference in references:
        place: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert isinstance(place, dict)


def parts(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from parts(inner)


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("inventory", "inventories/example/hosts.yml"),
        ("variables", "inventories/*/*_vars/*.yml"),
        ("playbook", "playbooks/*.yml"),
        ("inventory", "tests/unit/config/cases/ansible/*/hosts.yml"),
    ],
)
def test_good_files_are_good(kind: str, pattern: str) -> None:
    """The samples that people copy from, and inventories that Ansible reads, have nothing wrong with them."""
    files = sorted(ROOT.glob(pattern))
    assert files
    assert {str(path): wrong for path in files if (wrong := found(kind, content(path)))} == {}


def test_what_ansible_reads_is_good(tmp_path: Path) -> None:
    """The YAML files of all inventories that are read as Ansible reads them have nothing wrong with them."""
    wrong, count = {}, 0
    for case in sorted((ROOT / "tests/ansible/cases/read").glob("*.yml")):
        files = content(case)["files"]  # type: ignore[index]
        for name, text in files.items():
            if isinstance(text, str) and name.endswith((".yml", ".yaml", ".json")):
                path = tmp_path / Path(name).name
                path.write_text(text)
                value = content(path)
                kind = "variables" if "group_vars" in name or "host_vars" in name else "inventory"
                if value is not None:
                    wrong[f"{case.stem} {name}"], count = found(kind, value), count + 1
    assert count > 50
    assert {name: said for name, said in wrong.items() if said} == {}


@pytest.mark.parametrize("kind", ["inventory", "playbook"])
def test_bad_files_are_bad(kind: str) -> None:
    """Every file that is refused for its shape is refused by the schema too; the list of the others is exact."""
    cases = {path.stem: path for path in (CASES / f"bad_{kind}").iterdir()}
    accepted = {name for name, path in cases.items() if not found(kind, content(path))}
    assert accepted == BEYOND_SHAPE & cases.keys(), "add to BEYOND_SHAPE what the shape of one file cannot tell"


def test_a_part_of_a_service_is_enough() -> None:
    """In `services` keys may be missing, be null to remove one, or be an expression; a misspelt key is refused."""
    part = {"ranking": {"flags": None, "memory": "{{ most }}", "models": {"old": None, "new": {"versions": [8]}}}}
    assert found("variables", {"services": part}) == []
    assert found("variables", {"services": {"ranking": {"modells": {}}}})
    assert found("variables", {"services": {"ranking": {"models": {"new": {"versions": [0]}}}}})


def test_what_is_whole_in_one_file_is_asked_for() -> None:
    """`gpus` and `balancer` do not merge, so what they lack is missing."""
    assert found("variables", {"gpus": {"model": "L40S"}})
    assert found("variables", {"gpus": {"count": 8, "memory": "80GiB"}}) == []
    assert found("variables", {"balancer": {"kind": "haproxy"}})


def test_other_variables_are_free() -> None:
    """A variable that is not reserved may hold anything."""
    assert found("variables", {"rack": 7, "service": ["nginx"], "deep": {"er": None}}) == []
    assert found("variables", None) == []


def test_every_connection_variable_is_known() -> None:
    """What is read or refused when hosts are reached has a place in the schema."""
    properties = json.loads(text_of("variables"))["properties"]
    assert properties.keys() >= connection._ALL


def test_a_secret_may_stand_in_the_environment() -> None:
    """`!secret`, which an editor sees as a mapping, is accepted for a variable of a container, and nowhere else."""
    secret = {"env": "TOKEN"}
    assert found("variables", {"services": {"ranking": {"environment": {"TOKEN": secret}}}}) == []
    assert found("variables", {"services": {"ranking": {"image": secret}}})


@pytest.mark.parametrize(
    "play",
    [
        {"tasks": ["drian"]},
        {"tasks": [{"drain": {"timeout": "soon"}}]},
        {"tasks": [{"prune": {"kepe": 3}}]},
        {"tasks": [{"drain": None, "verify": None}]},
        {"tasks": [{"drain": None, "run_once": True}]},
        {"tasks": [{"include_tasks": "more.yml", "run_once": True}]},
        {"tasks": [{"drain": None, "environment": {"A": "b"}}]},
        {"tasks": ["drain"], "environment": {"A-B": "c"}},
        {"tasks": ["drain"], "environment": {"A": ["c"]}},
        {"tasks": ["drain"], "when": "rack == 'r1'"},
        {"tasks": [{"name": "nothing"}]},
        {"tasks": [{"drain": None, "tags": "all"}]},
        {"tasks": ["drain"], "serial": ["1", "0%"]},
        {"tasks": ["drain"], "order": "random"},
    ],
)
def test_plays_that_are_wrong(play: dict[str, object]) -> None:
    """Unknown tasks, arguments, values and combinations of keys are refused."""
    assert found("playbook", [{"hosts": "all", **play}])


def test_plays_that_are_right() -> None:
    """Tasks with and without arguments and keywords, includes and other playbooks are accepted."""
    tasks: list[object] = ["drain", {"verify": {"times": 5}, "name": "prove", "tags": "a, b", "when": "rack == 'r1'"}]
    play = {"hosts": "gpu", "tasks": [*tasks, {"include_tasks": "more.yml", "tags": ["c"]}], "serial": [1, "10%"]}
    assert found("playbook", [play, {"import_playbook": "other.yml"}]) == []
    run = {"run": {"argv": ["x"]}, "environment": {"A": "b", "N": 7, "T": {"env": "TOKEN"}}}
    more = {"include_tasks": "more.yml", "environment": {"A": "b"}}
    assert found("playbook", [{"hosts": "gpu", "environment": {"A": "b"}, "tasks": [run, more]}]) == []
    assert found("tasks", tasks) == []


def test_every_task_and_key_is_explained() -> None:
    """Each task, argument, key of a play and key of a service has a description to hover over."""
    playbook, variables = json.loads(text_of("playbook")), json.loads(text_of("variables"))
    objects = [part for schema in (playbook, variables) for name, part in schema["$defs"].items() if name != "task"]
    keys = [(name, item) for part in objects for name, item in part.get("properties", {}).items()]
    assert len(keys) > 60
    assert [name for name, item in keys if not item.get("description")] == []
    entry = playbook["$defs"]["task"]["else"]["properties"]
    assert registry().keys() <= entry.keys()
    assert all(item["description"] for item in entry.values())


def test_patterns_have_words() -> None:
    """Where a text has to match a pattern, the editor is told in words what is expected."""
    service = json.loads(text_of("variables"))["$defs"]["service"]["properties"]
    assert service["image"]["patternErrorMessage"] == "expected image: the container image, best with its digest"
    for kind in KINDS:
        parsed = json.loads(text_of(kind))
        assert [part for part in parts(parsed) if "pattern" in part and "patternErrorMessage" not in part] == []


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_schemas_are_up_to_date(kind: str) -> None:
    """The schemas that are shipped are those that the command writes."""
    shipped = ROOT / "fleetdeploy/schemas" / f"{kind}.json"
    renew = f"renew it: python -m fleetdeploy schema {kind} -o fleetdeploy/schemas/{kind}.json"
    assert shipped.read_text(encoding="utf-8") == text_of(kind), renew


def test_the_command_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`-o` writes what is printed without it, and prints nothing."""
    assert main(["schema", "playbook"]) == 0
    printed = capsys.readouterr().out
    assert main(["schema", "playbook", "-o", str(tmp_path / "new/playbook.json")]) == 0
    assert (tmp_path / "new/playbook.json").read_text(encoding="utf-8") == printed == text_of("playbook")
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target that is a directory is bad input, with its name."""
    assert main(["schema", "playbook", "-o", str(tmp_path)]) == 2
    assert str(tmp_path) in capsys.readouterr().err


def test_the_help_says_how_editors_find_it(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` shows the line that a file begins with."""
    with pytest.raises(SystemExit):
        main(["schema", "--help"])
    assert "# yaml-language-server: $schema=" in capsys.readouterr().out
