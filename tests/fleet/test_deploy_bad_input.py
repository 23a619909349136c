"""Bad input, as a person meets it on the command line: exit 2 or 7, the place, the next thing to do, no host asked."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from fleetdeploy.lab.fleet import Lab
from tests.fleet.project import INVENTORY, PLAYBOOK, SERVICES, Project

HOSTS = INVENTORY / "hosts.yml"
GOLDEN = INVENTORY / "golden/ranker.jsonl"
MODEL = INVENTORY / "models/ranker/1"
TEMPLATE = Path("templates/model.config.j2")


def _contacted(lab: Lab) -> dict[str, int]:
    """The size of each sshd's log, where every connection leaves a line at once."""
    return {host: (lab.paths.host(host) / "upper/var/log/sshd.log").stat().st_size for host in lab.hosts}


@pytest.fixture
def broken(lab: Lab, told_logs: None, tmp_path: Path) -> Iterator[Project]:
    """A project to break: nobody may be contacted, and no state be written, whatever is done to it."""
    project = Project(lab, tmp_path)
    before = _contacted(lab)
    yield project
    assert _contacted(lab) == before
    assert not (project.state / "runs").exists()


def _edit(before: str, after: str, file: Path = SERVICES) -> Callable[[Project], None]:
    return lambda project: project.edit(before, after, file=file)


def _write(file: Path, text: str) -> Callable[[Project], None]:
    def write(project: Project) -> None:
        (project.root / file).write_text(text, encoding="utf-8")

    return write


def _remove(path: Path) -> Callable[[Project], None]:
    def remove(project: Project) -> None:
        target = project.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()

    return remove


@dataclass(frozen=True)
class Case:
    """``text`` must stand in the message and ``hint`` in the hint; the place is where ``at`` stands in ``file``."""

    spoil: Callable[[Project], None]
    file: Path
    at: str
    text: str
    hint: str = ""
    code: int = 2


def _place(project: Project, file: Path, at: str) -> str:
    """``file:line:column`` of the first place that reads ``at``; the file alone without one."""
    if not at:
        return str(file)
    before, found, _ = (project.root / file).read_text(encoding="utf-8").partition(at)
    assert found, f"{file} does not have {at!r}"
    return f"{file}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


CASES = {
    "an unknown key": Case(
        _edit("versions: [1]", "verions: [1]"), SERVICES, "verions", "verions: unknown key", "'versions'"
    ),
    "a key given twice": Case(
        _edit("    runtime: nvidia\n", "    runtime: nvidia\n    runtime: runc\n"),
        SERVICES, "runtime: runc", "'runtime' is given twice, first at line ", "keep one",
    ),
    "a version that YAML reads as another number": Case(
        _edit("versions: [1]", "versions: [1.10]"), SERVICES, "1.10]", "1.10 (read as the number 1.1)", "a whole number"
    ),
    "a missing value": Case(
        _edit("grpc: 8500, rest: 8501}", "grpc: 8500}"), SERVICES, "ports:", "ports.rest: missing", "REST"
    ),
    "an address for everybody": Case(
        _edit("bind: 10.77.0.0/16", "bind: 0.0.0.0"), SERVICES, "0.0.0.0", "listens on every address", "expose: true"
    ),
    "a pattern that names nothing": Case(
        _edit("hosts: gpu                               # a", "hosts: gpus # a", PLAYBOOK),
        PLAYBOOK, "gpus # a", "'gpus' is neither a group nor a host", "did you mean 'gpu' (a group)",
    ),
    "an unknown task": Case(
        _edit("    - undrain:\n  always", "    - undrian:\n  always", PLAYBOOK),
        PLAYBOOK, "undrian", "unknown task 'undrian'", "'undrain'",
    ),
    "an activation without a proof": Case(
        _edit("    - verify: {timeout: 5m, golden: true, min_healthy_time: 0s}", "    #", PLAYBOOK),
        PLAYBOOK, "name: Switch over", "without a `verify`", "verify:",
    ),
    "a balancer that is no host": Case(_edit("host: lb\n", "host: lb9\n"), SERVICES, "lb9", "no host 'lb9'", "'lb'"),
    "a bracket that is not closed": Case(
        _edit("rest: 8501}", "rest: 8501"), SERVICES, "{grpc", "opened here is not closed", "close the bracket"
    ),
    "a template with an undefined variable": Case(
        _edit("in models %}", "in modells %}", TEMPLATE), TEMPLATE, "", "'modells' is undefined", "'models'"
    ),
    "a template that serves something else": Case(
        _edit('name: "{{ model.name }}"', 'name: "{{ model.name }}2"', TEMPLATE),
        TEMPLATE, "", "leaves out model 'ranker'",
    ),
    "a template that is missing": Case(
        _remove(TEMPLATE), SERVICES, "ranking:", "no such template: 'model.config.j2'", "put it into templates"
    ),
    "a playbook that is missing": Case(_remove(PLAYBOOK), PLAYBOOK, "", "no such playbook", "in playbooks: "),
    "an inventory that is missing": Case(_remove(INVENTORY), INVENTORY, "", "no such inventory", "check the path"),
    "an inventory that is empty": Case(_write(HOSTS, ""), HOSTS, "", "no hosts defined", "`all:`"),
    "a golden file that is missing": Case(
        _remove(GOLDEN), SERVICES, "golden/ranker.jsonl", "ranker.jsonl is not a file", "golden: none"
    ),
    "a version without a golden request": Case(
        _write(GOLDEN, '{"name": "a", "version": 2, "inputs": {"x": 1}, "outputs": {"y": 2}}\n'),
        SERVICES, "golden/ranker.jsonl", "no golden request for version 1 of model 'ranker'", '"version": 1',
    ),
    "a model without saved_model.pb": Case(
        _remove(MODEL / "saved_model.pb"), MODEL / "saved_model.pb", "", "is missing", "expected saved_model.pb", code=7
    ),
    "a model without its variables": Case(
        _remove(MODEL / "variables"), MODEL / "variables/variables.index", "", "every request would fail", code=7
    ),
    "a version that is not there": Case(
        _edit("versions: [1]", "versions: [77]"),
        SERVICES, "[77]", "no version 77", "versions there: 1, 2, 3, 4", code=7,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input_is_told_with_its_place_and_nobody_is_asked(broken: Project, case: Case) -> None:
    """Bad input ends with its exit code, its place, what is wrong and what to do, before any host is contacted.

    The same stands in the JSON that a program reads.
    """
    case.spoil(broken)
    where = _place(broken, case.file, case.at)
    result = broken.deploy(expect=None)
    assert result.code == case.code, str(result)
    assert result.stdout == ""
    assert re.search(rf"^error: {re.escape(where)}:", result.stderr, re.MULTILINE), str(result)
    assert case.text in result.stderr
    assert case.hint in result.stderr
    answer = broken.deploy("--json", expect=case.code).json
    assert answer.keys() == {"exit_code", "error", "problems", "detail"}
    assert answer["exit_code"] == case.code
    found = [item for item in answer["problems"] if case.text in item["message"]]
    assert found, answer
    assert found[0].keys() == {"message", "where", "hint"}
    assert found[0]["where"].startswith(where)
    assert case.hint in found[0]["hint"]


def test_every_problem_of_a_file_is_told_at_once(broken: Project) -> None:
    """Three mistakes in one file are three messages in one run."""
    broken.edit("runtime: nvidia", "runtimes: nvidia")
    broken.edit("ports: {grpc: 8500, rest: 8501}", "ports: {grpc: 85000, rest: 8501}")
    broken.edit("kind: haproxy", "kind: Haproxy")
    problems = broken.deploy("--json", expect=2).json["problems"]
    wrong = {_place(broken, SERVICES, at) for at in ("runtimes", "85000", "Haproxy")}
    assert {item["where"] for item in problems} == wrong


@pytest.mark.parametrize(("words", "text"), [
    (["deploy", "--limit", "gpu9"], "'gpu9' is neither a group nor a host"),
    (["deploy", "--limit", "balancers"], "no host is in both the pattern 'gpu' and the limit 'balancers'"),
    (["deploy", "--limit", "gpu1:!gpu1"], "gpu1:!gpu1"),
    (["deploy", "playbooks/other.yml"], "no such playbook"),
    (["deploy", "-i", "elsewhere"], "no such inventory"),
    (["deploy", "--forks", "0"], "--forks"),
    (["deploy", "--extra-vars", "nonsense"], "'nonsense' is not key=value"),
    (["plan", "--limt", "gpu1"], "--limt"),
    (["status", "gpu9"], "'gpu9' is neither a group nor a host"),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")  # fmt: skip
def test_bad_arguments_end_with_exit_code_2(broken: Project, words: list[str], text: str) -> None:
    """A pattern that names nothing, a file that is not there and an option that does not exist are exit 2."""
    result = broken.run(*words, expect=2)
    assert text in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize("command", ["plan", "validate"])
def test_other_commands_refuse_the_same_input(broken: Project, command: str) -> None:
    """What `deploy` refuses before it contacts a host, `plan` and `validate` refuse with the same words and code."""
    broken.edit("in models %}", "in modells %}", file=TEMPLATE)
    _remove(INVENTORY / "models/ranker/1/saved_model.pb")(broken)
    assert broken.run(command, expect=None).stderr == broken.deploy(expect=7).stderr
