"""What passes standard output and error has no secrets in it, however it is written."""

from __future__ import annotations

import io
import sys

import pytest
from rich.text import Text

from fleetdeploy.domain.redaction import Redactor
from fleetdeploy.report.redacted_output import RedactedStream, redacted_output
from fleetdeploy.report.terminal import console


def test_a_value_that_comes_in_pieces_is_taken_out() -> None:
    """A line is passed on when it is whole, so that a value in two writes is seen."""
    out = io.StringIO()
    stream = RedactedStream(out, Redactor(["the-value"]))
    for piece in ("a the", "-va", "lue b\nnext the-"):
        stream.write(piece)
    assert out.getvalue() == "a <secret> b\n"
    stream.write("value")
    stream.flush()
    assert out.getvalue() == "a <secret> b\nnext <secret>"


def test_a_question_without_a_newline_is_seen() -> None:
    """A flush passes on what is not a whole line."""
    out = io.StringIO()
    stream = RedactedStream(out, Redactor())
    stream.write("Go on? ")
    stream.flush()
    assert out.getvalue() == "Go on? "


def test_both_streams_are_redacted_and_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    """Inside, text, the console and JSON lose secrets that become known later too; afterwards all is as before."""
    before = sys.stdout, sys.stderr
    redactor = Redactor()
    with redacted_output(redactor, as_json=True):
        redactor.add("true")
        sys.stdout.write('{"a": true, "b": "true", "c": ["x true"]}\n')
        sys.stderr.write("it is true\n")
        console(stderr=True, no_color=True).print("also true")
        sys.stdout.writelines(["[1", "]\n"])
    assert (sys.stdout, sys.stderr) == before
    captured = capsys.readouterr()
    assert captured.out == '{"a": true, "b": "<secret>", "c": ["x <secret>"]}\n[1]\n'
    assert captured.err == "it is <secret>\nalso <secret>\n"


def test_streams_are_put_back_after_an_error() -> None:
    """An exception inside does not leave the streams replaced."""
    before = sys.stdout
    with pytest.raises(KeyError), redacted_output(Redactor(), as_json=False):
        raise KeyError
    assert sys.stdout is before


@pytest.mark.parametrize("value", ["before\tbehind", "before\x07behind", "before\rbehind", "before\t\tbe\\\thind"])
@pytest.mark.parametrize("pad", range(9))
def test_what_the_console_makes_of_a_value_is_taken_out(
    capsys: pytest.CaptureFixture[str], value: str, pad: int
) -> None:
    """Rich prints blanks instead of tabs, and leaves out signs that a terminal would act on."""
    with redacted_output(Redactor([value]), as_json=False):
        console(stderr=False, no_color=True).print(Text(f"{'x' * pad}{value} end"))
    assert capsys.readouterr().out == f"{'x' * pad}<secret> end\n"
