"""How a run ended for a host, as its last event and its result tell it."""

from __future__ import annotations

from fleetdeploy.domain.outcome import HostState
from fleetdeploy.report.schema_words import boolean, by_name, count, exactly, one_of, text

OUTCOME = exactly(
    "How it ended for one host, over all plays.",
    state=one_of(*(state.value for state in HostState), description="the state that the recap counts it under"),
    reason=text("why, where it did not go well"),
    hint=text("what to do; empty where nothing is known"),
    mixed=boolean("whether it serves neither what it served nor what it shall, or nobody knows"),
    taken_back=boolean("whether it went well and was taken back because another host failed"),
    steps_changed=count("steps that changed something"),
    steps_ok=count("steps that found nothing to change"),
)
OUTCOMES = by_name(OUTCOME, "how it ended for each host")
