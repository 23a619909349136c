"""The sample project on the command line: complete with models, and its secrets set, every command takes it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetdeploy.cli.main import main
from fleetdeploy.tfserving import stubs

ROOT = Path(__file__).parents[3]
PLAYBOOKS = sorted(path.name for path in (ROOT / "playbooks").glob("*.yml"))
MODELS = {"ranker": (1, 2), "embedder": (1,)}
SECRETS = ("audit-from-a-file", "token-from-the-environment", "salt-from-a-program", "sk-example-0000")
Run = Callable[..., tuple[int, str, str]]


def put_models(inventory: Path) -> None:
    """Models and golden requests where the example asks for them."""
    model = stubs.saved_model_pb2.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    graph.signature_def["serving_default"].inputs["x"].dtype = 1
    graph.signature_def["serving_default"].outputs["y"].dtype = 1
    (inventory / "golden").mkdir()
    for name, versions in MODELS.items():
        for version in versions:
            directory = inventory / "models" / name / str(version)
            directory.mkdir(parents=True)
            (directory / "saved_model.pb").write_bytes(model.SerializeToString())
        line = json.dumps({"name": "one", "inputs": {"x": [[1.0]]}, "outputs": {"y": [[1.0]]}})
        (inventory / f"golden/{name}.jsonl").write_text(line + "\n")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run("validate")`` in a copy of the project; what the comments tell a user to set is set."""
    for name in ("inventories/example", "playbooks", "templates"):
        shutil.copytree(ROOT / name, tmp_path / name)
    put_models(tmp_path / "inventories/example")
    key = tmp_path / "home/.config/fleet/audit.key"
    key.parent.mkdir(parents=True)
    key.write_text(f"{SECRETS[0]}\n")
    key.chmod(0o600)
    program = tmp_path / "bin/pass"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\n[ "$*" = "show fleet/trace-salt" ] && echo {SECRETS[2]}\n')
    program.chmod(0o755)
    (tmp_path / "vault-password").write_text("this-is-only-an-example\n")
    (tmp_path / "vault-password").chmod(0o600)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setenv("FEATURE_STORE_TOKEN", SECRETS[1])
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(tmp_path / "vault-password"))

    def type_it(*words: str) -> tuple[int, str, str]:
        code = main([*words, "-i", "inventories/example"])
        said = capsys.readouterr()
        assert not [secret for secret in SECRETS if secret in said.out + said.err]
        return code, said.out, said.err

    return type_it


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_each_playbook_is_valid_with_the_example(run: Run, playbook: str) -> None:
    """Inventory, playbook, template and models are taken as they are, without a warning."""
    code, out, err = run("validate", f"playbooks/{playbook}")
    assert (code, err) == (0, "")
    hosts = 10 if "hosts: gpu" in (ROOT / "playbooks" / playbook).read_text(encoding="utf-8") else 8
    assert out.startswith(f"OK: {hosts} hosts, ")


@pytest.mark.programs
def test_the_secrets_are_found_out_when_a_plan_is_made(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With everything set, `plan` gets as far as the hosts; without a variable it says which line asks for it."""
    monkeypatch.setattr("fleetdeploy.remote.fleet.SshFleet", NobodyThere)
    code, _, err = run("plan")
    assert (code, "Reached the hosts" in err) == (1, True)
    monkeypatch.delenv("FEATURE_STORE_TOKEN")
    line = "inventories/example/group_vars/ranking.yml:"
    code, _, err = run("plan")
    assert code == 2
    assert line in err
    assert "FEATURE_STORE_TOKEN" in err


class NobodyThere:
    """Where a fleet would be contacted."""

    def __init__(self, **_: object) -> None:
        raise RuntimeError("Reached the hosts")


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_each_playbook_can_be_listed(run: Run, playbook: str) -> None:
    """Hosts, tasks and the syntax of every playbook are told without contacting a host or finding out a secret."""
    path = f"playbooks/{playbook}"
    for command in ("deploy", "plan"):
        assert run(command, "--syntax-check", path) == (0, f"playbook: {path}\n", "")
        code, out, _ = run(command, "--list-tasks", "--list-hosts", path)
        assert code == 0
        assert "gpu1.example.net" in out
        assert "TAGS: [" in out


@pytest.mark.parametrize(
    ("tag", "tasks"),
    [("stage", {"preflight", "stage", "pull_image"}), ("tidy", {"prune"})],
)
def test_tags_of_the_default_playbook(run: Run, tag: str, tasks: set[str]) -> None:
    """Each part of a deploy can be asked for by its tag, or left out."""
    _, out, _ = run("deploy", "--list-tasks", "--json", "--tags", tag)
    assert {task["task"] for play in json.loads(out)["plays"] for task in play["tasks"]} == tasks
    _, out, _ = run("deploy", "--list-tasks", "--json", "--skip-tags", tag)
    assert tasks.isdisjoint(task["task"] for play in json.loads(out)["plays"] for task in play["tasks"])


def test_a_line_of_the_book_can_be_left_out(run: Run) -> None:
    """As the comment says, `--skip-tags book` goes without."""
    titles = [
        run("deploy", "--list-tasks", "playbooks/rolling-by-rack.yml", *words)[1]
        for words in ((), ("--skip-tags", "book"))
    ]
    assert ["our own book" in text for text in titles] == [True, False]


def test_the_template_says_what_it_may_use(run: Run) -> None:
    """A variable of the host and the filter that the template's comment names do what it says."""
    template = Path("templates/model.config.j2")
    text = template.read_text(encoding="utf-8")
    assert "host.rack" in text
    assert "{{ value | pbtxt }}" in text
    template.write_text(text.replace('name: "{{ model.name }}"', "name: {{ model.name | pbtxt }} # {{ host.rack }}"))
    assert run("validate")[0] == 0
    template.write_text(text.replace("{{ service }}:", "{{ host.nowhere }}:"))
    code, _, err = run("validate")
    assert (code, "nowhere" in err) == (2, True)
