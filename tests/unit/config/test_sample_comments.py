"""The samples show the whole language, and what their comments say is so."""

from __future__ import annotations

import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml as pyyaml

from fleetdeploy.cli.about.schema import text_of
from fleetdeploy.cli.main import build_parser
from fleetdeploy.config.playbook.load import load_playbook
from fleetdeploy.config.secrets.store import KINDS, SecretStore
from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode, Node
from fleetdeploy.domain.origin import Origin
from fleetdeploy.domain.secret import Secret
from fleetdeploy.planning.waves import FailureBudget
from fleetdeploy.tasks import registry

from .schema_walk import Key, declared, used

ROOT = Path(__file__).parents[3]
SCHEMAS = ROOT / "fleetdeploy/schemas"
KIND_OF = {
    "inventories/example/hosts.yml": "inventory",
    "inventories/*/*_vars/*.yml": "variables",
    "playbooks/*.yml": "playbook",
    "playbooks/includes/*.yml": "tasks",
}
SAMPLES = {path: kind for pattern, kind in KIND_OF.items() for path in sorted(ROOT.glob(pattern))}
NAMES = {str(path.relative_to(ROOT)): path for path in SAMPLES}
OTHER_WORDS = frozenset({
    # Older names of variables that are shown, and what changes nothing where it is right.
    "ansible_ssh_host", "ansible_ssh_port", "ansible_ssh_user", "ansible_private_key_file",
    "ansible_host_key_checking", "ansible_ssh_host_key_checking", "ansible_connection", "ansible_group_priority",
})  # fmt: skip
SAID_BY_THEMSELVES = frozenset({"name", "hosts", "tasks", "children", "services"})
"""Keys that need no comment: they stand in every file, and name what stands below them."""

_DEFAULT = re.compile(r"\(default: ([^,;)]+)")
_COMMAND = re.compile(
    r"^#\s+((?:fleetdeploy|python -m fleetdeploy\.lab\.models|ansible-vault) .*?)(?:\s+# .*)?$", re.MULTILINE
)


class Forms(SecretStore):
    """Notes the keys of every ``!secret``; what is below such a tag is no plain mapping."""

    def __init__(self) -> None:
        super().__init__(reveals=False)
        self.seen: set[str] = set()
        self.vaults = 0

    def referred(self, node: Node, origin: Origin) -> Secret:
        assert isinstance(node, MapNode)
        self.seen |= {str(key) for key in node.entries}
        return super().referred(node, origin)

    def vaulted(self, text: str, origin: Origin) -> Secret:
        self.vaults += 1
        return super().vaulted(text, origin)


@cache
def schema_of(kind: str) -> dict[str, Any]:
    return json.loads(text_of(kind))  # type: ignore[no-any-return]


def common(place: str, kind: str) -> str:
    """One place for what stands in two schemas: inventory files have the variables of groups and hosts in them."""
    if kind == "variables" and place.startswith("#/properties/"):
        return place.replace("#/", "#/$defs/variables/", 1)
    return place


@cache
def keys_of(path: Path) -> tuple[Key, ...]:
    kind = SAMPLES[path]
    found = used(yaml.load(path, secrets=SecretStore()), schema_of(kind))
    return tuple(Key(common(key.place, kind), key.schema, key.line) for key in found)


def all_keys() -> dict[str, str]:
    """Place to name of every key of the language; what is refused wherever it stands is none."""
    found = {}
    for kind in KIND_OF.values():
        for place, schema in declared(schema_of(kind)).items():
            name = place.rpartition("/")[2]
            if name not in OTHER_WORDS and not schema.get("description", "").startswith("not followed"):
                found[common(place, kind)] = name
    return found


def comment_of(path: Path, line: int) -> str:
    """The comment on a line, and on those right below it that hold nothing else; else on those right above it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    _, found, text = lines[line - 1].partition(" # ")
    for more in lines[line:]:
        if not found or not more.strip().startswith("# "):
            break
        text += " " + more.strip()[2:]
    if not found and line > 1 and lines[line - 2].strip().startswith("# "):
        return lines[line - 2].strip()[2:]
    return text


class Editor(pyyaml.SafeLoader):
    """To an editor the tags mean nothing: a vault is the text of its block, a secret a mapping."""


Editor.add_constructor("!vault", lambda loader, node: loader.construct_scalar(node))
Editor.add_constructor("!secret", lambda loader, node: loader.construct_mapping(node, deep=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_first_line_names_the_schema_of_the_file(name: str) -> None:
    """An editor finds the shipped schema of the right kind by the path on top of each sample."""
    path = NAMES[name]
    first = path.read_text(encoding="utf-8").splitlines()[0]
    start, _, reference = first.partition("$schema=")
    assert start == "# yaml-language-server: "
    assert (path.parent / reference).resolve(strict=True) == SCHEMAS / f"{SAMPLES[path]}.json"


@pytest.mark.parametrize("name", NAMES)
def test_each_sample_has_the_shape_that_its_schema_asks_for(name: str) -> None:
    """Neither of the drafts that editors know has anything to say about a sample, read as an editor reads it."""
    path = NAMES[name]
    content = pyyaml.load(path.read_text(encoding="utf-8"), Editor)
    for draft in (jsonschema.Draft7Validator, jsonschema.Draft202012Validator):
        validator = draft(schema_of(SAMPLES[path]))
        assert [f"{item.json_path}: {item.message}" for item in validator.iter_errors(content)] == []


def test_every_key_of_the_language_is_shown() -> None:
    """There is no key, task, argument or form of a secret that a reader of the samples would not meet."""
    shown = {key.place for path in SAMPLES for key in keys_of(path)}
    forms = Forms()
    for path in SAMPLES:
        yaml.load(path, secrets=forms)
    inside = {place for place in all_keys() if "/environment/additionalProperties/properties/" in place}
    assert {place.rpartition("/")[2] for place in inside} == set(KINDS) == forms.seen
    assert forms.vaults == 1
    assert "\n".join(sorted(all_keys().keys() - inside - shown)) == ""
    assert OTHER_WORDS.isdisjoint(key.name for path in SAMPLES for key in keys_of(path))


def test_every_key_is_explained_somewhere() -> None:
    """Each key of the language has a comment beside it in at least one sample."""
    said = {key.place for path in SAMPLES for key in keys_of(path) if comment_of(path, key.line)}
    shown = {key.place: key.name for path in SAMPLES for key in keys_of(path)}
    silent = {place for place, name in shown.items() if name not in SAID_BY_THEMSELVES} - said
    assert "\n".join(sorted(silent)) == ""


def test_defaults_in_comments_are_the_defaults() -> None:
    """Where a comment says `(default: ...)`, that is the schema's default of the key on its line."""
    told, wrong = 0, []
    for path in SAMPLES:
        by_line = {key.line: key for key in keys_of(path)}
        for line, key in by_line.items():
            for text in _DEFAULT.findall(comment_of(path, line)):
                told += 1
                default = key.schema.get("default", ...)
                real = str(default).lower() if isinstance(default, bool) else str(default)
                if text != real:
                    wrong.append(f"{path.relative_to(ROOT)}:{line}: {key.name}: said {text!r}, is {real!r}")
    assert wrong == []
    everywhere = sum(len(_DEFAULT.findall(path.read_text(encoding="utf-8"))) for path in SAMPLES)
    assert told == everywhere > 20


def test_commands_in_comments_can_be_typed() -> None:
    """Every command that a sample names is one, with options that exist and files that are there."""
    found = [text for path in SAMPLES for text in _COMMAND.findall(path.read_text(encoding="utf-8"))]
    ours = [shlex.split(text)[1:] for text in found if text.startswith("fleetdeploy ")]
    assert len(ours) >= 4
    for argv in ours:
        arguments = build_parser().parse_args(argv)
        named = [*(arguments.inventory or ()), *filter(None, [getattr(arguments, "playbook", None)])]
        assert named
        assert [name for name in named if not (ROOT / name).exists()] == []
    assert "python -m fleetdeploy.lab.models inventories/example" in found


def test_files_in_comments_are_there() -> None:
    """A playbook, a variables file or a template that a comment names exists."""
    for path in [*SAMPLES, *ROOT.glob("templates/*")]:
        for name in re.findall(r"[\w./-]+\.yml\b", "\n".join(re.findall(r"#.*", path.read_text(encoding="utf-8")))):
            places = [ROOT, path.parent, ROOT / "inventories/example", ROOT / "inventories/example/group_vars"]
            generated = path.is_relative_to(ROOT / "inventories/lab") and name == "hosts.yml"
            assert generated or any((place / name).exists() for place in places), f"{path.relative_to(ROOT)}: {name}"


def test_the_failure_budget_is_what_the_comment_says() -> None:
    """Of eight hosts the rollout by racks bears the first failure and stops at the second."""
    playbook = load_playbook(ROOT / "playbooks/rolling-by-rack.yml", task_names=registry().keys())
    budget = FailureBudget(8, playbook.plays[1].max_fail_percentage)
    assert [budget.spent(failures) for failures in (1, 2)] == [False, True]
