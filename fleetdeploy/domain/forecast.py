"""A plan held against a playbook: what a deploy would do in which order, and what would stay in service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleetdeploy.domain.plan import Plan


@dataclass(frozen=True)
class WaveForecast:
    """One wave of one play: ``number`` of ``waves``, on ``hosts``.

    ``serving`` counts the hosts of the play that are in service before it, ``lowest`` those that are at any moment of
    it, out of ``total``; both are the same where the wave takes no host out. ``seconds`` is how long earlier runs let
    expect it to take, None where they say nothing.
    """

    play: str
    number: int
    waves: int
    hosts: tuple[str, ...]
    serving: int
    lowest: int
    total: int
    seconds: float | None = None


@dataclass(frozen=True)
class Forecast:
    """``further`` names, by host, work of the playbook beyond what the host's services need."""

    plan: Plan
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    waves: tuple[WaveForecast, ...] = ()

    @property
    def changing(self) -> tuple[str, ...]:
        """The hosts on which something would be done, in the plan's order."""
        return tuple(name for name, host in self.plan.hosts.items() if host.changed or self.further.get(name))
