"""Steady load with every answer checked: gRPC Predict over long-lived channels and REST over kept-alive connections.

::

    python -m fleetdeploy.lab.load --grpc HOST:PORT --rest HOST:PORT --model NAME --golden FILE --report FILE

It sends ``--rate`` requests a second by each protocol until SIGTERM, SIGINT or ``--duration``, and retries nothing: a
request without a right answer is a failed one. Right is what any version in the golden file answers; where the server
says which version answered (gRPC does), it is that version's answer. The report is rewritten every two seconds.
"""

from __future__ import annotations

import argparse
import http.client
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, Final

import grpc

from fleetdeploy.errors import FleetdeployError, InputError
from fleetdeploy.lab.load_report import Tally
from fleetdeploy.lab.load_senders import (
    CHANNELS,
    CONNECTIONS,
    Case,
    GrpcSender,
    HttpStatusError,
    RestSender,
    Send,
    cases,
    split_target,
)
from fleetdeploy.tfserving import golden

REPORT_EVERY_S: Final = 2.0
_LATE_S: Final = 1.0


def ticks(interval_s: float, stop: threading.Event, *, offset_s: float = 0.0) -> Iterator[int]:
    """Yield 0, 1, 2, ... every ``interval_s`` seconds until ``stop`` is set.

    A tick that comes late is made up for at once, but never more than a second's worth: the load stays bounded.
    """
    due = time.monotonic() + offset_s
    number = 0
    while not stop.wait(max(0.0, due - time.monotonic())):
        yield number
        number += 1
        due = max(due + interval_s, time.monotonic() - _LATE_S)


def send_all(protocol: str, send: Send, tally: Tally, numbers: Iterator[int]) -> None:
    """Send one request for each number and count how it ended."""
    for number in numbers:
        begin = time.monotonic()
        version, kind, detail = "", "", ""
        try:
            case, answer, named = send(number)
        except grpc.RpcError as error:
            kind, detail = _code(error), _details(error)
        except HttpStatusError as error:
            kind, detail = f"status {error.status}", str(error)
        except (OSError, http.client.HTTPException) as error:
            kind, detail = type(error).__name__, str(error)
        except FleetdeployError as error:
            kind, detail = "unreadable answer", error.message
        else:
            version, detail = case.judge(answer, named)
            kind = "" if version else "wrong answer"
        latency_ms, now_s = (time.monotonic() - begin) * 1000, time.time()
        if kind:
            tally.failed(protocol, kind, detail, latency_ms=latency_ms, now_s=now_s)
        else:
            tally.answered(protocol, version, latency_ms=latency_ms, now_s=now_s)


def _code(error: Any) -> str:
    return str(error.code().name) if callable(getattr(error, "code", None)) else type(error).__name__


def _details(error: Any) -> str:
    return str(error.details()) if callable(getattr(error, "details", None)) else str(error)


def write_report(path: Path, report: dict[str, object]) -> None:
    """Replace ``path`` whole, so that a reader never sees half a report."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)


def generate(
    chosen: Sequence[Case],
    *,
    grpc_target: str,
    rest_target: str,
    rate: float,
    timeout_s: float,
    report: Path,
    stop: threading.Event,
    duration_s: float,
) -> dict[str, object]:
    """Send the load until ``stop`` is set or ``duration_s`` seconds have passed (0: no end); returns the last report.

    Requests in flight at the end are waited for, up to ``timeout_s`` seconds, and counted.
    """
    tally = Tally()
    senders: list[tuple[str, GrpcSender | RestSender]] = []
    if grpc_target:
        senders += [("grpc", GrpcSender(grpc_target, chosen, timeout_s=timeout_s)) for _ in range(CHANNELS)]
    if rest_target:
        senders += [("rest", RestSender(rest_target, chosen, timeout_s=timeout_s)) for _ in range(CONNECTIONS)]
    threads = []
    for index, (protocol, sender) in enumerate(senders):
        interval_s = (CHANNELS if protocol == "grpc" else CONNECTIONS) / rate
        numbers = ticks(interval_s, stop, offset_s=interval_s * index / len(senders))
        threads.append(threading.Thread(target=send_all, args=(protocol, sender.send, tally, numbers), daemon=True))
    for thread in threads:
        thread.start()
    write_report(report, tally.report(now_s=time.time(), finished=False))  # it has begun
    end = time.monotonic() + duration_s if duration_s else float("inf")
    while not stop.wait(min(REPORT_EVERY_S, max(0.0, end - time.monotonic()))):
        write_report(report, tally.report(now_s=time.time(), finished=False))
        if time.monotonic() >= end:
            stop.set()
    for thread in threads:
        thread.join(timeout_s + 1)
    for _, sender in senders:
        sender.close()
    last = tally.report(now_s=time.time(), finished=True)
    write_report(report, last)
    return last


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the generator; 0 only if requests were sent and none failed."""
    chosen = _parser().parse_args(arguments)
    if len(chosen.model) != len(chosen.golden) or not (chosen.grpc or chosen.rest) or not 0 < chosen.rate <= 5000:
        _parser().error("name a --golden for every --model, --grpc or --rest, and a --rate of at most 5000")
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    try:
        for target in filter(None, (chosen.grpc, chosen.rest)):
            split_target(target)
        found = [cases(model, golden.load(path)) for model, path in zip(chosen.model, chosen.golden, strict=True)]
    except InputError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return error.exit_code
    last = generate(
        [case for group in found for case in group],
        grpc_target=chosen.grpc,
        rest_target=chosen.rest,
        rate=chosen.rate,
        timeout_s=chosen.timeout,
        report=chosen.report,
        stop=stop,
        duration_s=chosen.duration,
    )
    sys.stdout.write(
        f"load ended: requests={last['requests']} failed={last['failed']} "
        f"p50={last['p50_ms']}ms p99={last['p99_ms']}ms\n"
    )
    return 0 if last["requests"] and not last["failed"] else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fleetdeploy.lab.load", description="Send steady, checked load.")
    parser.add_argument("--grpc", default="", metavar="HOST:PORT", help="where gRPC Predict is answered")
    parser.add_argument("--rest", default="", metavar="HOST:PORT", help="where the REST API is answered")
    parser.add_argument("--model", action="append", required=True, help="a model to ask; may be given several times")
    parser.add_argument(
        "--golden", action="append", required=True, type=Path, help="its golden file; one for each model"
    )
    parser.add_argument("--rate", type=float, default=50.0, help="requests a second by each protocol (default: 50)")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds until a request has failed (default: 5)")
    parser.add_argument("--duration", type=float, default=0.0, help="seconds to run (default: until a signal)")
    parser.add_argument("--report", required=True, type=Path, help="JSON report to write")
    return parser


if __name__ == "__main__":
    sys.exit(main())
