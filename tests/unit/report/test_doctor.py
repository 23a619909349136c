"""What ``doctor`` prints: a line a host, what is wrong under it, and what hosts have alike once."""

from __future__ import annotations

import io
import json
from itertools import pairwise

import jsonschema
import pytest
from rich.console import Console

from fleetdeploy.cli.about.schema import text_of
from fleetdeploy.domain.checkup import Finding, Health
from fleetdeploy.report.doctor.as_json import as_json
from fleetdeploy.report.doctor.text import lines
from fleetdeploy.report.doctor.verdict import Diagnosis
from fleetdeploy.report.terminal import put

FINE = Finding(Health.OK, "rsync 3.2.7", check="rsync")
PROBLEM = Finding(Health.BAD, "port 8501 is taken", "", "ssh {host} ss -ltnp", "ports")
WARNING = Finding(Health.WARN, "logs grow without end", "a full disk stops the host", "set max-size", "docker_settings")
NOT_KNOWN = Finding(Health.UNKNOWN, "whether Docker answers cannot be told", "it hangs", "docker ps", "docker_engine")
ASIDE = Finding(Health.UNKNOWN, "sshd's limits cannot be told", "not root", "sudo sshd -T", "sshd_settings", aside=True)


def shown(found: Diagnosis, *, verbose: bool = False) -> list[str]:
    return [line.plain.rstrip() for line in lines(found, verbose=verbose)]


def on_terminal(found: Diagnosis, width: int) -> list[str]:
    out = Console(file=io.StringIO(), width=width, color_system=None, highlight=False, markup=False)
    for line in lines(found):
        put(out, line, hanging=True)
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined,no-any-return]


def test_only_what_is_not_fine_is_shown() -> None:
    """Under a host stands what is wrong with it, the worst first, each with its fix; with -v all there is."""
    found = Diagnosis({"gpu1": [FINE, WARNING, PROBLEM], "gpu2": [FINE]}, [FINE])
    assert shown(found) == [
        "this machine  ok",
        "gpu1          1 problem, 1 warning",
        "  problem  port 8501 is taken",
        "           > ssh gpu1 ss -ltnp",
        "  warning  logs grow without end",
        "           a full disk stops the host",
        "           > set max-size",
        "gpu2          ok",
    ]
    assert "  ok       rsync 3.2.7" in shown(found, verbose=True)


def test_a_detail_is_pointed_at_where_it_is_not_shown() -> None:
    """What is not known and does not matter is counted; with -v, which shows it, nobody is sent to -v."""
    found = Diagnosis({"gpu1": [FINE, ASIDE]})
    assert "gpu1          ok (1 detail not known: -v)" in shown(found)
    assert "gpu1          ok (1 detail not known)" in shown(found, verbose=True)


def test_what_hosts_have_alike_is_told_once() -> None:
    """A finding of several hosts stands once, below, with their names; what one has alone stays with it."""
    found = Diagnosis({"gpu1": [WARNING], "gpu2": [WARNING, PROBLEM], "gpu3": [FINE]})
    assert shown(found) == [
        "this machine  ok",
        "gpu1          1 warning",
        "gpu2          1 problem, 1 warning",
        "  problem  port 8501 is taken",
        "           > ssh gpu2 ss -ltnp",
        "gpu3          ok",
        "",
        "on 2 hosts: gpu1, gpu2",
        "  warning  logs grow without end",
        "           a full disk stops the host",
        "           > set max-size",
        "",
    ]


@pytest.mark.parametrize("count", [21, 500])
def test_many_hosts_share_lines(count: int) -> None:
    """However many hosts are fine or wrong alike, the output stays short; the odd one has a line of its own."""
    hosts = {f"gpu{number:03}": [FINE, WARNING] for number in range(count)}
    hosts["gpu007"] = [WARNING, PROBLEM]
    rows = on_terminal(Diagnosis(hosts), 80)
    assert len(rows) < 15
    assert max(map(len, rows)) <= 80
    assert "gpu007        1 problem, 1 warning" in rows
    assert f"on all {count} hosts" in rows
    assert f"{count - 1} hosts" in " ".join(rows)


WORDY = Finding(Health.BAD, "what " + "word " * 60 + "is off", "why " * 60, "type " * 60, "x")


def test_what_is_piped_can_be_searched() -> None:
    """Each sentence of a finding is one line, however long it is, and so is a list of hosts that are told apart."""
    rows = shown(Diagnosis({"gpu1": [WORDY]}))
    assert rows[2:] == [
        f"  problem  {WORDY.what}",
        *(f"{'':11}{text.strip()}" for text in (WORDY.why, f"> {WORDY.fix}")),
    ]
    warned = [f"gpu{number:03}" for number in range(15)]
    hosts = {name: [FINE, WARNING] for name in warned} | {f"lb{number}": [FINE] for number in range(9)}
    assert "  " + ", ".join(warned) in shown(Diagnosis(hosts))


@pytest.mark.parametrize("width", [40, 80])
def test_every_row_fits_its_terminal_and_is_broken_once(width: int) -> None:
    """No row is wider than the terminal, none breaks where the next word had fitted, and all stand under the text."""
    rows = on_terminal(Diagnosis({"gpu1": [WORDY]}), width)[2:]
    assert max(map(len, rows)) <= width
    assert " ".join(" ".join(rows).split()) == " ".join(f"problem {WORDY.what} {WORDY.why}> {WORDY.fix}".split())
    for row, below in pairwise(rows):
        indent = len(below) - len(below.lstrip())
        assert indent >= len("  problem  ")
        begins = below.split()[0] in {"why", ">"} and below.split()[0] not in row.split()
        assert begins or len(row) + 1 + len(below.split()[0]) > width


def test_a_hosts_words_do_nothing_to_the_terminal() -> None:
    """An escape in what a host said is shown as one."""
    rows = shown(Diagnosis({"gpu1": [Finding(Health.BAD, "a\x1b[2Jb", fix="x")]}))
    assert "a\\x1b[2Jb" in "\n".join(rows)


@pytest.mark.parametrize(
    ("findings", "refused", "code", "line"),
    [
        ([FINE, ASIDE], False, 0, "DOCTOR: 1 host fine"),
        ([WARNING], False, 0, "DOCTOR: 1 host: 1 with warnings"),
        ([WARNING, NOT_KNOWN], False, 4, "DOCTOR: 1 host: 1 not known"),
        ([NOT_KNOWN, PROBLEM], False, 5, "DOCTOR: 1 host: 1 with problems"),
        ([PROBLEM], True, 2, "DOCTOR: 1 host: 1 with problems"),
    ],
)
def test_exit_code_and_last_line_agree(findings: list[Finding], refused: bool, code: int, line: str) -> None:
    """A host is what is worst about it, and so are the exit code and the last line; what is aside counts for none."""
    found = Diagnosis({"gpu1": findings}, [FINE], frozenset({"gpu1"} if refused else ()))
    assert (found.exit_code, found.last_line) == (code, line)


def test_this_machine_counts() -> None:
    """A problem of the controller alone is one as well."""
    found = Diagnosis({"gpu1": [FINE]}, [PROBLEM])
    assert (found.exit_code, found.last_line) == (5, "DOCTOR: 1 host fine; this machine: 1 problem")


def test_json_is_what_its_schema_says() -> None:
    """Every finding is in the JSON, with the host's name in its fix, and the schema allows that and no other key."""
    document = as_json(Diagnosis({"gpu1": [FINE, PROBLEM, ASIDE], "gpu2": []}, [NOT_KNOWN]))
    validator = jsonschema.Draft202012Validator(json.loads(text_of("doctor")))
    assert list(validator.iter_errors(document)) == []
    assert document["hosts"]["gpu1"]["findings"][1]["fix"] == "ssh gpu1 ss -ltnp"  # type: ignore[index]
    assert document["hosts"]["gpu1"]["state"] == "bad"  # type: ignore[index]
    assert list(validator.iter_errors({**document, "more": 1})) != []
