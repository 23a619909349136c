"""Programs that print secrets: no shell, a deadline, a limit, and nothing of theirs in an error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleetdeploy.errors import InputError
from fleetdeploy.remote.secret_command import SecretCommands


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_what_it_prints_is_the_answer() -> None:
    """Words reach the program as they are: no shell looks at them."""
    argv = [*python("import sys; print(sys.argv[1])"), "$HOME; `id` *"]
    assert SecretCommands()(argv) == "$HOME; `id` *\n"


def test_it_gets_no_input() -> None:
    """A program that asks on stdin finds nothing there and does not hang."""
    assert SecretCommands()(python("import sys; print(len(sys.stdin.read()))")) == "0\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('the-secret')", "ended with status 1"),
        ("import os; os.kill(os.getpid(), 9)", "was ended by signal 9"),
        ("print('the-secret' * 10000)", "printed more than 65,536 bytes"),
        ("import os; os.write(1, b'the-secret' + bytes([255]))", "not UTF-8"),
    ],
)
def test_a_failure_says_how_and_not_what(code: str, message: str) -> None:
    """The error names the program; neither its arguments nor its output are repeated."""
    with pytest.raises(InputError, match=message) as caught:
        SecretCommands()(python(code))
    assert caught.value.where == sys.executable
    assert "the-secret" not in repr(caught.value.__dict__)


@pytest.mark.parametrize("argv", [["/no/such/program"], ["."]])
def test_a_program_that_cannot_be_run_is_an_error(argv: list[str]) -> None:
    """It says which one, and why."""
    with pytest.raises(InputError, match="cannot be run: ") as caught:
        SecretCommands()(argv)
    assert caught.value.where == argv[0]


@pytest.mark.parametrize("first", ["", "exec >&-; "])
def test_one_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, first: str, await_end: Callable[[Path], None], patience: Callable[[Path], Iterator[float]]
) -> None:
    """After the deadline nothing of its process group is left, whether it holds its output open or not."""
    begun = tmp_path / "pids"
    for deadline_s in patience(begun):
        with pytest.raises(InputError, match=rf"did not finish within {deadline_s:g} s"):
            SecretCommands(timeout_s=deadline_s)(["sh", "-c", f"{first}sleep 300 & echo $! $$ > '{begun}'; wait"])
    await_end(begun)
