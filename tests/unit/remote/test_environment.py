"""Variables of a remote command, by this machine's own shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleetdeploy.remote.environment import with_environment

SHELLS = [["sh"], *([["bash", "--posix"]] if shutil.which("bash") else [])]
SHELLS += [["busybox", "sh"]] if shutil.which("busybox") else []
PRINT = ["sh", "-c", 'printf "%s|" "$A" "$B" "$@"; cat', "x", "a b", "$A"]
BARE = {"PATH": "/usr/bin:/bin", "B": "before"}


def run(argv: list[str], stdin: bytes, shell: list[str] | None = None) -> subprocess.CompletedProcess[bytes]:
    words = [*shell, *argv[1:]] if shell else argv
    return subprocess.run(words, input=stdin, capture_output=True, env=BARE, timeout=60, check=False)


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_values_arrive_as_they_are(shell: list[str], value: str) -> None:
    """Whatever a value holds, quotes, newlines and what looks like code, is its text; words stay words."""
    argv, stdin = with_environment(PRINT, {"A": value})
    done = run(argv, stdin, shell)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == f"{value}|before|a b|$A|".encode()


def test_the_value_is_on_no_command_line() -> None:
    """What is started has the words of the command and nothing of the values."""
    argv, stdin = with_environment(["env"], {"TOKEN": "hush-hush"})
    assert "hush-hush" not in " ".join(argv)
    assert b"hush-hush" in stdin
    assert with_environment(["a", "b"], {}) == (["a", "b"], b"")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_a_script_that_is_cut_off_starts_nothing(tmp_path: Path, shell: list[str]) -> None:
    """Wherever the connection ends, the command does not run with half of its variables, and that is no success."""
    made = tmp_path / "made"
    argv, stdin = with_environment(["touch", str(made)], {"A": "it's", "B": "2"})
    for length in range(len(stdin) - len(b' "$@" </dev/null')):
        assert run(argv, stdin[:length], shell).returncode != 0, length
        assert not made.exists(), length
    assert run(argv, stdin, shell).returncode == 0
    assert made.exists()


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_how_the_command_ends_is_how_it_ends(tmp_path: Path, shell: list[str]) -> None:
    """Its status comes back; one that is not there ends as always, and PATH is a variable like any other."""
    argv, stdin = with_environment(["sh", "-c", "exit 4"], {"A": "1"})
    assert run(argv, stdin, shell).returncode == 4
    argv, stdin = with_environment(["fleetdeploy-probe"], {"PATH": str(tmp_path)})
    assert run(argv, stdin, shell).returncode == 127
    (tmp_path / "fleetdeploy-probe").write_text("#!/bin/sh\nexit 5\n")
    (tmp_path / "fleetdeploy-probe").chmod(0o755)
    assert run(argv, stdin, shell).returncode == 5
