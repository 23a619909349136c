"""Whether HAProxy's socket lets itself be told anything, by what it says of its own level."""

from __future__ import annotations

import pytest

from fleetdeploy.balancers.haproxy import make
from fleetdeploy.errors import BalancerFailed
from fleetdeploy.remote.clock import SystemClock


@pytest.mark.parametrize(("level", "obeys"), [("admin", True), ("operator", False), ("user", False)])
def test_only_level_admin_obeys(level: str, obeys: bool) -> None:
    """A socket of a lower level answers every question and refuses what changes anything."""
    asked: list[str] = []

    def exchange(command: str) -> str:
        asked.append(command)
        return f"{level}\n\n"

    assert make(exchange, host="lb", clock=SystemClock()).obeys() is obeys
    assert asked == ["show cli level"]


def test_another_answer_is_no_answer() -> None:
    """A HAProxy that does not know the question is not taken for one that obeys, nor for one that does not."""
    with pytest.raises(BalancerFailed, match="level"):
        make(lambda _: "Unknown command. Please enter one of the following", host="lb", clock=SystemClock()).obeys()
