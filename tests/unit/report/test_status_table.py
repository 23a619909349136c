"""Status as a table, and what both its forms tell of containers, images and versions."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from fleetdeploy.domain.observed import PoolMember, Present, State, Traffic, Unknown, VersionState
from fleetdeploy.domain.plan import HostPlan, Plan
from fleetdeploy.report import status
from fleetdeploy.report.fleet_state import Members

from .test_status_text import V1, V2, docker_dead, drained, key_refused, plan_of, printed, refused, traffic


def many(*plans: HostPlan) -> Plan:
    """The plans as those of gpu1, gpu2 and so on."""
    hosts = {f"gpu{number}": plan for number, plan in enumerate(plans, 1)}
    return Plan({name: replace(plan, host=replace(plan.host, name=name)) for name, plan in hosts.items()})


def columns(plan: Plan, members: Members) -> list[dict[str, str]]:
    """The table's rows by their headings; cells are two blanks apart at the least."""
    lines = [re.split(r" {2,}", line.plain) for line in status.table(plan, members)]
    heading, *rows = [line for line in lines if len(line) > 1]
    return [dict(zip(heading, row, strict=True)) for row in rows]


def with_states(plan: HostPlan, *states: VersionState) -> HostPlan:
    seen = replace(plan.observed.services["ranking"], served={"ranker": Present(states)})
    return replace(plan, observed=replace(plan.observed, services={"ranking": seen}))


def test_the_table_has_a_line_for_each_host_and_service() -> None:
    """Release, uptime, traffic, the mark of what differs, and what is served, for each at a glance."""
    fine, other = columns(many(plan_of(V1, V1), plan_of(V2, V1)), traffic(Traffic.UP))
    assert fine == {
        "HOST": "gpu1",
        "SERVICE": "ranking",
        "RELEASE": plan_of(V1, V1).services[0].release_id.split("-")[-1],
        "UP": "?",
        "TRAFFIC": "up",
        "DRIFT": "-",
        "SERVES": "ranker:1 AVAILABLE",
    }
    assert (other["HOST"], other["TRAFFIC"], other["DRIFT"]) == ("gpu2", "-", "reload")


@pytest.mark.parametrize(
    ("plan", "members", "marks"),
    [
        (plan_of(V1), {}, {"RELEASE": "-", "UP": "-", "DRIFT": "start", "SERVES": "ranker:-"}),
        (refused(plan_of(V1, V1)), {}, {"DRIFT": "refused", "SERVES": "ranker:1 AVAILABLE"}),
        (key_refused(), {}, {"SERVICE": "-", "RELEASE": "?", "DRIFT": "key refused"}),
        (docker_dead(), {}, {"UP": "?", "DRIFT": "refused"}),
        (drained(), traffic(Traffic.DRAINED), {"TRAFFIC": "drained", "DRIFT": "drained"}),
        (plan_of(V1, V1), {"gpu1": Unknown("no socket")}, {"TRAFFIC": "?"}),
        (plan_of(V1, V1), traffic(Traffic.UP, "ranking_rest"), {"TRAFFIC": "up/no server"}),
    ],
)
def test_the_marks_of_the_table(plan: HostPlan, members: Members, marks: dict[str, str]) -> None:
    """What there is not is ``-``, what is not known is ``?``, and the first thing to look at has a word."""
    (row,) = columns(Plan({"gpu1": plan}), members)
    assert {key: row[key] for key in marks} == marks


def test_versions_that_answer_stand_before_those_that_ended() -> None:
    """AVAILABLE first, END last; beside others, the table leaves out what ended without an error."""
    states = (
        VersionState(1, State.END),
        VersionState(2, State.END, "NOT_FOUND: no .pb"),
        VersionState(3, State.AVAILABLE),
        VersionState(4, State.LOADING),
        VersionState(5, State.AVAILABLE),
    )
    plan = Plan({"gpu1": with_states(plan_of(V1, V1), *states)})
    (row,) = columns(plan, {})
    assert row["SERVES"] == "ranker:3,5 AVAILABLE, ranker:4 LOADING, ranker:2 END"
    whole = printed(*status.lines(plan, {}, every_version=True))
    assert "ranker     3 AVAILABLE, 5 AVAILABLE, 4 LOADING, 1 END, 2 END" in whole
    short = printed(*status.lines(plan, {}))
    assert "ranker     3 AVAILABLE, 5 AVAILABLE, 4 LOADING, 2 END (and 1 other at END)\n" in short + "\n"
    served = status.as_json(plan, {})["hosts"]["gpu1"]["services"]["ranking"]["served"]  # type: ignore[index]
    assert [item["version"] for item in served["ranker"]] == [3, 5, 4, 1, 2]
    gone = Plan({"gpu1": with_states(plan_of(V1, V1), VersionState(1, State.END))})
    assert columns(gone, {})[0]["SERVES"] == "ranker:1 END"
    assert "ranker     1 END" in printed(*status.lines(gone, {}))
    failed = Plan({"gpu1": with_states(plan_of(V1, V1), *states[:2])})
    assert "ranker     1 END, 2 END" in printed(*status.lines(failed, {})), "what serves nothing is told whole"


def test_a_narrow_table_keeps_what_is_wrong() -> None:
    """Where not all lines fit, those without a mark are left out first, and how many is told."""
    plan = many(*[plan_of(V1, V1)] * 6, plan_of(V2, V1), plan_of(V1, V1))
    plans = replace(plan, hosts={name: since(host) for name, host in plan.hosts.items()})
    rows = [line.plain for line in status.table(plans, {}, most=5)]
    assert len(rows) == 5
    assert [row.split()[0] for row in rows] == ["HOST", "gpu1", "gpu2", "gpu7", "..."]
    assert rows[-1] == "... and 5 more lines"
    assert len(list(status.table(plans, {}))) == 9


HALF = Present(
    (
        PoolMember("ranking_grpc", "gpu1", Traffic.UP, 0, 100),
        PoolMember("ranking_rest", "gpu1", Traffic.DRAINED, 0, 100),
    )
)


@pytest.mark.parametrize(
    ("width", "headings", "first"),
    [
        (200, "HOST SERVICE RELEASE UP TRAFFIC DRIFT SERVES", "drained/up - ranker:1 AVAILABLE"),
        (66, "HOST SERVICE RELEASE UP TRAFFIC DRIFT SERVES", "drained/up - ranker:1"),
        (60, "HOST SERVICE RELEASE TRAFFIC DRIFT SERVES", "drained/up - ranker:1"),
        (50, "HOST SERVICE TRAFFIC DRIFT SERVES", "drained/up - ranker:1"),
        (40, "HOST TRAFFIC DRIFT SERVES", "drained/up - ranker:1"),
        (30, "HOST DRIFT SERVES", "drained/up ranker:1"),
        (5, "HOST DRIFT SERVES", "drained/up ranker:1"),
    ],
)
def test_a_narrow_table_keeps_what_matters(width: int, headings: str, first: str) -> None:
    """Words go before columns, and host, drift and what is served stay; no row is cut as long as that helps."""
    loading = with_states(plan_of(V1, V1), VersionState(1, State.AVAILABLE), VersionState(2, State.LOADING))
    plan = many(since(plan_of(V1, V1)), since(plan_of(V1, V1)))
    heading, one, _ = (line.plain for line in status.table(plan, {"gpu1": HALF}, width=width))
    assert heading.split() == headings.split()
    assert " ".join(one.split()).endswith(first)
    assert all(len(row) <= max(width, 30) for row in (heading, one))
    *_, row = (line.plain for line in status.table(many(loading), {}, width=width))
    assert row.endswith("ranker:1 AVAILABLE, ranker:2 LOADING"), "a state that not all have is told"
    served = {
        "ranker": Present((VersionState(2, State.LOADING),)),
        "other": Present((VersionState(1, State.AVAILABLE),)),
    }
    seen = replace(loading.observed.services["ranking"], served=served)
    mixed = replace(loading, observed=replace(loading.observed, services={"ranking": seen}))
    *_, row = (line.plain for line in status.table(many(mixed), {}, width=width))
    assert row.endswith("ranker:2 LOADING, other:1 AVAILABLE")


def test_a_narrow_table_tells_services_apart() -> None:
    """Where hosts have several, their names are worth more than the traffic, of which the drift tells by then."""
    plan = plan_of(V1, V1)
    seen = plan.observed.services
    services = {**seen, "other": replace(seen["ranking"], name="other")}
    both = Plan({"gpu1": replace(plan, observed=replace(plan.observed, services=services))})
    heading, *_ = (line.plain for line in status.table(both, {}, width=34))
    assert heading.split() == ["HOST", "SERVICE", "DRIFT", "SERVES"]


def since(plan: HostPlan, started_at: str = "2026-01-31T10:00:00.123456789Z") -> HostPlan:
    """The host with a container that was started then, at 2026-02-03T14:30:00Z."""
    seen = plan.observed.services["ranking"]
    assert isinstance(seen.container, Present)
    service = replace(seen, container=Present(replace(seen.container.value, started_at=started_at)))
    return replace(plan, observed=replace(plan.observed, services={"ranking": service}, clock_s=1770129000.0))


def test_a_container_says_since_when_it_is_up_and_of_which_image() -> None:
    """By its host's clock; the image has the name it was asked for by, besides its id."""
    plan = Plan({"gpu1": since(plan_of(V1, V1))})
    text = printed(*status.lines(plan, {}))
    assert "container  fleetdeploy-ranking running for 3 d 4 h, since 2026-01-31 10:00:00Z" in text
    image = V1.wish.image
    assert f"    image      {image} {f'sha256:{image}'[:19]}\n" in text
    assert columns(plan, {})[0]["UP"] == "3 d 4 h"
    found = status.as_json(plan, {})["hosts"]["gpu1"]  # type: ignore[index]
    assert found["services"]["ranking"]["container"]["image"] == image
    assert found["services"]["ranking"]["container"]["started_at"] == "2026-01-31T10:00:00.123456789Z"
    assert found["gpus"][0] == {"index": 0, "name": "A100", "memory_bytes": 80 << 30, "memory_used_bytes": 0}
    assert "  GPU memory in use  0: 0 B of 80 GiB, 1: 0 B of 80 GiB" in text


@pytest.mark.parametrize("started_at", ["", "a while ago", "0001-01-01T00:00:00Z\x1b[31m"])
def test_a_start_that_is_not_known_is_not_guessed(started_at: str) -> None:
    """A time that nobody asked for or can read gives no uptime, and reaches no terminal as it is."""
    text = printed(*status.lines(Plan({"gpu1": since(plan_of(V1, V1), started_at)}), {}))
    assert "\x1b" not in text
    assert "a while ago" not in text


def test_an_image_with_another_name_by_now_keeps_the_one_it_was_asked_for() -> None:
    """A name is shown where the record or the engine ties it to the container's own image id, and else none."""
    plan = plan_of(V1, V1)
    seen = plan.observed.services["ranking"]
    assert isinstance(seen.container, Present)
    moved = replace(seen, container=Present(replace(seen.container.value, image_id="sha256:" + "f" * 64)))
    observed = replace(plan.observed, services={"ranking": moved})
    text = printed(*status.lines(Plan({"gpu1": replace(plan, observed=observed)}), {}))
    assert "    image      sha256:ffffffffffff\n" in text


def test_the_table_says_whose_host_key_was_refused() -> None:
    """It may be somebody else's machine: the reason stands above the table, not only a mark in it."""
    first = next(iter(status.table(Plan({"gpu1": key_refused()}), {})))
    assert first.plain == "gpu1: HOST KEY REFUSED: the host key has changed"
