"""``run`` and ``exec``: from the command line to the exit code."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from simulation.contract import hold_output
from unit.rollout.reaching.hosts import FakeHost, FakeReach, Log, lost, stamp

from fleetdeploy.cli.main import main
from fleetdeploy.domain.reaching import STDERR, STDOUT, Hear, LogLine
from fleetdeploy.report.story.run_story import RunStory
from fleetdeploy.report.story.verdict import verdict, what_next
from fleetdeploy.rollout.journal.reading import Records
from fleetdeploy.rollout.journal.recorded_runs import RecordedRuns

from .conftest import Project

MANY = """\
    many:
      hosts:
        m[01:21]: {}
"""


def call(project: Project, monkeypatch: pytest.MonkeyPatch, *words: str) -> Any:
    """A command as it is typed."""
    monkeypatch.setattr("sys.argv", ["fleetdeploy", *words])
    return project.run(*words)


def prints(status: int, *pieces: tuple[int, bytes]) -> Callable[[Sequence[str], Hear], int]:
    def act(_argv: Sequence[str], hear: Hear) -> int:
        for piece in pieces:
            hear(*piece)
        return status

    return act


def events(project: Project) -> list[dict[str, Any]]:
    (path,) = (project.path / "state/runs").glob("*/events.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


# run


def test_output_comes_in_blocks_and_the_end_is_told(project: Project, hosts: dict[str, FakeHost]) -> None:
    """The result on stdout, how it ended on stderr."""
    hosts["gpu1"].act = prints(0, (STDOUT, b"up 3 days\n"), (STDERR, b"warned\n"))
    done = project.run("run", "gpu1", "--", "uptime")
    assert (done.code, done.out) == (0, "gpu1: ok, 0.0 s\nup 3 days\nwarned\n")
    assert done.last_line == "OK: done on 1 host"


def test_words_behind_the_dashes_are_the_commands_own(project: Project, hosts: dict[str, FakeHost]) -> None:
    """Options, further dashes and a shell's characters among them."""
    seen = list[Sequence[str]]()
    hosts["gpu1"].act = lambda argv, _hear: seen.append(argv) or 0  # type: ignore[func-returns-value]
    assert project.run("run", "gpu1", "--", "grep", "-l", "--", "a b", "*", "$HOME").code == 0
    assert project.run("run", "gpu1", "--shell", "df | tail -1").code == 0
    assert seen == [["grep", "-l", "--", "a b", "*", "$HOME"], ["sh", "-c", "df | tail -1"]]


@pytest.mark.parametrize(
    ("words", "text"),
    [(["echo hi; ls"], "'echo hi; ls'"), (["cd", "a b"], "'cd '\"'\"'a b'\"'\"''")],
)
def test_who_meant_a_shell_is_told_how_it_is_asked_for(
    project: Project, hosts: dict[str, FakeHost], words: list[str], text: str
) -> None:
    """Where the host has no such program, and not where the shell itself did not find one."""
    hosts["gpu1"].act = prints(127)
    hint = f"what stands behind -- meets no shell; for one: --shell {text}"
    assert hint in project.run("run", "gpu1", "--", *words).out
    assert "--shell" not in project.run("run", "gpu1", "--shell", "nonsense").out


def test_a_recap_has_a_line_for_each_host_that_did_well(project: Project, hosts: dict[str, FakeHost]) -> None:
    """As that of a deploy has one for each that was changed."""
    done = project.run("run", "gpu1:gpu2", "--", "true")
    ok = "ok=1 changed=0 failed=0 unreachable=0 skipped=0 reverted=0"
    assert done.err.splitlines()[-4:] == ["RECAP", f"gpu1 : {ok}", f"gpu2 : {ok}", "OK: done on 2 hosts"]


def test_root_is_asked_for_by_the_command_line(project: Project, reach: FakeReach) -> None:
    """Whatever the inventory says, and only then."""
    assert project.run("run", "gpu1", "--", "id").code == 0
    assert project.run("run", "gpu1", "--become", "--", "id").code == 0
    assert [found.connection.become for found in reach.opened] == [False, True]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--", "gpu1", "reboot"], "the following arguments are required: PATTERN"),
        (["gpu1"], "there is no command"),
        (["gpu1", "--"], "nothing stands behind --"),
        (["gpu1", "uptime"], "unrecognized arguments: uptime"),
        (["gpu1", "--shell", "x", "--", "y"], "--shell and a command behind --"),
        (["gpu1", "--stream", "--json", "--", "y"], "--stream and --json together"),
        (["gpu9", "--", "y"], "gpu9"),
    ],
)
def test_a_command_line_that_is_not_clear_begins_nothing(
    project: Project, hosts: dict[str, FakeHost], words: list[str], told: str
) -> None:
    """A typo never widens the target, and no word of a command is taken for a host."""
    for item in hosts.values():
        item.act = lambda *_: pytest.fail("something was begun")
    done = project.run("run", *words)
    assert done.code == 2
    assert told in done.out + done.err
    assert not (project.path / "state/runs").exists()


@pytest.mark.parametrize("command", ["run", "exec"])
@pytest.mark.parametrize("words", [["-i", "inventory.yml"], ["--inventory=inventory.yml"]])
def test_an_inventory_behind_the_dashes_is_the_commands_own(
    project: Project, capsys: pytest.CaptureFixture[str], command: str, words: list[str]
) -> None:
    """Where none is found, the hint says that the option that was typed belongs to the command there."""
    asked = [command, "gpu1", "--project", str(project.path), "--", "uptime", *words]
    assert main(asked) == 2
    said = capsys.readouterr().err
    assert f"{words[0].partition('=')[0]} stands behind --, where everything belongs to the command" in said
    assert main([*asked[: -len(words)], "now"]) == main([*asked[:2], "-i", "nowhere.yml", *asked[2:]]) == 2
    assert "stands behind --" not in capsys.readouterr().err


def test_a_failure_is_told_with_what_to_type_for_the_hosts_that_have_it(
    project: Project, hosts: dict[str, FakeHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 4: what the command did there is for a person to see."""
    hosts["gpu1"].act = prints(3)
    hosts["gpu2"].trouble = [lost("gpu2")]
    done = call(project, monkeypatch, "run", "all", "--", "false")
    assert done.code == 4
    assert "gpu1: FAILED: ended with status 3, 0.0 s\n" in done.out
    assert "gpu2: UNREACHABLE: no answer\n" in done.out
    assert "lb: ok" in done.out
    assert "gpu1 : ok=0 changed=0 failed=1 unreachable=0 skipped=0 reverted=0" in done.err
    assert "gpu2 : ok=0 changed=0 failed=0 unreachable=1 skipped=0 reverted=0" in done.err
    again = "fleetdeploy run all -l gpu1,gpu2 -- false"
    assert done.last_line == f"FAILED: gpu1, gpu2; done on 1 of 3 hosts; mend it, then: {again}"


def test_quiet_prints_what_fails_alone(project: Project, hosts: dict[str, FakeHost]) -> None:
    """And nothing where nothing does."""
    hosts["gpu1"].act = prints(1, (STDERR, b"why\n"))
    done = project.run("run", "gpu", "-q", "--", "x")
    assert done.out == "gpu1: FAILED: ended with status 1, 0.0 s\nwhy\n"
    done = project.run("run", "gpu2", "-q", "--", "x")
    assert (done.out, done.err) == ("", "")


def test_streamed_lines_have_their_host_before_them(project: Project, hosts: dict[str, FakeHost]) -> None:
    """And each host's end is a line."""
    hosts["gpu1"].act = prints(0, (STDOUT, b"one\ntwo"))
    done = project.run("run", "gpu1", "--stream", "--", "x")
    assert done.out == "gpu1 | one\ngpu1 | two\ngpu1: ok, 0.0 s\n"


def test_what_a_terminal_would_obey_is_shown_as_an_escape(project: Project, hosts: dict[str, FakeHost]) -> None:
    """Hosts print what they like, in blocks as in streams."""
    hosts["gpu1"].act = prints(0, (STDOUT, b"\x1b]0;owned\x07\x9b2J\xff\n"))
    for words in ((), ("--stream",)):
        done = project.run("run", "gpu1", *words, "--", "x")
        assert "\\x1b]0;owned\\x07" in done.out
        assert "\x1b" not in done.out


def test_the_result_for_programs_has_each_hosts_output(project: Project, hosts: dict[str, FakeHost]) -> None:
    """And nothing else stands on stdout."""
    hosts["gpu1"].act = prints(2, (STDOUT, b"a\nb\n"))
    found = project.run("run", "gpu1", "--json", "--", "x").json
    assert (found["exit_code"], found["hosts"]["gpu1"]["state"]) == (4, "failed")
    (command,) = found["commands"]["gpu1"]
    assert (command["status"], command["output"], command["failure"]) == (2, ["a", "b"], "ended with status 2")


def test_more_than_a_few_hosts_are_not_told_without_a_yes(
    project: Project, hosts: dict[str, FakeHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As deploy does; nobody is here to agree."""
    project.edit("    gpu:\n", MANY + "    gpu:\n")
    hosts |= {f"m{number:02}": FakeHost(f"m{number:02}") for number in range(1, 22)}
    monkeypatch.setattr("sys.stdin", io.StringIO())
    done = project.run("run", "many", "--", "reboot")
    assert (done.code, "21 hosts would be told to 'reboot'" in done.err) == (2, True)
    assert project.run("run", "many", "--yes", "--", "reboot").code == 0


def test_the_journal_tells_it_and_resume_leaves_it_alone(
    project: Project, hosts: dict[str, FakeHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person did is theirs to do again."""

    def act(_argv: Sequence[str], hear: Hear) -> int:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            hear(STDOUT, b"")

    hosts["gpu1"].act = act
    done = call(project, monkeypatch, "run", "gpu", "-f", "1", "--", "reboot")
    assert done.code == 130
    assert "no further host is begun" in done.err
    again = "fleetdeploy run gpu -f 1 -l gpu1,gpu2 -- reboot"
    assert done.last_line == f"INTERRUPTED: done on 0 of 2 hosts, not well on gpu1; continue with: {again}"
    kinds = [(event["kind"], event.get("host", "")) for event in events(project)]
    assert kinds == [
        ("run_started", ""), ("plan_made", ""), ("step_started", "gpu1"), ("step_failed", "gpu1"),
        ("host_finished", "gpu1"), ("host_finished", "gpu2"), ("run_finished", ""),
    ]  # fmt: skip
    (run,) = RecordedRuns.list(project.path / "state/runs")
    assert (run.exit_code, run.damage) == (130, None)
    story = RunStory.of(Records(run.path, run=run.id))
    assert story.by
    assert verdict(story).word == "interrupted"
    assert [item.command for item in what_next(story)] == [again]
    for words in ((), (run.id,)):
        monkeypatch.chdir(project.path)
        resumed = project_resume(project, *words)
        assert resumed.code == (2 if words else 0)
        assert "was a command of your own, which is not repeated by itself" in " ".join(resumed.err.split())
        assert "fleetdeploy run gpu -f 1 -- reboot" in " ".join(resumed.err.split())


@pytest.mark.parametrize("words", [("run", "gpu", "--", "id"), ("exec", "gpu", "--", "id")], ids=["run", "exec"])
def test_it_can_be_looked_at_again(
    project: Project, hosts: dict[str, FakeHost], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    """Who gave it, what each host's command ended with and printed last, and that it failed: it mixes no fleet."""
    hosts["gpu2"].act = prints(3, (STDERR, b"E: no such thing\n"))
    done = call(project, monkeypatch, *words)
    assert done.code == 4
    shown = runs(project, "show")
    head, by, *lines = shown.out.splitlines()
    assert head.endswith(f": fleetdeploy {' '.join(words)}")
    assert ", by " in by
    assert "    | E: no such thing" in lines
    assert lines[-1] == done.last_line
    (row,) = runs(project, "list", "--json").json["runs"]
    found = runs(project, "show", "--json").json
    assert row["verdict"] == found["verdict"] == "failed"
    assert row["hosts"] == {"ok": 1, "failed": 1}
    assert {name: host["state"] for name, host in found["hosts"].items()} == {"gpu1": "ok", "gpu2": "failed"}


def runs(project: Project, *words: str) -> Any:
    """``runs``, which takes no inventory either."""
    from fleetdeploy.cli.main import main

    from .conftest import Result

    code = main(["runs", *words, "--state-dir", str(project.path / "state")])
    result = Result(code, *project.capture())
    hold_output(["runs", *words], result.out)
    assert (result.code, result.err) == (0, "")
    return result


def project_resume(project: Project, *words: str) -> Any:
    """``resume`` takes no inventory."""
    from fleetdeploy.cli.main import main

    from .conftest import Result

    code = main(["resume", "--state-dir", str(project.path / "state"), *words])
    return Result(code, *project.capture())


def test_a_secret_that_a_command_prints_is_shown_nowhere(
    project: Project, hosts: dict[str, FakeHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not on the terminal and not in the journal."""
    monkeypatch.setenv("REGISTRY_TOKEN", "s3cr3t-token")
    project.edit("        rack: r1\n", "        rack: r1\n        token: !secret {env: REGISTRY_TOKEN}\n")
    hosts["gpu1"].act = prints(1, (STDOUT, b"token s3cr3t-token\n"))
    done = project.run("run", "gpu1", "--", "cat", "s3cr3t-token")
    (path,) = (project.path / "state/runs").glob("*/events.jsonl")
    assert "token <secret>" in done.out
    assert "s3cr3t" not in done.out + done.err + path.read_text()
    hosts["gpu1"].log_ = Log("a", [LogLine(stamp(1), "token s3cr3t-token")])
    assert project.run("logs", "gpu1").out == "gpu1 | token <secret>\n"
    monkeypatch.delenv("REGISTRY_TOKEN")
    done = project.run("logs", "gpu1")
    assert done.code == 0
    assert done.err.startswith("note: a secret cannot be taken out of what is shown here: ")


def test_a_reader_that_went_away_ends_it_as_for_any_program(
    project: Project, hosts: dict[str, FakeHost], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal has its end all the same."""
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr("sys.stdout", os.fdopen(writer, "w", closefd=False))
    assert project.run("run", "gpu", "-f", "1", "--", "x").code == 141
    (path,) = (project.path / "state/runs").glob("*/events.jsonl")
    *_, end = Records(path, run=path.parent.name)
    assert (end.kind, end.data["exit_code"]) == ("run_finished", 141)


@pytest.mark.parametrize(("words", "code"), [(("--json",), 0), ((), 141)])
def test_a_full_output_is_told_and_is_no_bug(
    project: Project, hosts: dict[str, FakeHost], monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int
) -> None:
    """Where nothing is shown before the end all is done; else no further host is begun, as nobody could read of it."""
    with Path("/dev/full").open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        done = project.run("run", "gpu", "-f", "1", *words, "--", "x")
    assert done.code == code
    assert "error: standard output cannot be written: No space left on device" in done.err
    assert "Traceback" not in done.err
    assert events(project)[-1]["data"]["exit_code"] == code


def test_a_lock_that_is_asked_for_keeps_other_runs_away(project: Project, hosts: dict[str, FakeHost]) -> None:
    """And without it none is taken."""
    seen = list[bool]()
    leases = project.world.hosts["gpu1"].leases
    hosts["gpu1"].act = lambda *_: seen.append(any(item.state == "held" for item in leases.values())) or 0  # type: ignore[func-returns-value]
    assert project.run("run", "gpu1", "--", "x").code == 0
    assert project.run("run", "gpu1", "--lock", "--", "x").code == 0
    assert seen == [False, True]
    assert not any(item.state == "held" for item in leases.values())


# exec


def test_a_command_is_run_in_the_container_of_each_service(project: Project, hosts: dict[str, FakeHost]) -> None:
    """Of the hosts that have one."""
    seen = list[Sequence[str]]()
    for item in hosts.values():
        item.act = lambda argv, hear: (seen.append(argv), hear(STDOUT, b"GPU 0\n"), 0)[2]  # type: ignore[func-returns-value]
    done = project.run("exec", "--", "nvidia-smi", "-L")
    assert (done.code, seen) == (0, [["fleetdeploy-ranking", "nvidia-smi", "-L"]] * 2)
    assert sorted(done.out.splitlines()) == ["GPU 0", "GPU 0", "gpu1/ranking: ok, 0.0 s", "gpu2/ranking: ok, 0.0 s"]
    done = project.run("exec", "--service", "rankign", "--", "x")
    assert (done.code, "ranking" in done.err) == (2, True)
