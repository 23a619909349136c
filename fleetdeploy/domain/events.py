"""Events: the one output of all code that does work. Terminal, JSON lines and reports are functions of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

FORMAT = 1
"""The version of what events tell, which a run's first one says. Kinds and keys may be added within one."""


class Kind(str, Enum):
    """Every kind of event, in the order in which a run has them."""

    RUN_STARTED = "run_started"
    HOST_OBSERVED = "host_observed"
    HOST_UNREACHABLE = "host_unreachable"
    PLAN_MADE = "plan_made"
    LEASES_TAKING = "leases_taking"
    LEASES_TAKEN = "leases_taken"
    PLAY_STARTED = "play_started"
    WAVE_STARTED = "wave_started"
    STEP_STARTED = "step_started"
    STEP_PROGRESS = "step_progress"
    COPY_PROGRESSED = "copy_progressed"
    STEP_FINISHED = "step_finished"
    STEP_FAILED = "step_failed"
    WATCH_ARMING = "watch_arming"
    WATCH_ARMED = "watch_armed"
    WATCH_ENDING = "watch_ending"
    WATCH_ENDED = "watch_ended"
    LEASE_LOST = "lease_lost"
    REVERT_STARTED = "revert_started"
    CAPACITY_CHANGED = "capacity_changed"
    TRAFFIC_SAMPLED = "traffic_sampled"
    HOST_FINISHED = "host_finished"
    SOAK_STARTED = "soak_started"
    ROLLOUT_STOPPED = "rollout_stopped"
    DEBT_MAKING = "debt_making"
    DEBT_MADE = "debt_made"
    DEBT_SETTLED = "debt_settled"
    LEASES_RELEASING = "leases_releasing"
    LEASES_RELEASED = "leases_released"
    RUN_FINISHED = "run_finished"
    NOTIFIED = "notified"


@dataclass(frozen=True)
class Event:
    """One fact. ``time_s`` is Unix time; ``data`` holds JSON values only and never a secret."""

    kind: Kind
    time_s: float
    run: str
    host: str = ""
    task: str = ""
    message: str = ""
    data: Mapping[str, object] = field(default_factory=dict)


Sink = Callable[[Event], None]
