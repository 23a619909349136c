"""Whether a server stays healthy: one that is AVAILABLE now may crash, be restarted and be AVAILABLE again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fleetdeploy.domain.protocols import Clock, Serving
from fleetdeploy.errors import NotHealthy
from fleetdeploy.gates.readiness import CALL_S
from fleetdeploy.tfserving import status

LOOK_S = 0.5
"""A flap is told within a second; what comes and goes between two looks stands in Docker's count of restarts."""
LOOKS_AT_END = 4
"""So many looks, LOOK_S apart, Docker gets to see that a server has ended."""


def stays_available(
    serving: Serving,
    wanted: Mapping[str, Sequence[int]],
    clock: Clock,
    *,
    for_s: float,
    alive: Callable[[], None],
    over: Callable[[], bool],
) -> None:
    """Look again and again for ``for_s`` seconds. Raises NotHealthy at the first look that is not well: a flap is not
    waited out. ``alive`` raises when the container ended or was restarted; ``over`` tells that the rest is spared.
    """
    end = clock.monotonic_s() + for_s
    while (left := end - clock.monotonic_s()) > 0 and not over():
        clock.wait(min(LOOK_S, left))
        alive()
        for model, numbers in wanted.items():
            try:
                states = serving.status(model, deadline_s=CALL_S)
            except NotHealthy as error:
                raise _silent(error, clock, alive=alive) from error
            verdict = status.settled(states, numbers)
            if not verdict.ready:
                raise NotHealthy(
                    f"{model} was AVAILABLE and did not stay so for {for_s:g} s: {verdict.text}",
                    hint="something else changes this server or its files while it is watched",
                )


def _silent(error: NotHealthy, clock: Clock, *, alive: Callable[[], None]) -> NotHealthy:
    """A server that stops answering has most often ended: Docker, which knows more, needs a moment to see that."""
    for _ in range(LOOKS_AT_END):
        alive()
        clock.wait(LOOK_S)
    return NotHealthy(f"the server stopped answering while it was watched: {error.message}", hint="see its log below")
