"""``--tags`` and its relatives, lists without contact, and play variables, by the command line."""

from __future__ import annotations

import io

import pytest

from .conftest import Project

BOOK = """\
- name: Prepare
  hosts: gpu
  tags: prepare
  tasks: [preflight, stage, pull_image]
- name: Switch
  hosts: gpu
  serial: 1
  tasks:
    - {drain: , tags: traffic}
    - {name: Change what is served, activate: , tags: traffic}
    - {verify: , tags: [traffic, proof]}
    - {undrain: , tags: traffic}
"""


@pytest.fixture
def tagged(project: Project) -> Project:
    (project.path / "playbooks" / "deploy.yml").write_text(BOOK)
    return project


@pytest.mark.parametrize("command", ["plan", "deploy"])
def test_lists_contact_no_host(tagged: Project, command: str) -> None:
    """Hosts and tasks are listed in Ansible's layout, with exit 0 and without any connection."""
    result = tagged.run(command, "--list-hosts", "--list-tasks", "-l", "gpu2", "--tags", "traffic")
    assert result.code == 0
    assert result.out.splitlines()[1:] == [
        "",
        "  play #1 (gpu): Prepare\tTAGS: [prepare]",
        "    pattern: gpu",
        "    hosts (1):",
        "      gpu2",
        "    tasks:",
        "",
        "  play #2 (gpu): Switch\tTAGS: []",
        "    pattern: gpu",
        "    hosts (1):",
        "      gpu2",
        "    tasks:",
        "      drain\tTAGS: [traffic]",
        "      Change what is served\tTAGS: [traffic]",
        "      verify\tTAGS: [proof, traffic]",
        "      undrain\tTAGS: [traffic]",
    ]
    assert tagged.wires == []


def test_a_list_as_json(tagged: Project) -> None:
    """The same as JSON, for programs."""
    plays = tagged.run("plan", "--list-tasks", "--json").json["plays"]
    assert [(play["number"], play["name"]) for play in plays] == [(1, "Prepare"), (2, "Switch")]
    assert [task["task"] for task in plays[0]["tasks"]] == ["preflight", "stage", "pull_image"]


def test_a_syntax_check_reads_everything_and_contacts_no_host(tagged: Project) -> None:
    """It names the playbook, or what is wrong with it."""
    assert tagged.run("deploy", "--syntax-check").out == f"playbook: {tagged.path / 'playbooks' / 'deploy.yml'}\n"
    tagged.edit("verify:", "verfy:", file="playbooks/deploy.yml")
    result = tagged.run("deploy", "--syntax-check")
    assert (result.code, tagged.wires) == (2, [])
    assert "unknown task 'verfy'" in result.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--skip-tags", "proof"], "activates without a `verify` behind it"),
        (["--start-at-task", "activate"], "without a `drain` before"),
        (["--tags", "trafic"], "did you mean 'traffic'?"),
        (["--tags", "traffic,"], "a tag is empty"),
        (["--step"], "nobody is here to answer"),
    ],
)
def test_a_selection_never_takes_the_proof_away(tagged: Project, options: list[str], words: str) -> None:
    """A choice of tasks is held to the same rules as a playbook, before any host is contacted."""
    result = tagged.run("deploy", *options)
    assert result.code == (9 if "--step" in options else 2)
    assert words in result.err
    assert tagged.wires == []


def test_a_condition_never_takes_the_proof_away(tagged: Project) -> None:
    """A condition that leaves one host without a task that its safety needs is refused for that host."""
    tagged.edit("{verify: , tags", "{verify: , when: inventory_hostname == 'gpu1', tags", file="playbooks/deploy.yml")
    result = tagged.run("deploy")
    assert result.code == 2
    assert "activates without a `verify` behind it on gpu2, as its conditions leave it" in result.err
    assert tagged.wires == []


def test_only_what_was_asked_for_is_done(tagged: Project) -> None:
    """With ``--tags`` of the first play, files are put in place and nothing is switched over."""
    assert tagged.run("deploy", "--tags", "prepare").code == 0
    assert sorted(tagged.acts) == ["gpu1 files.stage", "gpu2 files.stage"]


def test_a_proof_alone_records_nothing_that_is_not_active(tagged: Project) -> None:
    """``--tags`` of the proof is refused where the change is still to come, by plan and deploy alike."""
    assert tagged.run("deploy").code == 0
    tagged.edit("serving:1", "serving:2")
    for command in ("plan", "deploy"):
        result = tagged.run(command, "--tags", "proof")
        assert (result.code, tagged.acts) == (5, [])
        assert "gpu1, gpu2: " in result.out + result.err
        assert "is not active yet, so nothing can prove it" in result.out + result.err
    tagged.edit("serving:2", "serving:1")
    assert tagged.run("deploy", "--tags", "proof").last_line == "OK: 2 hosts, nothing to do"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("    - {name: Change", "    - undrain\n    - {name: Change", "without a `drain` before"),
        ("    - {verify", "    - undrain\n    - {verify", "before they are proven"),
        ("    - {undrain: , tags: traffic}\n", "    - undrain\n    - drain\n  always: [undrain]\n", "drains without"),
        ("    - {undrain", "    - activate\n    - {undrain", "before they are proven"),
    ],
)
def test_the_order_of_a_play_is_held_to_its_end(tagged: Project, old: str, new: str, words: str) -> None:
    """A later task that takes away what an earlier one made safe is refused before any host is contacted."""
    tagged.edit(old, new, file="playbooks/deploy.yml")
    result = tagged.run("deploy", "--syntax-check")
    assert (result.code, tagged.wires) == (2, [])
    assert words in result.err


@pytest.mark.parametrize(
    ("answers", "code", "started"), [("y\ny\ny\n", 0, 2), ("c\n", 0, 2), ("y\ny\nn\n", 9, 1), ("\n", 9, 0), ("", 9, 0)]
)
def test_steps_are_asked_for(
    tagged: Project, monkeypatch: pytest.MonkeyPatch, answers: str, code: int, started: int
) -> None:
    """With ``--step`` each wave is asked for; what is not a yes ends the rollout, held."""
    terminal = io.StringIO(answers)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    result = tagged.run("deploy", "--step")
    assert result.code == code
    assert sum("create_and_start" in act for act in tagged.acts) == started
    assert ("HELD: held before wave" in result.last_line) is (code == 9)


def test_play_variables_reach_templates_and_conditions(tagged: Project) -> None:
    """A play's variable is there for templates and conditions, wins over the inventory's, and yields to ``-e``."""
    tagged.edit(
        "{name: Change what is served, activate: ",
        "{name: Change what is served, when: rack == 'r9' and batch == 3, activate: ",
        file="playbooks/deploy.yml",
    )
    template = tagged.path / "templates" / "model.config.j2"
    template.write_text(template.read_text() + "# {{ host.batch }} {{ host.rack }}\n")
    assert "undefined" in tagged.run("plan").err
    tagged.edit("serial: 1\n", "serial: 1\n  vars: {rack: r9, batch: 3}\n", file="playbooks/deploy.yml")
    result = tagged.run("deploy")
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts changed")
    tagged.edit("versions: [1]", "versions: [2]")
    result = tagged.run("deploy", "-e", "rack=r1")
    assert "the playbook has to" not in result.err
    assert not any("reload" in act for act in tagged.acts), "the condition saw -e"


def test_plays_that_disagree_about_a_variable_are_refused(tagged: Project) -> None:
    """What a host serves does not depend on which play is running."""
    tagged.edit("serial: 1\n", "serial: 1\n  vars: {batch: 3}\n", file="playbooks/deploy.yml")
    tagged.edit("tags: prepare\n", "tags: prepare\n  vars: {batch: 4}\n", file="playbooks/deploy.yml")
    result = tagged.run("plan")
    assert (result.code, tagged.wires) == (2, [])
    assert "play 'Switch' sets batch to another value than a play before it" in result.err
    assert tagged.run("plan", "-e", "batch=5").code == 0


def test_a_variable_that_the_inventory_is_made_of_is_not_set_by_a_play(tagged: Project) -> None:
    """An expression of the inventory would go on to give what the inventory's own value gives, in silence."""
    tagged.edit("        rack: r1\n", '        rack: r1\n        zone: "{{ rack }}-a"\n')
    tagged.edit("serial: 1\n", "serial: 1\n  vars: {rack: r9}\n", file="playbooks/deploy.yml")
    result = tagged.run("plan")
    assert (result.code, tagged.wires) == (2, [])
    assert "play 'Switch' sets rack, of which the inventory makes zone" in result.err
    assert tagged.run("plan", "-e", "rack=r2").code == 0
    tagged.edit("{rack: r9}", "{rack: r9, zone: r9-a}", file="playbooks/deploy.yml")
    assert tagged.run("plan").code == 0
    tagged.edit("{rack: r9, zone: r9-a}", "{rack: r1}", file="playbooks/deploy.yml")
    assert tagged.run("plan").code == 0, "it is what the inventory says"


ASKING = BOOK.replace("  tasks:\n    - {drain", "  tasks:\n    - pause: {prompt: Go?}\n    - {drain")


@pytest.mark.parametrize(("options", "code"), [([], 9), (["--yes"], 0)])
def test_a_pause_without_a_terminal(tagged: Project, options: list[str], code: int) -> None:
    """Where nobody can answer the run is held before anything is touched, unless it was agreed to beforehand."""
    (tagged.path / "playbooks" / "deploy.yml").write_text(ASKING)
    result = tagged.run("deploy", *options)
    assert result.code == code
    assert (tagged.acts == []) is (code == 9)
    assert ("a pause asks 'Go?', and nobody is here to answer" in result.err) is (code == 9)


def test_a_pause_that_nobody_comes_to_asks_nothing(tagged: Project) -> None:
    """A run from cron with nothing to do ends with 0, whatever its playbook would ask."""
    assert tagged.run("deploy").code == 0
    (tagged.path / "playbooks" / "deploy.yml").write_text(ASKING)
    result = tagged.run("deploy")
    assert (result.code, result.last_line) == (0, "OK: 2 hosts, nothing to do")


def test_a_plan_names_commands_and_pauses(tagged: Project) -> None:
    """What the playbook does beside the services stands in the plan of the hosts that it concerns."""
    text = ASKING.replace(
        "- {undrain: ", "- {run: {argv: [warm, up]}, when: inventory_hostname == 'gpu2'}\n    - {undrain: "
    )
    (tagged.path / "playbooks" / "deploy.yml").write_text(text)
    hosts = tagged.run("plan", "--json").json["hosts"]
    assert hosts["gpu1"]["further"] == ["pause: ask: Go?"]
    assert hosts["gpu2"]["further"] == ["pause: ask: Go?", "run: warm up"]


@pytest.mark.parametrize("arguments", [("--tags", "traffic"), ("--start-at-task", "drain"), ("--skip-tags", "prepare")])
def test_tasks_that_leave_out_what_activate_needs_are_refused(tagged: Project, arguments: tuple[str, str]) -> None:
    """A version and an image that a host lacks, and that no chosen task brings, refuse the run before it begins."""
    tagged.edit("serving:1", "serving:2")
    for command in ("plan", "deploy"):
        result = tagged.run(command, *arguments)
        said = " ".join(f"{result.out} {result.err}".split())
        assert result.code == 5, said
        assert "version 1 of ranker is not on the host, and no `stage` comes before `activate`" in said
        assert "the image serving:2 is not on the host, and no `pull_image` comes before" in said
        assert tagged.acts == []


def test_what_was_brought_by_an_earlier_run_is_not_asked_for(tagged: Project) -> None:
    """Tasks may be run one after the other: what is on the host by then needs no task any more."""
    assert tagged.run("deploy", "--tags", "prepare").code == 0
    assert tagged.run("deploy", "--tags", "traffic").code == 0
    tagged.edit("versions: [1]", "versions: [2]")
    assert tagged.run("deploy", "--tags", "traffic").code == 5
    assert tagged.run("deploy").code == 0


TWO = """\
- name: First
  hosts: gpu1
  tasks: &tasks [stage, pull_image, drain, activate, verify, undrain]
- name: Second
  hosts: gpu2
  tasks: *tasks
"""


@pytest.fixture
def two(project: Project) -> Project:
    (project.path / "playbooks" / "deploy.yml").write_text(TWO)
    return project


def test_a_play_that_the_limit_leaves_no_host_is_skipped_and_told(two: Project) -> None:
    """As in Ansible, the others are run; their hosts alone are contacted."""
    note = "note: play 'Second': no host is in both the pattern 'gpu2' and the limit 'gpu1': the play is skipped"
    assert "    pattern: gpu2\n    hosts (0):\n" in two.run("deploy", "--list-hosts", "-l", "gpu1").out
    assert note in two.run("plan", "-l", "gpu1").err
    assert note not in two.run("plan", "-q", "-l", "gpu1").err
    result = two.run("deploy", "-l", "gpu1")
    assert (result.code, result.last_line) == (0, "OK: 1 of 1 host changed")
    assert note in result.err
    assert "gpu1" in {act.split()[0] for act in two.acts}
    assert not any(act.startswith("gpu2") for act in two.acts)


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("lb", "play 'First': no host is in both the pattern 'gpu1' and the limit 'lb'"),
        ("gpu1:gpo2", "'gpo2' is neither a group nor a host"),
        ("gpu1:!gpu1", "the limit 'gpu1:!gpu1' matches no host"),
    ],
)
def test_a_limit_never_leaves_nothing_in_silence(two: Project, limit: str, words: str) -> None:
    """A limit that leaves no play any host is refused with each play's place; one with a typo always is."""
    for command in (["deploy"], ["plan", "--list-hosts"]):
        result = two.run(*command, "-l", limit)
        assert (result.code, two.wires) == (2, [])
        assert words in result.err
    assert result.err.count("no host is in both") == (2 if limit == "lb" else 0)
    assert ("deploy.yml:1:3: play 'First'" in result.err) is (limit == "lb")


def test_a_pattern_with_a_typo_is_told_with_its_line(two: Project) -> None:
    """The place of the error is that of the word `hosts` is given, and not the play's."""
    two.edit("hosts: gpu2", "hosts: gpu7", file="playbooks/deploy.yml")
    book = (two.path / "playbooks/deploy.yml").read_text()
    line = next(number for number, row in enumerate(book.splitlines(), 1) if "gpu7" in row)
    assert f"deploy.yml:{line}:10: 'gpu7' is neither" in two.run("validate").err


def test_conditions_and_domains_render_variables(two: Project) -> None:
    """A variable that is an expression counts as what it gives, for `when` and for `spread`."""
    two.edit("rack: r1\n", "rack: '{{ zone }}-1'\n        zone: east\n        many: '{{ 1 + 2 }}'\n")
    two.edit("hosts: gpu1\n", "hosts: gpu1\n  spread: rack\n", file="playbooks/deploy.yml")
    two.edit("[stage, ", "[{stage: , when: many == 3 and rack == 'east-1'}, ", file="playbooks/deploy.yml")
    result = two.run("deploy")
    assert (result.code, result.last_line) == (0, "OK: 2 of 2 hosts changed")
    assert "gpu1 files.stage" in two.acts
    two.edit("zone: east", "zoen: east")
    result = two.run("validate")
    assert result.code == 2
    assert "inventory.yml:9:15: rack: '{{ zone }}-1': 'zone' is undefined" in result.err


def test_a_problem_of_a_template_is_told_once_for_all_hosts(project: Project) -> None:
    """With the template's line, the nearest name, and one of the hosts."""
    project.edit("{{ model.name }}", "{{ host.rak }}", file="templates/model.config.j2")
    path = project.path / "templates" / "model.config.j2"
    line = path.read_text().partition("{{ host.rak")[0].count("\n") + 1
    result = project.run("validate")
    assert result.code == 2
    assert f"{path}:{line}: undefined variable: host has no 'rak', on 2 hosts such as gpu1\n" in result.err
    assert "did you mean 'rack'?" in result.err
    assert result.err.count("error:") == 1
    project.edit("gpu[1:2]: {}", "{gpu1: {rak: x}, gpu2: {}}")
    assert "host has no 'rak', on gpu2\n" in project.run("validate").err


def test_a_template_that_is_missing_is_told_where_the_service_stands(project: Project) -> None:
    """The inventory's line, and what templates there are."""
    project.edit("image: serving:1", "image: serving:1\n            template: model.conf.j2")
    result = project.run("validate")
    assert "inventory.yml:11:" in result.err
    assert "no such template: 'model.conf.j2'" in result.err
    assert "did you mean 'model.config.j2'? templates: model.config.j2" in result.err


def test_a_task_for_the_host_is_told_without_a_service(project: Project) -> None:
    """In a run with several services, `run` and `preflight` are none of theirs."""
    project.edit(
        "balancer:",
        "  other:\n            image: serving:1\n            gpus: none\n            ports: {grpc: 8510, rest: 8511}\n"
        "            bind: 10.0.0.0/8\n            models:\n"
        "              ranker: {source: models/ranker, versions: [1], golden: golden.jsonl}\n        balancer:",
    )
    project.edit("[ranking_rest, ranking_grpc]}", "[ranking_rest, ranking_grpc], other: [ranking_rest]}")
    text = "- {hosts: gpu, tasks: [stage, pull_image, drain, activate, verify, {run: {argv: [warm]}}, undrain]}\n"
    (project.path / "playbooks" / "deploy.yml").write_text(text)
    err = project.run("deploy", "-v").err
    ran = [line for line in err.splitlines() if " run " in line]
    assert ran
    assert not any("ranking: " in line or "other: " in line for line in ran)
    assert "ranking: " in err
