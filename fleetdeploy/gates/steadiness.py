"""Whether a server stays healthy: one that is AVAILABLE now may crash, be restarted and be AVAILABLE again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from fleetdeploy.domain.protocols import Clock, Serving
from fleetdeploy.errors import NotHealthy
from fleetdeploy.gates.readiness import CALL_S, LOOK_S, see_end
from fleetdeploy.tfserving import status


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
    waited out. ``alive`` raises when the container ended or was restarted, as Docker's count of restarts tells of what
    comes and goes between two looks; ``over`` tells that the rest is spared.
    """
    end = clock.monotonic_s() + for_s
    while (left := end - clock.monotonic_s()) > 0 and not over():
        clock.wait(min(LOOK_S, left))
        alive()
        for model, numbers in wanted.items():
            try:
                states = serving.status(model, deadline_s=CALL_S)
            except NotHealthy as error:
                see_end(alive, clock)
                raise NotHealthy(
                    f"the server stopped answering while it was watched: {error.message}", hint="see its log below"
                ) from error
            verdict = status.settled(states, numbers)
            if not verdict.ready:
                raise NotHealthy(
                    f"{model} was AVAILABLE and did not stay so for {for_s:g} s: {verdict.text}",
                    hint="something else changes this server or its files while it is watched",
                )
