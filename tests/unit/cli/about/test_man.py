"""The manual page: whole, true to the command line, and without a warning from who sets it."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

import pytest

from fleetdeploy.cli.about.man_page import EXIT_CODES, man_page
from fleetdeploy.cli.main import build_parser, main

ROOT = Path(__file__).parents[4]
PAGE = ROOT / "share/man/man1/fleetdeploy.1"


def shown(page: str) -> str:
    """The page as text, without overstriking."""
    argv = ["groff", "-man", "-Tutf8", "-ww", "-P-cbou", "-rLL=120n"]
    done = subprocess.run(argv, input=page, capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""
    return done.stdout


def test_the_page_that_is_shipped_is_that_of_the_command_line() -> None:
    """Whoever changes an option changes the page."""
    assert PAGE.read_text(encoding="utf-8") == man_page(build_parser()), "run `make man`"


def test_man_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """`fleetdeploy man` is what `make man` writes."""
    assert main(["man"]) == 0
    assert capsys.readouterr().out == man_page(build_parser())


@pytest.mark.programs
def test_every_command_and_option_is_in_the_page() -> None:
    """As a reader sees it: each command's name, each option and the first words of its help."""
    text = shown(man_page(build_parser()))
    words = " ".join(text.replace("‐", "-").replace("−", "-").split())
    for parser in every(build_parser()):
        for action in parser._actions:
            if action.help == argparse.SUPPRESS or isinstance(action, (argparse._HelpAction, argparse._VersionAction)):
                continue
            assert all(option in words for option in action.option_strings), f"{parser.prog}: {action.option_strings}"
            if action.help and not isinstance(action, argparse._SubParsersAction):
                assert " ".join((action.help % vars(action)).split()) in words, f"{parser.prog}: {action.help}"
        assert f"{parser.prog} " in words


def every(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    found = [parser]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found += [inner for each in action.choices.values() for inner in every(each)]
    return found


@pytest.mark.programs
def test_examples_stay_lines_and_text_is_filled() -> None:
    """What was laid out stays so, what begins with a dot or holds a backslash is no macro, and prose is filled."""
    parser = argparse.ArgumentParser(prog="p", description="one\ntwo", epilog="e")
    verbs = parser.add_subparsers()
    epilog = "some\nprose\n\nexamples:\n  .dot 'quoted' \\fBback\n  second -- `line`\n"
    verbs.add_parser("do", description="does", epilog=epilog).add_argument("--x", help="100%% of it")
    text = shown(man_page(parser))
    assert "       some prose\n" in text
    assert "         .dot 'quoted' \\fBback\n         second -- `line`\n" in text
    assert "100% of it" in text


@pytest.mark.programs
@pytest.mark.parametrize("title", ["EXIT STATUS", "FILES", "ENVIRONMENT", "EXAMPLES", "COMMON OPTIONS"])
def test_the_page_has_what_manuals_have(title: str) -> None:
    """Exit codes, files, environment and examples have a section each."""
    assert re.search(rf"(?m)^{title}$", shown(man_page(build_parser())))


def test_the_page_and_the_readme_tell_the_same_exit_codes() -> None:
    """Number by number, word by word."""
    rows = re.findall(r"(?m)^\| ([0-9, ]+) \| (.+) \|$", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert {code: text.replace("`", "") for code, text in rows} == EXIT_CODES
