"""What the models of a host need of GPUs that services share, held against what these GPUs have. All sizes in bytes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """One GPU, as nvidia-smi lists it. ``used_bytes`` is what all programs on the host hold of it, ours too."""

    index: int
    name: str
    memory_bytes: int
    used_bytes: int = 0

    @property
    def free_bytes(self) -> int:
        return max(0, self.memory_bytes - self.used_bytes)


@dataclass(frozen=True)
class ModelNeed:
    """A model of which every loaded version needs ``version_bytes``.

    ``wanted`` are the versions that shall be served; ``loaded`` those that are in memory before anything is done, or
    that a reload would bring back there. ``gpus`` are the indexes of the cards that a wanted version may be put on,
    ``gpus_before`` those of a loaded one; empty for any card of the :class:`GpuFit`.
    """

    service: str
    model: str
    version_bytes: int
    wanted: tuple[int, ...]
    loaded: tuple[int, ...] = ()
    gpus: tuple[int, ...] = ()
    gpus_before: tuple[int, ...] = ()

    @property
    def steady_bytes(self) -> int:
        return len(self.wanted) * self.version_bytes

    @property
    def loaded_bytes(self) -> int:
        return len(self.loaded) * self.version_bytes

    @property
    def together_bytes(self) -> int:
        """While a hot reload has old and new versions in memory."""
        return len({*self.wanted, *self.loaded}) * self.version_bytes


@dataclass(frozen=True)
class GpuFit:
    """GPUs, and every model, as it is and as it shall be, of the services that have these and no others.

    ``reloads`` are the services that shall change by a hot reload. ``dropped`` are models, as ``service/model``, that
    are loaded and that the inventory does not list any more: what they need until they are unloaded, nobody knows.
    Services of one host change one after the other, so a sum holds old and new versions of one service only; another
    one counts with the larger of what it holds before and after, whichever changes first.

    Sums are not all: a version is never divided between cards. :mod:`fleetdeploy.planning.gpu_placement` looks for
    places; ``undecided`` is whether it gave up before it found any or could tell that there are none.
    """

    cards: tuple[Card, ...]
    needs: tuple[ModelNeed, ...]
    reloads: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    undecided: bool = False

    @property
    def capacity_bytes(self) -> int:
        return sum(card.memory_bytes for card in self.cards)

    @property
    def free_bytes(self) -> int:
        return sum(card.free_bytes for card in self.cards)

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(need.service for need in self.needs))

    def shall_hold(self, service: str) -> bool:
        """Whether any version that ``service`` shall serve goes here; else only its old ones are here."""
        return any(need.wanted for need in self.needs if need.service == service)

    @property
    def steady_bytes(self) -> int:
        """What all wanted versions need."""
        return sum(need.steady_bytes for need in self.needs)

    @property
    def peak_bytes(self) -> int:
        """The most that is needed at any moment of the hot reloads, at least what is needed in the end."""
        return max([self.steady_bytes, *(self.reload_bytes(service) for service in self.reloads)])

    def reload_bytes(self, service: str) -> int:
        """What is needed while ``service`` has old and new versions loaded."""
        own = sum(need.together_bytes for need in self.needs if need.service == service)
        return own + self._others_bytes(service)

    def swap_bytes(self, service: str) -> int:
        """What is needed once ``service`` has given up its old versions and loaded the new ones."""
        own = sum(need.steady_bytes for need in self.needs if need.service == service)
        return own + self._others_bytes(service)

    def _others_bytes(self, service: str) -> int:
        return sum(self._most_bytes(other) for other in self.services if other != service)

    def _most_bytes(self, service: str) -> int:
        own = [need for need in self.needs if need.service == service]
        return max(sum(need.steady_bytes for need in own), sum(need.loaded_bytes for need in own))
