"""A hunt for secrets in everything that commands write, and proof that the hunt finds what is there.

Every kind of secret carries a sentinel. One host's engine answers with an error that repeats them in several forms, as
a careless program would, so that every channel has something to keep in.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from simulation.containers import SimContainers

from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.domain.service import LABEL_SPEC, ContainerSpec
from fleetdeploy.errors import DockerFailed

from .conftest import INVENTORY, Project, Result
from .resumes import KILLED, Shell

pytestmark = pytest.mark.programs
SENTINELS = {
    "vault": "V4ult/sentinel+one?",
    "whole": "Wh0le/sentinel+two?",
    "env": "Env1ronment/sentinel+three?",
    "file": "F1le/sentinel+four?",
    "command": "C0mmand/sentinel+five?",
}
PASSWORD = "pw-of-the-vault"
BLOCK = """\
$ANSIBLE_VAULT;1.2;AES256;prod
63393166333332643833313433643661653861623564303035356233326435393530393564363966
3361333366373039393262623937366264313637326264650a303139326230643565333633656565
39383432323538323730333230306636663233653530386664326563303963326336663164656463
3032636430303933350a616230313362373861363433366637333363396532643063666534306135
35383832353734386235363933396338653961303432653366626461306233383562
"""
WHOLE = """\
$ANSIBLE_VAULT;1.1;AES256
63323564633135633361303431396263393833326134306264393261396430383261343530613661
3330343864663965363938633636326635323937646130350a656230383131656230613038613239
64636232316161393539666433326236336566643262383761346261316466323639653664326431
3930663861323564320a306566353638316563316563616265613935663163626632646135353032
33636337343063663562313638356435386166323430336464363962646333306363
"""
"""Encrypted by Ansible with ``PASSWORD``: the first sentinel, and ``whole:`` with the second."""
VARIABLES = """\
vault_token: !vault |
{block}
token: "{{{{ vault_token }}}}"
from_env: !secret {{env: SENTINEL}}
from_file: !secret {{file: secrets/token}}
from_command: !secret {{command: ["{program}", word]}}
"""
ENVIRONMENT = """\
            environment:
              VAULT: "Bearer {{ token }}"
              WHOLE: "{{ whole }}"
              ENVIRON: "{{ from_env }}"
              COMMAND: "{{ from_command }}"
              FILE: "{{ from_file }}"
              ORDINARY: visible
"""
INPUTS = ("inventory.yml", "group_vars", "secrets", "models", "golden.jsonl", "templates", "playbooks", "ran")


@pytest.fixture
def secretive(project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project with a secret of every kind, in environment variables and in the template."""
    home = project.path
    (home / "secrets").mkdir()
    write(home / "secrets" / "token", SENTINELS["file"])
    write(home / "secrets" / "password", PASSWORD)
    write(
        home / "secrets" / "program", f"#!/bin/sh\necho $1 >>'{home}/ran'\necho '{SENTINELS['command']}'\n", mode=0o700
    )
    monkeypatch.setenv("SENTINEL", SENTINELS["env"])
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(home / "secrets" / "password"))
    (home / "group_vars" / "gpu").mkdir(parents=True)
    block = "".join(f"  {line}\n" for line in BLOCK.splitlines())
    text = VARIABLES.format(block=block, program=home / "secrets" / "program")
    write(home / "group_vars" / "gpu" / "main.yml", text)
    write(home / "group_vars" / "gpu" / "vault.yml", WHOLE)
    write(
        home / "inventory.yml", INVENTORY.replace("            gpus: none\n", f"            gpus: none\n{ENVIRONMENT}")
    )
    project.edit(
        '    model_platform: "tensorflow"\n',
        '    model_platform: "tensorflow"  # {{ host.from_file }}\n',
        file="templates/model.config.j2",
    )
    return project


def write(path: Path, text: str, *, mode: int = 0o600) -> None:
    path.write_text(text)
    path.chmod(mode)


def forms(value: str) -> dict[str, str]:
    """What to look for; the middle of the base64 text is the same wherever in a longer text the value stands."""
    found = {"plain": value, "url": quote(value, safe=""), "url path": quote(value), "form": quote_plus(value)}
    for before in range(3):
        encoded = base64.b64encode(b" " * before + value.encode()).decode()
        found[f"base64 at {before}"] = encoded[4:-4]
        found[f"urlsafe base64 at {before}"] = encoded[4:-4].translate(str.maketrans("+/", "-_"))
    found["json"] = json.dumps(value)[1:-1]
    return found


def hunted(texts: dict[str, str]) -> set[tuple[str, str, str]]:
    """Every sentinel in ``texts``: where, which, and in which form."""
    values = {**SENTINELS, "password": PASSWORD}
    return {
        (where, name, form)
        for where, text in texts.items()
        for name, value in values.items()
        for form, looked_for in forms(value).items()
        if looked_for in text
    }


def written(project: Project) -> Iterator[tuple[str, str]]:
    """Every file that a command may have written: all of the project's but what the user put there."""
    for path in sorted(project.path.rglob("*")):
        relative = path.relative_to(project.path)
        if path.is_file() and relative.parts[0] not in INPUTS:
            yield str(relative), path.read_bytes().decode("utf-8", "replace")


def careless(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let Docker refuse the next container with an error that repeats its whole environment."""
    real = SimContainers.create_and_start

    def refuse(self: SimContainers, spec: ContainerSpec, labels: dict[str, str]) -> None:
        monkeypatch.setattr(SimContainers, "create_and_start", real)
        said = " ".join(f"{name}={value}" for name, value in spec.environment.items())
        encoded = base64.b64encode(f"x{said}".encode()).decode()
        raise DockerFailed(
            f"bad: {said}", where=self.sim.name, hint=f"see ?q={quote_plus(said)}", detail=f"{said}\n{encoded}"
        )

    monkeypatch.setattr(SimContainers, "create_and_start", refuse)


def deploy(project: Project, *arguments: str) -> Result:
    return project.run("deploy", "-y", "--diff", "-vv", "--events", str(project.path / "events.jsonl"), *arguments)


def everything(project: Project, results: dict[str, Result]) -> dict[str, str]:
    texts = {
        f"{name} {stream}": getattr(result, stream) for name, result in results.items() for stream in ("out", "err")
    }
    return {**texts, **dict(written(project))}


def test_no_command_writes_a_secret_anywhere(secretive: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a failed and a good rollout no output, event, journal or record holds a secret in any form."""
    project = secretive
    looked = {
        "validate": project.run("validate"),
        "list": project.run("inventory", "list", "--json"),
        "graph": project.run("inventory", "graph", "--vars"),
        "host": project.run("inventory", "host", "gpu1"),
        "host json": project.run("inventory", "host", "gpu1", "--json"),
        "explain": project.run("inventory", "explain", "gpu1"),
        "explain json": project.run("inventory", "explain", "gpu1", "--json"),
        "explain one": project.run("inventory", "explain", "gpu1", "vault_token"),
    }
    assert {name: result.code for name, result in looked.items()} == dict.fromkeys(looked, 0)
    assert not (project.path / "ran").exists(), "looking at an inventory runs nothing"
    assert looked["list"].json["_meta"]["hostvars"]["gpu1"]["from_env"] == "<secret>"
    planned = {"plan": project.run("plan"), "plan json": project.run("plan", "--json")}
    assert [result.code for result in planned.values()] == [0, 0]
    assert (project.path / "ran").read_text() == "word\n" * 2, "each command finds a secret out once"
    container = planned["plan json"].json["hosts"]["gpu1"]["services"]["ranking"]["container"]
    assert container["environment"] == {
        "COMMAND": "<secret>", "ENVIRON": "<secret>", "FILE": "<secret>", "ORDINARY": "visible", "VAULT": "<secret>",
        "WHOLE": "<secret>",
    } | {name: value for name, value in container["environment"].items() if name.startswith("NVIDIA")}  # fmt: skip
    careless(project, monkeypatch)
    failed = {"failed": deploy(project)}
    assert failed["failed"].code == 3
    assert "<secret>" in failed["failed"].err
    assert "bad: VAULT=<secret> WHOLE=<secret>" in (project.path / "events.jsonl").read_text()
    careless(project, monkeypatch)
    failed["failed json"] = deploy(project, "--json")
    assert "<secret>" in json.dumps(failed["failed json"].json)
    done = {"deploy": deploy(project), "status": project.run("status"), "status json": project.run("status", "--json")}
    assert [result.code for result in done.values()] == [0, 0, 0]
    texts = everything(project, {**looked, **planned, **failed, **done})
    assert sum(name.endswith("events.jsonl") for name in texts) == 4, "three journals and the file of --events"
    held = {name: json.dumps(_held(project, name)) for name in ("gpu1", "gpu2")}
    assert hunted({**texts, **held}) == set()


def _held(project: Project, host: str) -> object:
    """What others may read of a host: the container's labels, and the record's description of the container."""
    sim = project.world.hosts[host]
    record = sim.directory("ranking").release
    assert record is not None
    return [
        dict(record.container),
        record.id,
        [dict(facts.labels) for name in sim.containers if (facts := sim.facts(name))],
    ]


def test_the_containers_got_the_secrets(secretive: Project) -> None:
    """What is hidden from everybody else is what the servers run with."""
    assert deploy(secretive).code == 0
    (container,) = secretive.world.hosts["gpu1"].containers.values()
    found = dict(container.spec.environment)
    assert found["VAULT"] == f"Bearer {SENTINELS['vault']}"
    assert [found[name] for name in ("WHOLE", "ENVIRON", "FILE", "COMMAND")] == list(SENTINELS.values())[1:]


def test_a_rendered_line_that_is_quoted_loses_its_secret(secretive: Project) -> None:
    """What a template makes of a secret is not repeated when the result is refused; `validate` does not know it."""
    secretive.edit("# {{ host.from_file }}", 'odd: "{{ host.from_file }}"', file="templates/model.config.j2")
    results = {command: secretive.run(command) for command in ("plan", "deploy", "validate")}
    for result in results.values():
        assert result.code == 2
        assert 'odd: "<secret>"' in result.err
    assert hunted(everything(secretive, results)) == set()


def test_a_secret_that_stays_changes_nothing_and_a_new_one_is_deployed(
    secretive: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the label nor the release's id give a value away, and still a run sees that it is another one."""
    assert deploy(secretive).code == 0
    label = _label(secretive)
    before = secretive.world.hosts["gpu1"].directory("ranking").release
    assert secretive.run("plan", "--exit-code").code == 0
    monkeypatch.setenv("SENTINEL", "another sentinel")
    planned = secretive.run("plan", "--exit-code")
    assert planned.code == 10
    assert "(a secret changed)" in planned.out
    assert "another sentinel" not in planned.out
    assert deploy(secretive).code == 0
    assert _label(secretive) != label
    assert secretive.run("plan", "--exit-code").code == 0
    after = secretive.world.hosts["gpu1"].directory("ranking").release
    assert before is not None
    assert after is not None
    assert before.id.split("-")[-1] == after.id.split("-")[-1]


def test_a_plan_file_holds_no_secret(secretive: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a new fleet and on one that serves; with the same secrets it is applied, and one that changed is noticed."""
    path, results = secretive.path / "next.plan", {}
    for step in ("first", "second"):
        results[f"plan {step}"] = secretive.run("plan", "--out", str(path))
        assert hunted({"file": path.read_text()}) == set()
        results[step] = secretive.run("deploy", "--diff", str(path))
        assert results[step].code == 0, results[step].err
        secretive.edit("versions: [1]", "versions: [2]") if step == "first" else None
    secretive.edit("versions: [2]", "versions: [3]")
    results["plan third"] = secretive.run("plan", "--out", str(path))
    monkeypatch.setenv("SENTINEL", "another sentinel")
    results["refused"] = secretive.run("deploy", str(path))
    assert (results["refused"].code, secretive.acts) == (5, [])
    assert "activation: reload -> replace" in results["refused"].err
    assert "a secret" in results["refused"].err
    assert "another sentinel" not in results["refused"].err
    assert hunted(everything(secretive, results)) == set()


def test_a_run_that_is_carried_on_keeps_no_secret(secretive: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a killed run leaves holds no secret, nor a value typed with -e; `resume` finds the password where it was."""
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    shell = Shell(secretive, monkeypatch)
    typed, password = ("-e", f"typed={SENTINELS['command']}"), ("--vault-password-file", "secrets/password")
    results = {"killed": shell.killed(("gpu2", "containers.create_and_start"), "deploy", *typed, *password)}
    monkeypatch.chdir(secretive.path / "templates")
    shell.state = "../state"
    results["missing"] = shell("resume")
    results["resumed"] = shell("resume", "-vv", *typed)
    assert [result.code for result in results.values()] == [KILLED, 2, 0], results["resumed"].err
    texts = everything(secretive, results)
    assert sum(name.endswith("wanted.json") for name in texts) == 2
    assert hunted(texts) == set()


def _label(project: Project) -> str:
    host = project.world.hosts["gpu1"]
    found = [facts for name in host.containers if (facts := host.facts(name))]
    (label,) = [facts.labels[LABEL_SPEC] for facts in found if facts.running]
    return label


@pytest.mark.parametrize("form", forms("any/thing+else?"))
def test_the_hunt_knows_every_form(form: str) -> None:
    """A sentinel in any of its forms, in the middle of other text, is found."""
    for name, value in SENTINELS.items():
        assert ("here", name, form) in hunted({"here": f"some {forms(value)[form]} text"})


def test_the_hunt_finds_what_an_unredacted_channel_lets_out(
    secretive: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the redaction the same failure puts secrets into the terminal, the events file and the journal."""
    for method in ("text", "json", "value"):
        monkeypatch.setattr(Redactor, method, lambda _, text: text)
    careless(secretive, monkeypatch)
    result = deploy(secretive)
    assert result.code == 3
    texts = everything(secretive, {"deploy": result})
    (journal,) = (name for name in texts if name.startswith("state/runs") and name.endswith("events.jsonl"))
    found = hunted(texts)
    for where in ("deploy err", "events.jsonl", journal):
        for name in SENTINELS:
            assert (where, name, "plain") in found
            assert (where, name, "form") in found
            assert {form for place, kind, form in found if (place, kind) == (where, name) and "base64" in form}


@pytest.mark.parametrize(
    ("password", "message"), [("wrong", "no vault password fits"), (None, "no password is given"), ("", "is empty")]
)
def test_without_the_right_password_the_place_is_named(
    secretive: Project, monkeypatch: pytest.MonkeyPatch, password: str | None, message: str
) -> None:
    """Exit code 2, the encrypted place, the next step, and nothing secret."""
    if password is None:
        monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    else:
        (secretive.path / "secrets" / "password").write_text(password)
    for command in ("plan", "deploy", "status", "validate"):
        result = secretive.run(command)
        assert result.code == 2
        assert message in result.err
    assert "vault.yml" in secretive.run("validate").err or password == ""
    assert hunted(everything(secretive, {"last": result})) == set()


def test_nobody_is_asked_without_a_terminal(secretive: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cron job with --ask-vault-pass fails instead of waiting."""
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    result = secretive.run("plan", "--ask-vault-pass")
    assert result.code == 2
    assert "nobody is here to ask" in result.err


def test_the_password_that_is_typed_opens_everything(secretive: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a terminal --ask-vault-pass asks once, and what was typed is as secret as the rest."""
    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda prompt: asked.append(prompt) or PASSWORD)
    result = secretive.run("plan", "-J")
    assert (result.code, len(asked)) == (0, 1)
    assert hunted({"out": result.out, "err": result.err}) == set()


def test_an_option_names_the_password_and_extra_variables_may_be_secret(
    secretive: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The option counts instead of the variable, with an id as well; ``-e`` takes vault files and `!secret`."""
    monkeypatch.setenv("ANSIBLE_VAULT_PASSWORD_FILE", str(secretive.path / "missing"))
    home = secretive.path
    write(home / "secrets" / "extra.yml", WHOLE)
    option = f"--vault-password-file=prod@{home / 'secrets' / 'password'}"
    extra = ["-e", f"@{home / 'secrets' / 'extra.yml'}", "-e", "{more: !secret {env: SENTINEL}}"]
    result = secretive.run("inventory", "explain", "gpu1", option, *extra)
    assert result.code == 0
    assert "more: <secret>    # --extra-vars:1:8" in result.out
    assert f"whole: <secret>    # {home / 'secrets' / 'extra.yml'}:1:8" in result.out
    assert secretive.run("plan", option, *extra).code == 0
    assert secretive.run("plan").code == 2


def test_a_bug_does_not_print_a_secret(secretive: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A traceback goes through the redaction like everything else."""

    def broken(self: SimContainers, spec: ContainerSpec, labels: dict[str, str]) -> None:
        raise RuntimeError(f"environment: {dict(spec.environment)}")

    monkeypatch.setattr(SimContainers, "create_and_start", broken)
    result = deploy(secretive)
    assert result.code != 0
    assert "RuntimeError" in result.err
    assert hunted(everything(secretive, {"deploy": result})) == set()


@pytest.mark.parametrize(
    "url", ["https://h.example/T0KEN#x", "https://h.example/T0KEN x", "https://me:T0KEN@h.example", "h.example/T0KEN"]
)
def test_a_refused_webhook_is_not_shown(project: Project, url: str) -> None:
    """An address with a slip in it is as secret as one without."""
    play = f'- hosts: all\n  tasks:\n    - notify: {{url: "{url}"}}\n'
    (project.path / "playbooks" / "deploy.yml").write_text(play)
    for command in ("validate", "plan"):
        result = project.run(command)
        assert result.code == 2
        assert "deploy.yml:3:21: notify.url: this is not a web address" in result.err
        assert "T0KEN" not in result.out + result.err


def test_a_long_rendered_line_is_not_cut_within_a_secret(secretive: Project) -> None:
    """Of a line that is quoted in part, no half of a secret is shown."""
    for pad in range(120, 170, 5):
        text = (secretive.path / "templates" / "model.config.j2").read_text()
        secretive.edit("# {{ host.from_file }}", f'odd: "{"x" * pad} {{{{ host.from_file }}}}"',
                       file="templates/model.config.j2")  # fmt: skip
        result = secretive.run("plan")
        assert result.code == 2
        assert "the line reads: " in result.err
        assert SENTINELS["file"][:4] not in result.err
        (secretive.path / "templates" / "model.config.j2").write_text(text)


def test_a_password_that_nobody_types_is_bad_input(secretive: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D at the question is an answer like an empty line, not a bug."""

    def ended(prompt: str) -> str:
        raise EOFError(prompt)

    monkeypatch.delenv("ANSIBLE_VAULT_PASSWORD_FILE")
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", ended)
    result = secretive.run("plan", "-J")
    assert result.code == 2
    assert "no vault password was typed" in result.err
