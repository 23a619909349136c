"""A plan of hundreds of hosts, and of hosts that say what they like: short, and harmless to a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.text import Text
from simulation.controller import desired, sim_host
from simulation.seen import settled_host

from fleetdeploy.domain.events import Event, Kind
from fleetdeploy.domain.forecast import Forecast
from fleetdeploy.domain.outcome import HostOutcome, HostState, RunOutcome
from fleetdeploy.domain.plan import HostPlan, Plan, Refusal
from fleetdeploy.planning.host import plan_host
from fleetdeploy.report import status
from fleetdeploy.report.host_names import COLUMNS
from fleetdeploy.report.plan import as_json
from fleetdeploy.report.plan import text as text_of_plan
from fleetdeploy.report.safe_text import safe, safe_line
from fleetdeploy.report.terminal import Lines, recap

from .terminal.shown import ended

NAMES = [f"gpu{number:03}" for number in range(1, 501)]
EVIL = "OOM\n\x1b[31mred\u202e"


def plan_of(name: str, number: int) -> HostPlan:
    return plan_host(sim_host(name), [desired(number)], settled_host(desired(1)), stamp="T1")


def rows(plan: Plan, *, every_name: bool = False) -> list[str]:
    return [line.plain for line in text_of_plan.lines(Forecast(plan), diff=False, every_name=every_name)]


def refused(name: str, message: str = "Docker does not answer", hint: str = "start it") -> HostPlan:
    return replace(plan_of(name, 1), services=(), refusals=(Refusal(name, message, hint),))


@pytest.fixture(scope="module")
def fleet() -> Plan:
    """500 hosts: 40 that cannot be reached, 20 without Docker, 420 that change and 20 that do not."""
    hosts = {name: plan_of(name, 2 if number >= 60 else 1) for number, name in enumerate(NAMES[40:], 20)}
    return Plan({**hosts, **{name: refused(name) for name in NAMES[40:60]}}, dict.fromkeys(NAMES[:40], "no route"))


def test_a_plan_of_500_hosts_is_short(fleet: Plan) -> None:
    """Hosts with the same reason share a row, and long lists of names end with how many more there are."""
    found = rows(fleet)
    assert max(len(row) for row in found if "gpu0" in row) <= COLUMNS
    assert found[:4] == [
        "gpu001, gpu002, gpu003 and 37 more: UNREACHABLE: no route",
        "gpu041, gpu042, gpu043 and 17 more: REFUSED: Docker does not answer",
        "    start it",
        next(row for row in found if row.startswith("gpu") and row.endswith("more")),
    ]
    assert [row for row in found if row.startswith("no change: gpu061, ") and row.endswith(" more")]
    assert len(found) < 20


def test_every_name_can_be_seen(fleet: Plan) -> None:
    """With ``every_name`` no name is missing, in 80 columns all the same; the JSON form always has all."""
    found = rows(fleet, every_name=True)
    assert max(len(row) for row in found if "gpu0" in row) <= COLUMNS
    words = {word.strip(",:") for row in found for word in row.split()}
    assert set(NAMES) <= words
    value = as_json.plan(Forecast(fleet))
    assert isinstance(value["hosts"], dict)
    assert isinstance(value["unreachable"], dict)
    assert {*value["hosts"], *value["unreachable"]} == set(NAMES)


def test_other_reasons_stand_alone() -> None:
    """Only hosts with the very same reason and hint share a row."""
    hosts = [refused("a"), refused("b", "no space"), refused("c"), refused("d", hint="ask")]
    assert rows(Plan({host.host.name: host for host in hosts})) == [
        "a, c: REFUSED: Docker does not answer",
        "    start it",
        "b: REFUSED: no space",
        "    start it",
        "d: REFUSED: Docker does not answer",
        "    ask",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, und mit Ü", "plain, und mit Ü"),
        ("a\tb", "a\tb"),
        (EVIL, "OOM\\n\\x1b[31mred\\u202e"),
        ("C1 \x9b", "C1 \\x9b"),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_a_terminal_would_obey_is_an_escape(text: str, shown: str) -> None:
    """Everything else is shown as it is."""
    assert safe(text) == shown
    assert safe_line(Text(text, style="red")).plain == shown


def test_hosts_cannot_drive_the_terminal_of_a_plan() -> None:
    """Whatever stands in a reason, a refusal or a difference: no line leaves a plan or a status with a control."""
    plan = plan_of("gpu1", 2)
    changed = replace(plan, services=(replace(plan.services[0], reason=EVIL),))
    found = Plan({"gpu1": changed, "gpu2": refused("gpu2", EVIL, EVIL)}, {"gpu9": EVIL})
    for row in (*rows(found), *(line.plain for line in status.lines(found, {}))):
        assert row.isprintable(), row


def test_hosts_cannot_drive_the_terminal_of_a_run() -> None:
    """Events, their hints and details, the recap and the last line are shown with escapes."""
    file = io.StringIO()
    out = Console(file=file, soft_wrap=True, color_system=None)
    view = Lines(out, verbose=1)
    for kind in (Kind.STEP_STARTED, Kind.STEP_FINISHED, Kind.STEP_PROGRESS, Kind.STEP_FAILED, Kind.HOST_UNREACHABLE):
        view(Event(kind, 0.0, "r", host="gpu1", task="run", message=EVIL, data={"hint": EVIL, "detail": EVIL}))
    recap(
        out, ended(RunOutcome("r", 3, EVIL, {EVIL: HostOutcome(EVIL, HostState.FAILED, f"\x1b[2J{EVIL}", hint=EVIL)}))
    )
    assert all(row.isprintable() for row in file.getvalue().split("\n"))
    assert "\\x1b[31mred" in file.getvalue()
