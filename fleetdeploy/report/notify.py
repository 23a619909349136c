"""Tells people how a run ended: by a web address, or by a command. Whether it arrives changes nothing.

What is sent is JSON, as `fleetdeploy schema notification` describes it. A command reads it from its standard input.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import groupby
from urllib.parse import urlsplit

from fleetdeploy.config.playbook.task_values import parse_web_address
from fleetdeploy.config.syntax.refusal import Refused
from fleetdeploy.domain.outcome import HostState
from fleetdeploy.domain.protocols import Clock
from fleetdeploy.domain.redaction import end_of
from fleetdeploy.domain.secret import Secret, opened
from fleetdeploy.domain.settings import Recipient
from fleetdeploy.errors import DeadlineExceeded, FleetdeployError, InputError, RemoteCommandFailed
from fleetdeploy.remote.outside import Outside
from fleetdeploy.report.ending import Ending
from fleetdeploy.report.safe_text import safe

FORMAT = 1
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 10.0
"""Between two tries, each twice as long as the last."""
DEADLINE_S = 60.0
"""For all recipients together: a run is over, and somebody waits for its exit code."""
LEAST_S = 0.1
"""Less time than this is none."""
_LAST_WORDS = 200
"""Characters of what a command printed last."""


def body_of(ending: Ending, *, controller: str) -> dict[str, object]:
    """What is sent, as JSON values."""
    hosts = ending.outcome.hosts if ending.outcome else {}
    until = ending.frozen.until if ending.frozen else None
    return {
        "format": FORMAT,
        "command": ending.command,
        "news": ending.news.value,
        "run": ending.outcome.run if ending.outcome else ending.story.id,
        "exit_code": ending.exit_code,
        "summary": ending.summary,
        "inventory": ending.inventory,
        "controller": controller,
        "started": _utc(ending.started_s),
        "seconds": round(max(0.0, ending.ended_s - ending.started_s), 1),
        "counts": {state.value: len(ending.names(state)) for state in HostState},
        "hosts": {
            name: {"state": item.state.value, "reason": item.reason}
            for name, item in hosts.items()
            if item.state is not HostState.OK
        },
        "pending": list(ending.pending),
        "frozen_until": _utc(until.timestamp()) if until else None,
    }


@dataclass(frozen=True)
class Message:
    """``late`` is one of an earlier run that this recipient did not hear."""

    recipient: Recipient
    body: Mapping[str, object]
    late: bool = False


def wants(recipient: Recipient, body: Mapping[str, object]) -> bool:
    """Whether it wants to hear of such an end."""
    return body["news"] in {news.value for news in recipient.about}


def tell(messages: Sequence[Message], *, outside: Outside, clock: Clock, deadline_s: float = DEADLINE_S) -> list[str]:
    """Why each of them was not heard, "" for one that was. Raises nothing.

    Those of one recipient stand together, as they shall arrive: what it has not heard yet comes first.
    """
    end_s = clock.monotonic_s() + deadline_s
    by_recipient = [list(mine) for _, mine in groupby(messages, lambda message: id(message.recipient))]
    found: list[str] = []
    for number, mine in enumerate(by_recipient):
        # One that hangs leaves the others their part of the time.
        mine_s = clock.monotonic_s() + (end_s - clock.monotonic_s()) / (len(by_recipient) - number)
        # All that is late has the time of one try: a hook that is down all night shall not make every run longer.
        late_s = min(mine_s, clock.monotonic_s() + mine[0].recipient.timeout_s)
        found += [_why_not(message, outside, clock, late_s if message.late else mine_s) for message in mine]
    return found


def _why_not(message: Message, outside: Outside, clock: Clock, end_s: float) -> str:
    recipient = message.recipient
    try:
        send = _way_to(recipient, json.dumps(message.body).encode(), outside)
        _try(send, recipient, clock, end_s, retries=0 if message.late else recipient.retries)
    except FleetdeployError as error:
        name, why = name_of(recipient), error.message
        return why if why.startswith(f"{name} ") else f"{name}: {why}"
    return ""


def _try(send: Callable[[float], None], recipient: Recipient, clock: Clock, end_s: float, *, retries: int) -> None:
    for tried in range(retries + 1):
        left_s = end_s - clock.monotonic_s()
        if left_s < LEAST_S:
            raise DeadlineExceeded("no time was left to tell it")
        try:
            send(min(recipient.timeout_s, left_s))
            return
        except InputError:
            raise  # it would be as wrong the next time
        except FleetdeployError:
            wait_s = min(FIRST_WAIT_S * 2**tried, LONGEST_WAIT_S)
            if tried == retries or clock.monotonic_s() + wait_s + LEAST_S > end_s:
                raise
            clock.wait(wait_s)


def _way_to(recipient: Recipient, payload: bytes, outside: Outside) -> Callable[[float], None]:
    """What sends it within so many seconds. Raises InputError for a secret that cannot be opened."""
    if recipient.command:
        line = payload + b"\n"  # a shell's `read` fails where the end of the line is missing
        return lambda deadline_s: _run(recipient.command, line, outside, deadline_s)
    url, headers = _address_of(recipient), opened(recipient.headers)
    for name, value in headers.items():
        if not value.isascii() or not value.isprintable():
            raise InputError(f"the header {name} has characters that no header may have")
    return lambda deadline_s: outside.post(url, payload, deadline_s=deadline_s, headers=headers)


def _run(argv: Sequence[str], payload: bytes, outside: Outside, deadline_s: float) -> None:
    ended = outside.command(argv, payload, deadline_s=deadline_s)
    if ended.status != 0:
        rows = [row.strip() for row in ended.text.splitlines() if row.strip()]
        said = f": {safe(end_of(rows[-1], _LAST_WORDS))}" if rows else ""
        raise RemoteCommandFailed(f"{argv[0]} ended with status {ended.status}{said}")


def _address_of(recipient: Recipient) -> str:
    if not isinstance(recipient.url, Secret):
        return recipient.url
    try:
        return parse_web_address(recipient.url.reveal())
    except Refused:
        raise InputError("the secret is not a web address", where=recipient.url.where) from None


def name_of(recipient: Recipient) -> str:
    """How it is named to people: a command by its program, and of an address, which may be a secret, only the host."""
    if recipient.command:
        return recipient.command[0]
    try:
        return urlsplit(_address_of(recipient)).hostname or "webhook"
    except InputError:
        return "webhook"


def _utc(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, tz=timezone.utc).isoformat(timespec="seconds")
