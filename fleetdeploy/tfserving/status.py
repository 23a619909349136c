"""GetModelStatus: its answers as version states, and the verdict whether a server has settled on what is wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.tfserving import stubs


class Settled(str, Enum):
    """Whether waiting is over."""

    READY = "ready"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """``text`` says what is still missing or what failed, one clause for each version; empty when ready."""

    settled: Settled
    text: str = ""

    @property
    def ready(self) -> bool:
        return self.settled is Settled.READY

    @property
    def failed(self) -> bool:
        return self.settled is Settled.FAILED


def from_proto(response: Any) -> tuple[VersionState, ...]:
    """The entries of a GetModelStatusResponse, highest version first, as the server orders them."""
    return _ordered(
        VersionState(
            number=int(entry.version),
            state=_state(stubs.get_model_status_pb2.ModelVersionStatus.State.Name, entry.state),
            error=_error(_code_name(entry.status.error_code), entry.status.error_message),
        )
        for entry in response.model_version_status
    )


def settled(states: Iterable[VersionState], wanted: Collection[int], *, others_allowed: bool = False) -> Verdict:
    """Whether the server serves ``wanted``, and nothing else unless ``others_allowed`` (while old and new overlap).

    READY when every wanted version is AVAILABLE and no other one is START, LOADING, AVAILABLE, UNLOADING or UNKNOWN.
    FAILED when a wanted version is END with an error: the server does not try that number again while it is listed.
    Otherwise PENDING, also for a wanted version that is END without an error: it was unloaded and may come back.
    END entries of other versions mean nothing; the server keeps them for ever (tensorflow/serving #1488).
    """
    by_number = {state.number: state for state in states}
    failed = [
        f"version {number} failed to load: {entry.error}"
        for number in sorted(wanted)
        if (entry := by_number.get(number)) and entry.state is State.END and entry.error
    ]
    if failed:
        return Verdict(Settled.FAILED, "; ".join(failed))
    pending = [
        f"version {number} is {by_number[number].state.value}"
        if number in by_number
        else f"version {number} is not known yet"
        for number in sorted(wanted)
        if number not in by_number or by_number[number].state is not State.AVAILABLE
    ]
    if not others_allowed:
        pending += [
            f"version {entry.number} is {entry.state.value} but not wanted"
            for entry in sorted(by_number.values(), key=lambda entry: entry.number)
            if entry.number not in wanted and entry.state is not State.END
        ]
    return Verdict(Settled.PENDING, "; ".join(pending)) if pending else Verdict(Settled.READY)


def available(states: Iterable[VersionState]) -> tuple[int, ...]:
    """The versions that are AVAILABLE, ascending."""
    return tuple(sorted(state.number for state in states if state.state is State.AVAILABLE))


def _ordered(states: Iterable[VersionState]) -> tuple[VersionState, ...]:
    return tuple(sorted(states, key=lambda state: -state.number))


def _state(name_of: Any, value: object) -> State:
    try:
        return State(name_of(value))
    except ValueError:
        return State.UNKNOWN


def _code_name(code: int) -> str:
    try:
        return str(stubs.error_codes_pb2.Code.Name(code))
    except ValueError:
        return f"code {code}"


def _error(code: str, message: str) -> str:
    return "" if code in {"OK", ""} and not message else f"{code}: {message}"
