"""The load generator's judgement, pace and counts."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from fleetdeploy.domain.service import GoldenRequest
from fleetdeploy.errors import InputError, NotHealthy
from fleetdeploy.lab import load, load_senders
from fleetdeploy.lab.load_report import ERRORS_KEPT, Latencies, Tally


def requests() -> list[GoldenRequest]:
    return [
        GoldenRequest(name, {"x": [1.0]}, {"y": [float(version)]}, version=version)
        for version in (1, 2)
        for name in ("a", "b")
    ]


def test_answers_of_all_versions_are_taken_together() -> None:
    """One case stands for one request, with the answers of every version that was recorded, newest first."""
    found = load_senders.cases("m", requests())
    assert [case.request.name for case in found] == ["a", "b"]
    assert [answer.version for answer in found[0].answers] == [2, 1]


@pytest.mark.parametrize(
    ("answer", "version", "right", "said"),
    [
        (1.0, None, "m/1", ""),
        (2.0, None, "m/2", ""),
        (2.0, 2, "m/2", ""),
        (1.0, 2, "", "outputs.y[0]: got 1.0, want 2.0"),
        (3.0, None, "", "nor is it any of the other 1 versions'"),
        (3.0, 3, "", "version 3 answered, which the golden file does not list"),
    ],
)
def test_an_answer_is_right_for_its_version(answer: float, version: int | None, right: str, said: str) -> None:
    """Any listed version's answer is right, but a version that names itself must give its own."""
    found, wrong = load_senders.cases("m", requests())[0].judge({"y": [answer]}, version)
    assert found == right
    assert said in wrong
    assert bool(wrong) is not bool(right)


class _Refused(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE

    def details(self) -> str:
        return "connection refused"


def test_every_outcome_is_counted() -> None:
    """A wrong answer, a refused call, an HTTP error and a lost connection each count as failed by kind."""
    case = load_senders.cases("m", requests())[0]
    outcomes: list[object] = [
        (case, {"y": [1.0]}, None),
        (case, {"y": [9.0]}, None),
        _Refused(),
        load_senders.HttpStatusError(503, b"busy"),
        ConnectionResetError("gone"),
        NotHealthy("no outputs"),
    ]

    def send(number: int) -> tuple[load_senders.Case, dict[str, object], int | None]:
        outcome = outcomes[number]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome  # type: ignore[return-value]

    tally = Tally()
    load.send_all("rest", send, tally, iter(range(len(outcomes))))
    report = tally.report(now_s=time.time(), finished=True)
    assert (report["requests"], report["failed"]) == (6, 5)
    assert report["versions"] == {"m/1": 1}
    assert report["errors_by_kind"] == {
        "rest wrong answer": 1,
        "rest UNAVAILABLE": 1,
        "rest status 503": 1,
        "rest ConnectionResetError": 1,
        "rest unreadable answer": 1,
    }
    assert json.loads(json.dumps(report)) == report


def test_errors_are_bounded_and_placed_in_time() -> None:
    """Only the first errors are kept, with their time since the start, and each second has its row."""
    tally = Tally(started_s=100.0)
    for number in range(50):
        tally.failed("grpc", "UNAVAILABLE", "x" * 10_000, latency_ms=1.0, now_s=100.0 + number / 10)
    report = tally.report(now_s=105.0, finished=False)
    errors = report["first_errors"]
    assert isinstance(errors, list)
    assert len(errors) == ERRORS_KEPT
    assert errors[3]["at_s"] == pytest.approx(0.3)
    assert len(errors[0]["detail"]) == 500
    rows = report["timeline"]
    assert isinstance(rows, list)
    assert [(row["second"], row["requests"], row["failed"]) for row in rows] == [(n, 10, 10) for n in range(5)]


def test_percentiles_are_within_two_percent() -> None:
    """The histogram's percentiles are those of the latencies it was given, within its bucket width."""
    latencies = Latencies()
    for number in range(1, 1001):
        latencies.add(number / 10)
    assert latencies.percentile(50) == pytest.approx(50, rel=0.021)
    assert latencies.percentile(99) == pytest.approx(99, rel=0.021)
    assert Latencies().percentile(99) == 0


def test_pace_stops_when_told() -> None:
    """Ticks come no faster than asked for, and end once the stop event is set."""
    stop = threading.Event()

    def counted() -> Iterator[int]:
        for number in load.ticks(0.01, stop):
            yield number
            if number == 4:
                stop.set()

    begin = time.monotonic()
    assert list(counted()) == [0, 1, 2, 3, 4]
    assert time.monotonic() - begin >= 0.04


@pytest.mark.parametrize("target", ["host", "host:", ":80", "host:0", "host:65536", "host:http"])
def test_bad_target_is_refused(target: str) -> None:
    """A target without host or valid port is bad input."""
    with pytest.raises(InputError):
        load_senders.split_target(target)


def test_report_replaces_the_old_one(tmp_path: Path) -> None:
    """The report is written whole under a temporary name and leaves nothing else behind."""
    path = tmp_path / "report.json"
    for number in (1, 2):
        load.write_report(path, {"requests": number})
    assert json.loads(path.read_text()) == {"requests": 2}
    assert list(tmp_path.iterdir()) == [path]
