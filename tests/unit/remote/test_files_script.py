"""The verbs of ``files.sh``, run by this machine's own shell in a directory of the test."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from simulation.history import remembered

from fleetdeploy.domain.observed import ProvenRelease
from fleetdeploy.planning.rollback import Past, last_good, taken_back
from fleetdeploy.remote.directory.records import history_from_text
from fleetdeploy.remote.directory.verbs import UNLEASED, script_of

SCRIPT = script_of("files.sh")


def verb(name: str, directory: Path, *args: str) -> subprocess.Popen[bytes]:
    argv = ["sh", "-c", SCRIPT, "fleetdeploy", name, str(directory), *UNLEASED, *args]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def done(process: subprocess.Popen[bytes], text: bytes = b"") -> None:
    _, errors = process.communicate(text, timeout=30)
    assert process.returncode == 0, errors


def test_two_writers_of_one_file_do_not_mix(tmp_path: Path) -> None:
    """Each writes under a name of its own; what stands in the end is one of the two texts, whole."""
    home = tmp_path / "service"
    done(verb("write", home, "config/model.config", "6"), b"first\n")
    slow, fast = (verb("write", home, "config/model.config", "6") for _ in range(2))
    assert slow.stdin is not None
    slow.stdin.write(b"slo")
    slow.stdin.flush()
    done(fast, b"fast!\n")
    assert (home / "config/model.config").read_bytes() == b"fast!\n"
    done(slow, b"w!\n")
    assert (home / "config/model.config").read_bytes() == b"slow!\n"
    assert [path.name for path in (home / "config").iterdir()] == ["model.config"]


def test_only_the_deploying_user_gets_in(tmp_path: Path) -> None:
    """Files that a container reads as another user are readable to all, and lie where no other user of the host comes.

    Who opens the directory to others, or has made it beforehand, is not overruled.
    """
    made, there = tmp_path / "above" / "made", tmp_path / "there"
    there.mkdir()
    for home, mode in ((made, 0o700), (there, 0o755)):
        there.chmod(0o755)
        done(verb("write", home, "config/model.config", "2"), b"x\n")
        assert home.stat().st_mode & 0o777 == mode
        assert (home / "config").stat().st_mode & 0o777 == 0o755
        assert (home / "config/model.config").stat().st_mode & 0o777 == 0o644
    assert made.parent.stat().st_mode & 0o777 == 0o755
    made.chmod(0o750)
    done(verb("write", made, "config/model.config", "2"), b"y\n")
    assert made.stat().st_mode & 0o777 == 0o750


def test_half_written_files_are_swept(tmp_path: Path) -> None:
    """What killed writers left goes, whichever process they were; the files themselves stay."""
    home = tmp_path / "service"
    done(verb("write", home, "config/model.config", "2"), b"x\n")
    left = ["config/model.config.fleetdeploy-new.7", "releases/current.fleetdeploy-new", "drained.fleetdeploy-new.12"]
    for name in left:
        (home / name).write_text("half")
    done(verb("sweep", home))
    assert [name for name in left if (home / name).exists()] == []
    assert (home / "config/model.config").read_bytes() == b"x\n"


def test_a_directory_of_somebody_else_is_told_by_the_inventorys_key(tmp_path: Path) -> None:
    """The hint names the key that an operator can change."""
    from types import SimpleNamespace
    from typing import Any, cast

    from fleetdeploy.remote.directory.verbs import NO_ROOM, NOT_OURS, ServiceDirectory
    from fleetdeploy.remote.ssh.channels import CommandResult

    connection = cast("Any", SimpleNamespace(host=SimpleNamespace(name="gpu1")))
    directory = ServiceDirectory(connection, cast("Any", tmp_path))
    error = directory._error("write", CommandResult(NOT_OURS, b"", b"it is not ours"))
    assert "`directory`" in error.hint
    error = directory._error("write", CommandResult(NO_ROOM, b"", b"too little"))
    assert "the task `prune`" in error.hint


def remember(home: Path, number: int, record: bytes = b"{}\n", *, left: str = "", of: str = "abc") -> None:
    line = f'{{"id":"T{number}-{of}","models":{{"ranker":[{number}]}},"took_back":""}}'
    done(verb("release", home, f"T{number}-{of}", str(len(record)), line, left), record)


def remembered_ids(home: Path) -> list[str]:
    return [line.split('"')[3] for line in (home / "releases/history").read_text().splitlines()]


def test_each_proven_release_is_a_line_of_the_history(tmp_path: Path) -> None:
    """The newest 50 stay, oldest first; the same one twice in a row is one line, and lines of others go."""
    home = tmp_path / "service"
    for number in (*range(1, 53), 52, 3):
        remember(home, number, of=f"c{number}")
        if number == 1:
            with (home / "releases/history").open("a") as history:
                history.write('what somebody wrote\n{"id":"T0-torn"')
    assert remembered_ids(home) == [f"T{number}-c{number}" for number in (*range(4, 53), 3)]
    assert (home / "releases/history").stat().st_mode & 0o777 == 0o600
    assert (home / "releases/current").read_text() == "T3-c3\n"


def test_a_release_that_was_left_again_counts_as_never_proven(tmp_path: Path) -> None:
    """Its line and its record go, whatever other release has its content; the one that is back stands there once."""
    home = tmp_path / "service"
    for number, of in ((1, "a"), (2, "b"), (3, "a"), (4, "b")):
        remember(home, number, of=of)
    remember(home, 3, of="a", left="T4-b")
    assert remembered_ids(home) == ["T1-a", "T2-b", "T3-a"]
    assert sorted(path.name for path in (home / "releases").glob("*.json")) == ["T1-a.json", "T2-b.json", "T3-a.json"]
    assert (home / "releases/current").read_text() == "T3-a\n"
    assert "release T3-a, T4-b was left" in (home / "audit.log").read_text()
    done(verb("unrelease", home, "T3-a"))
    assert "no release is current, T3-a was left" in (home / "audit.log").read_text()
    assert remembered_ids(home) == ["T1-a", "T2-b"]
    assert not (home / "releases/current").exists()
    assert not (home / "releases/T3-a.json").exists()


def test_the_first_release_of_all_can_be_left_again(tmp_path: Path) -> None:
    """The history is empty then, and where there never was one none is made."""
    home = tmp_path / "service"
    done(verb("unrelease", home, "T1-a"))
    assert not (home / "releases/history").exists()
    remember(home, 1, of="a")
    done(verb("unrelease", home, "T1-a"))
    assert (home / "releases/history").read_text() == ""


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("xy ")), min_size=3, max_size=9))
def test_a_history_keeps_what_a_rollback_asks_of_it(tmp_path: Path, tail: list[tuple[str, str]]) -> None:
    """Whatever comes again and again pushes out no content, its first proof, or what was taken back."""
    home = tmp_path / secrets.token_hex(4)
    remember(home, 0)
    steps = [("1", ""), ("2", ""), *[(of, took.strip()) for of, took in tail], *[("2", ""), ("3", "")] * 24]
    whole = [ProvenRelease(f"T{at}-{of}", {"m": (1,)}, took) for at, (of, took) in enumerate(steps)]
    texts = [f'{{"id":"{item.id}","models":{{"m":[1]}},"took_back":"{item.took_back}"}}' for item in whole]
    (home / "releases/history").write_text("".join(f"{text}\n" for text in texts[:-1]))
    done(verb("release", home, whole[-1].id, "3", texts[-1], ""), b"{}\n")
    found, damaged = history_from_text((home / "releases/history").read_text())
    assert (len(found), damaged) == (50, 0)
    assert list(found) == remembered(whole[:-1], whole[-1])
    for content in {item.content_hash for item in whole}:
        assert last_good(Past(found, content)) == last_good(Past(tuple(whole), content))
    assert taken_back(found) == taken_back(whole)


def test_a_history_that_cannot_be_read_is_left_as_it_is(tmp_path: Path) -> None:
    """A deploy goes on, and nothing that was proven is lost."""
    home = tmp_path / "service"
    remember(home, 1)
    (home / "releases/history").unlink()
    (home / "releases/history").mkdir()
    remember(home, 2)
    assert (home / "releases/history").is_dir()
    assert (home / "releases/current").read_text() == "T2-abc\n"


def test_records_are_read_and_forgotten_but_never_the_current_one(tmp_path: Path) -> None:
    """Reading changes nothing, not even where there is no such directory; what is current stays whatever is asked."""
    home = tmp_path / "service"
    for number in (1, 2, 3):
        remember(home, number, b"%d\n" % number)
    done(verb("forget", home, "T1-abc", "T3-abc", "T9-abc"))
    assert sorted(path.name for path in (home / "releases").glob("*.json")) == ["T2-abc.json", "T3-abc.json"]
    argv = ["sh", "-c", SCRIPT, "fleetdeploy", "record"]
    for place, name, text in ((home, "T2-abc", b"2\n"), (home, "T1-abc", b""), (tmp_path / "none", "T1-abc", b"")):
        assert subprocess.run([*argv, str(place), *UNLEASED, name], capture_output=True, check=True).stdout == text
    assert not (tmp_path / "none").exists()


def test_only_versions_with_a_manifest_of_ours_are_removed(tmp_path: Path) -> None:
    """A numbered directory that somebody else made stays, even when it is asked for."""
    home = tmp_path / "service"
    done(verb("write", home, "config/model.config", "2"), b"x\n")
    for number in (1, 2):
        (home / f"models/ranker/{number}").mkdir(parents=True)
    (home / "manifests/ranker").mkdir()
    (home / "manifests/ranker/1.sha256").write_text("")
    done(verb("remove", home, "ranker", "1", "2"))
    assert sorted(path.name for path in (home / "models/ranker").iterdir()) == ["2"]
    assert list((home / "manifests/ranker").iterdir()) == []


def test_a_copy_that_can_be_resumed_is_kept_whatever_its_model_is_called(tmp_path: Path) -> None:
    """Also where it is called as what a removal left behind, which goes."""
    staging = tmp_path / "staging"
    done(verb("write", tmp_path, "config/model.config", "2"), b"x\n")
    for name in ("ranker-3-0123456789ab", "removed-x-3-0123456789ab", "removed-ranker-2-77"):
        (staging / name).mkdir(parents=True)
    done(verb("sweep", tmp_path))
    assert sorted(path.name for path in staging.iterdir()) == ["ranker-3-0123456789ab", "removed-x-3-0123456789ab"]
