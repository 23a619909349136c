"""Regular expressions in patterns come to an end: those that might not are refused before they are used."""

from __future__ import annotations

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.inventory.regex_cost import Costly, check_regex


@pytest.mark.parametrize(
    "text",
    [
        "gpu[0-9]+", "(east|west)", r"10\.1\..*", "^(w|d)", ".*z$", "", "gpu(0[1-9]|1[0-6])", r"gpu\d{2,3}\.dc[12]",
        r"([0-9]{1,3}\.){3}[0-9]{1,3}$", "(?i)GPU.*", "(?:gpu|cpu)-.*-.*-[0-9]+", "(?!gpu1).*", "a{,3}{", "[]a+*]+x",
        r"[^\]]*x", "(?#(a+)x", "(?P<name>gpu)[0-9]*", "(gpu)?[0-9]+", r"\(a+\)+", "{}", ".*a.*b.*c.*",
    ],
)  # fmt: skip
def test_what_people_write(text: str) -> None:
    """Expressions for names are taken."""
    re.compile(text)
    check_regex(text)


@pytest.mark.parametrize(
    "text",
    [
        "(a+)+$", "(a*)*$", "(a|a)*$", "(a|aa)+$", "((a+)b?)*$", "(?:a+){2,}$", r"(a)\1", "(?P<n>a)(?P=n)",
        "(a)?(?(1)b|c)", "(?i:(a+)+)$", "a*a*a*a*a*a*$", "(a?){40}a{40}", "(.*a){20}", "(" * 60 + "a" + ")" * 60,
        "(?:(?:a|b)?c?)+$", "([a-z]+)*$", "(?=(a+)+$)x",
    ],
)  # fmt: skip
def test_what_may_have_no_end(text: str) -> None:
    """Repetitions in repetitions, alternatives in repetitions, long rows of them and back references are refused."""
    re.compile(text)
    with pytest.raises(Costly):
        check_regex(text)


@given(st.text(alphabet=r"ab.|*+?(){}[]^$\,1:=!<P-", max_size=24))
def test_every_valid_expression_is_judged(text: str) -> None:
    """Whatever Python compiles is taken or refused, and what is taken fails on long names at once."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compiled = re.compile(text)
    except (re.error, OverflowError, RecursionError):
        return
    try:
        check_regex(text)
    except Costly:
        return
    compiled.match("ab" * 20 + "!")
    compiled.match("a" * 40 + "!")
