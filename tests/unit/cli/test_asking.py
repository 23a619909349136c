"""Questions at a terminal: whom an answer is for, and the signal that comes in place of one."""

from __future__ import annotations

import io
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from subprocess import PIPE

import pytest

from fleetdeploy.cli.changing.asking import Asking, answered
from fleetdeploy.errors import Interrupted
from fleetdeploy.rollout.interrupt import Interrupts, check_all

LONG_S = 30.0
SCRIPT = """
import fcntl
import sys
import termios
from fleetdeploy.cli.changing.asking import Asking
from fleetdeploy.errors import Interrupted
from fleetdeploy.rollout.interrupt import Interrupts
from fleetdeploy.rollout.side_by_side import side_by_side

fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that its keys are signals
asking = Asking(agreed=False)
ask = {"pause": lambda _: side_by_side(asking.prompt, ["Go?"], forks=1), "step": asking.before_wave}[sys.argv[1]]
with Interrupts(lambda name: print(name)):
    try:
        print("answered", ask("wave 1"))
    except Interrupted as error:
        print("ended:", error)
"""


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A terminal as standard input; its other end, where a person types."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield ours
    os.close(ours)


def shown(descriptor: int, text: str) -> bool:
    """Whether a process shows the text before it is too late."""
    seen, end_s = b"", time.monotonic() + LONG_S
    while text.encode() not in seen and (left_s := end_s - time.monotonic()) > 0:
        if select.select([descriptor], [], [], left_s)[0]:
            byte = os.read(descriptor, 1)
            if not byte:
                break
            seen += byte
    return text.encode() in seen


@pytest.mark.programs
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "the key"])
@pytest.mark.parametrize(("kind", "question"), [("pause", "Go? [y/N] "), ("step", "(N)o/(y)es/(c)ontinue: ")])
def test_a_signal_ends_a_question(terminal: int, kind: str, question: str, name: str) -> None:
    """Nobody has to answer any longer, whether a host's thread asks or the main one; nothing begun is an answer."""
    command = [sys.executable, "-c", SCRIPT, kind]
    with subprocess.Popen(command, stdin=sys.stdin, stdout=PIPE, stderr=PIPE, start_new_session=True) as child:
        assert child.stderr is not None
        assert child.stdout is not None
        try:
            assert shown(child.stderr.fileno(), question)
            if name == "the key":
                os.write(terminal, b"y\x03")
            else:
                child.send_signal(getattr(signal, name))
            assert child.wait(LONG_S) == 0
        finally:
            child.kill()
        came = "SIGINT" if name == "the key" else name
        end = {"pause": f"ended: stopped by {came}", "step": "answered False"}
        assert child.stdout.read().decode().splitlines() == [came, end[kind]]


def test_nobody_is_asked_once_a_signal_has_come(terminal: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Hosts of a wave that wait for an answer do not ask one by one, whatever has been typed by then."""
    os.write(terminal, b"y\n")
    with Interrupts(lambda _: None):
        os.kill(os.getpid(), signal.SIGTERM)
        signal.getsignal(signal.SIGTERM)  # by now Python has run its handler
        with pytest.raises(Interrupted) as caught:
            Asking(agreed=False).prompt("Go?")
        assert caught.value.exit_code == 143
        assert not Asking(agreed=False).before_wave("wave 1")
    assert capsys.readouterr().err == ""
    check_all()  # what has been left is asked no longer


def test_what_is_typed_ahead_answers_one_question_a_line(terminal: int) -> None:
    """Each question takes a line of its own, and what is not taken is left for whoever reads next."""
    os.write(terminal, b"YES\nn\nc\nrest\n")
    asking = Asking(agreed=False)
    assert asking.prompt("Go?")
    assert not asking.prompt("Go on?")
    assert asking.before_wave("wave 1")
    assert asking.before_wave("wave 2")  # on to the end, without asking
    assert sys.stdin.readline() == "rest\n"


def test_answers_in_a_pipe_are_each_for_their_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that come at once, the last without an end of line; behind the end nobody has agreed to anything."""
    theirs, ours = os.pipe()
    os.write(ours, "y\nj\N{LATIN SMALL LETTER A WITH DIAERESIS}".encode())
    os.close(ours)
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        assert [answered("?") for _ in range(3)] == ["y", "jä", ""]


def test_a_terminal_that_goes_away_agrees_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither does what was typed there without an end of line."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(ours, b"y")
        os.close(ours)
        assert answered("?") == ""


def test_an_input_that_is_no_file_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that calls fleetdeploy may have put something else in place of its standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("Y\nn\n"))
    assert [answered("?") for _ in range(2)] == ["y", "n"]
