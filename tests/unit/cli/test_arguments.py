"""What the command line takes, refuses and says about itself."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from fleetdeploy import __version__
from fleetdeploy.cli import options
from fleetdeploy.cli.binding import extra_vars
from fleetdeploy.cli.failures import error_json, print_error
from fleetdeploy.cli.main import build_parser, main
from fleetdeploy.errors import ArtefactRefused, InputError, Interrupted, PreflightRefused, Problem

from .conftest import Project


def commands() -> list[list[str]]:
    """Every command, with its verbs."""
    found = []

    def walk(parser: argparse.ArgumentParser, words: list[str]) -> None:
        nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        found.append(words)
        for action in nested:
            for name, child in action.choices.items():
                walk(child, [*words, name])

    walk(build_parser(), [])
    return found


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_explains_itself(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` works everywhere, exits 0, and says more than usage."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: fleetdeploy")
    assert len(out.splitlines()) > 5


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_help_fits_into_80_columns(
    words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A terminal of the usual width breaks no line of a help page in two."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    assert [line for line in capsys.readouterr().out.splitlines() if len(line) > 80] == []


SAY_NO_MORE = ["docs", "inventory explain", "inventory graph", "inventory host", "inventory list", "lock break",
               "lock show", "logs", "models inspect", "validate"]  # fmt: skip


def test_only_what_can_say_more_has_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the commands with --json those that print the same with -v do not take it."""
    without = []
    for words in commands():
        with pytest.raises(SystemExit):
            main([*words, "--help"])
        page = capsys.readouterr().out
        if "--no-color" in page and "--verbose" not in page:
            without.append(" ".join(words))
    assert sorted(without) == SAY_NO_MORE


@pytest.mark.parametrize("command", ["validate", "inventory", "plan", "deploy", "status", "lab"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands that people type show how."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    assert f"fleetdeploy {command}" in capsys.readouterr().out.split("example", 1)[1]


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    """``--version`` is one line."""
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"fleetdeploy {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        [], ["deplyo"], ["deploy", "--chek"], ["deploy", "--che"], ["inventory"], ["deploy", "-f", "0"],
        ["deploy", "-f", "two"], ["deploy", "-T", "soon"], ["deploy", "--wait-lock", "-1"], ["deploy", "a", "b"],
        ["deploy", "-l"], ["lab", "up", "--hosts", "0"], ["plan", "--yes"], ["inventory", "list", "-q"], ["docs", "-q"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_arguments_are_exit_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Two lines on stderr, the second with the command's help; nothing on stdout, exit 2; nothing is abbreviated."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    captured = capsys.readouterr()
    assert ended.value.code == 2
    assert captured.out == ""
    error, see = captured.err.splitlines()
    assert error.startswith("error: ")
    assert see.removeprefix("    see: fleetdeploy ").removesuffix("--help").split() in (words[:1], words[:2], [])


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["run", "gpu1", "-i", "a b", "uptime"], "fleetdeploy run gpu1 -i 'a b' -- uptime"),
        (["run", "uptime", "uptime"], "fleetdeploy run uptime -- uptime"),
        (["exec", "gpu1", "ls", "--all", "-l", "x"], "fleetdeploy exec gpu1 -- ls --all -l x"),
        (["run", "gpu1", "-e", "token=secret", "uptime"], "fleetdeploy run ... -- uptime"),
    ],
)
def test_a_command_of_ones_own_stands_behind_dashes(
    words: list[str], meant: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command line as it was meant is told, less what may be secret in it."""
    with pytest.raises(SystemExit):
        main(words)
    assert capsys.readouterr().err.splitlines()[1] == f"    the command goes behind --: {meant}"


@pytest.mark.parametrize("words", [["run", "gpu1", "x", "--", "uptime"], ["plan", "a", "b"], ["run", "gpu1", "--frok"]])
def test_other_words_too_many_are_no_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is a command, none is taken, or an option is misspelt, nothing is said of dashes."""
    with pytest.raises(SystemExit):
        main(words)
    assert "behind --" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["deplyo"], "did you mean deploy?"),
        (["inventory", "lsit"], "did you mean list?"),
        (["deploy", "--limti", "gpu1"], "unrecognized arguments: --limti; did you mean --limit?"),
        (["deploy", "a", "b", "--froks=3"], "did you mean --forks?"),
        (["rollback", "--alow-unreachable"], "did you mean --allow-unreachable?"),
        (["--verson"], "did you mean --version?"),
        (["help", "deploy"], "it is an option: fleetdeploy deploy --help"),
        (["help"], "it is an option: fleetdeploy COMMAND --help"),
        (["runs", "help"], "it is an option: fleetdeploy runs COMMAND --help"),
        (["deploy", "--wait-lock", "soon"], "not a duration; expected something like 30s, 2m or 1h30m, at most 7d"),
        (["-i", "inventories/lab", "deploy"], "options go behind it: fleetdeploy COMMAND -i ..."),
        (["--limit=gpu1", "deploy"], "options go behind it: fleetdeploy COMMAND --limit ..."),
        (["lock", "-i", "inventories/lab", "show"], "options go behind it: fleetdeploy lock COMMAND -i ..."),
    ],
)
def test_what_may_have_been_meant(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt command or option, or one in the wrong place, is told in one line with what was meant."""
    with pytest.raises(SystemExit):
        main(words)
    error, _ = capsys.readouterr().err.splitlines()
    assert error.endswith(said)


@pytest.mark.parametrize(
    "words", [["frobnicate"], ["deploy", "--frobnicate"], ["deploy", "-Z"], ["deploy", "--lease-tt"]]
)
def test_nothing_is_guessed_from_afar(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Where no name is like it, and where the only one is none for people, nothing is suggested."""
    with pytest.raises(SystemExit):
        main(words)
    assert "did you mean" not in capsys.readouterr().err


@pytest.mark.parametrize(("text", "found"), [("30", 30.0), ("30s", 30.0), ("2m", 120.0), ("1h30m", 5400.0)])
def test_durations_of_options(text: str, found: float) -> None:
    """A plain number is seconds; units as in playbooks."""
    assert options.seconds(text) == found


def test_extra_vars_as_words_are_text() -> None:
    """As in Ansible, the value of ``key=value`` is always text, quotes group, later ones win."""
    given = ["a=1 b='two words' c=x=y", "a=2"]
    assert extra_vars.parse(given).plain() == {"a": "2", "b": "two words", "c": "x=y"}


def test_extra_vars_as_a_mapping_keep_their_types(tmp_path: Path) -> None:
    """A mapping and a file keep YAML's types; all forms merge in the order given."""
    path = tmp_path / "vars.yml"
    path.write_text("c: [1, two]\nd: {e: 1.5}\na: 0\n")
    assert extra_vars.parse(['{"a": 1, b: true, n: null}', f"@{path}"]).plain() == {
        "a": 0, "b": True, "n": None, "c": [1, "two"], "d": {"e": 1.5},
    }  # fmt: skip


def test_no_extra_vars() -> None:
    """Nothing given is nothing set."""
    assert extra_vars.parse([]).plain() == {}


@pytest.mark.parametrize(
    "text", ["word", "=1", "a-b=1", "{a: 1", "{a: 1, a: 2}", "@/nowhere/vars.yml", "a='unclosed", "[1]", "1a=2"]
)
def test_bad_extra_vars_are_bad_input(text: str) -> None:
    """Whatever does not read as variables is an InputError, never a traceback and never dropped."""
    with pytest.raises(InputError):
        extra_vars.parse([text])


def test_a_list_in_a_variables_file_is_refused(tmp_path: Path) -> None:
    """A file of variables is a mapping."""
    path = tmp_path / "vars.yml"
    path.write_text("- a\n")
    with pytest.raises(InputError, match="is not a mapping"):
        extra_vars.parse([f"@{path}"])


def test_extra_vars_win_over_the_inventory(project: Project) -> None:
    """``-e`` sets variables for all hosts, whatever the inventory says."""
    out = project.run("inventory", "host", "gpu1", "-e", "rack=r9", "--json").json
    assert out["rack"] == "r9"


def test_inventory_list_prints_one_host_a_line(project: Project) -> None:
    """The default is all hosts in inventory order; a pattern narrows it."""
    assert project.run("inventory", "list").out.splitlines() == ["lb", "gpu1", "gpu2"]
    assert project.run("inventory", "list", "gpu:!gpu1").out == "gpu2\n"
    assert project.run("inventory", "list", "-l", "gpu1").out == "gpu1\n"


def test_inventory_list_as_ansible_writes_it(project: Project) -> None:
    """``--json`` has ``_meta.hostvars`` and a key for each group."""
    found = project.run("inventory", "list", "--json").json
    assert set(found["_meta"]["hostvars"]) == {"gpu1", "gpu2"}, "a host without variables is left out, as there"
    assert found["_meta"]["hostvars"]["gpu1"]["rack"] == "r1"
    assert found["gpu"]["hosts"] == ["gpu1", "gpu2"]
    assert "gpu" in found["all"]["children"]


def test_inventory_graph(project: Project) -> None:
    """Groups and hosts as a tree, as ansible-inventory draws it."""
    lines = project.run("inventory", "graph").out.splitlines()
    assert lines[0] == "@all:"
    assert "  |--@gpu:" in lines
    assert "  |  |--gpu2" in lines


def test_errors_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Every problem has its place, its hint below it, and the count at the end; remote output comes last."""
    problems = [Problem("no such key", "a.yml:3:5", "did you mean b?"), Problem("too large")]
    print_error(InputError(problems=problems), as_json=False, no_color=True)
    assert capsys.readouterr().err.splitlines() == [
        "error: a.yml:3:5: no such key",
        "    did you mean b?",
        "error: too large",
        "2 problems; nothing was touched",
    ]
    print_error(PreflightRefused("no", where="gpu1", hint="look", detail="l1\nl2"), as_json=False, no_color=True)
    assert capsys.readouterr().err.splitlines() == ["error: gpu1: no", "    look", "    | l1", "    | l2"]


def test_a_file_full_of_errors_is_told_by_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What people need not see one by one is counted, file by file; programs are given all of it."""
    many = [Problem(f"no {number}", f"{file}:{number}", one_of_many_in=file) for file in "ab" for number in (1, 2, 3)]
    refused = InputError(problems=[Problem("no 0", "a:0"), *many[:-1]])
    print_error(refused, as_json=False, no_color=True)
    assert capsys.readouterr().err.splitlines() == [
        "error: a:0: no 0",
        "and 3 more in a; is it an inventory?",
        "and 2 more in b; is it an inventory?",
        "6 problems; nothing was touched",
    ]
    assert len(error_json(refused)["problems"]) == 6  # type: ignore[arg-type]


def test_errors_as_json() -> None:
    """The exit code in the document is the one that the command ends with."""
    refused = ArtefactRefused("bad", where="m/7", hint="h")
    assert error_json(refused) == {
        "exit_code": 7,
        "error": "ArtefactRefused",
        "problems": [{"message": "bad", "where": "m/7", "hint": "h"}],
        "detail": "",
    }
    assert error_json(Interrupted("stopped", signal_number=15))["exit_code"] == 143
