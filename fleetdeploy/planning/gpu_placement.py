"""Whether there are GPUs for whole versions: a sum may be enough where no card has room for one version more.

What is looked for is any way to put each version on one of its service's cards. That there is one does not say that a
server takes it: TensorFlow puts a graph where the graph itself says, else on the first card that it sees. That there is
none is certain.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

from fleetdeploy.domain.gpu_fit import GpuFit, ModelNeed
from fleetdeploy.planning.gpu_fit import gib

NODES = 5_000
"""Partial placements that are tried before the search is given up: a fraction of a second."""
_MOST = 200
"""Versions on one set of GPUs beyond which no search is begun."""
_NEIGHBOURS = 4
"""Services beside one that changes of which every mix of before and after is looked at."""


@dataclass(frozen=True, order=True)
class Version:
    """A version that has to be on one of ``cards`` (indexes) as a whole."""

    size_bytes: int
    cards: tuple[int, ...]
    name: str


Versions = tuple[Version, ...]


def steady(fit: GpuFit) -> Versions:
    """All that shall be served in the end."""
    return tuple(version for need in fit.needs for version in _wanted(fit, need))


def reloading(fit: GpuFit, service: str) -> Iterator[Versions]:
    """What may be loaded together while ``service`` has old and new versions, with each mix of the others' sides."""
    own = [need for need in fit.needs if need.service == service]
    both = [version for need in own for version in (*_wanted(fit, need), *_loaded(fit, need, but=need.wanted))]
    return _beside(fit, service, both)


def swapping(fit: GpuFit, service: str) -> Iterator[Versions]:
    """What may be loaded together once ``service`` has its new versions alone."""
    return _beside(fit, service, [item for need in fit.needs if need.service == service for item in _wanted(fit, need)])


def without_place(fit: GpuFit, moments: Iterable[Versions], *, free: bool = False) -> str:
    """A version that no GPU has room for at one of ``moments``, wherever the others go: ``ranker/3 (50.0 GiB)``.

    Empty where all have a place, and where that could not be decided (see :func:`decided`). ``free`` leaves out what
    other programs hold.
    """
    for moment in moments:
        left = _left_over(fit, moment, free=free)
        if left is not None and left >= 0:
            version = _sorted(moment)[left]
            return f"{version.name} ({gib(version.size_bytes)})"
    return ""


def decided(fit: GpuFit, moment: Versions) -> bool:
    """Whether it was found out if there is a place for every version; more than a few services and cards may be hard.

    What is not decided is accepted, since the sums do not speak against it, and the plan says so.
    """
    return _left_over(fit, moment, free=False) is not None


def no_room(version: str) -> str:
    """The words for a version without a place."""
    return f"no GPU has room for {version}, wherever the others go"


def _wanted(fit: GpuFit, need: ModelNeed) -> Iterator[Version]:
    return _versions(fit, need, need.wanted, need.gpus)


def _loaded(fit: GpuFit, need: ModelNeed, *, but: tuple[int, ...] = ()) -> Iterator[Version]:
    return _versions(fit, need, [number for number in need.loaded if number not in but], need.gpus_before)


def _versions(fit: GpuFit, need: ModelNeed, numbers: Iterable[int], cards: tuple[int, ...]) -> Iterator[Version]:
    prefix = f"{need.service}/" if len(fit.services) > 1 else ""
    places = cards or tuple(card.index for card in fit.cards)
    for number in numbers:
        yield Version(need.version_bytes, places, f"{prefix}{need.model}/{number}")


def _beside(fit: GpuFit, service: str, own: Iterable[Version]) -> Iterator[Versions]:
    """Services change one after the other, and a revert in the other order: each may be on either side of its change.

    Of more neighbours than a few only the larger side is looked at, as the sums do.
    """
    mine = tuple(own)
    sides: list[list[Versions]] = []
    for other in (name for name in fit.services if name != service):
        needs = [need for need in fit.needs if need.service == other]
        before = tuple(version for need in needs for version in _loaded(fit, need))
        after = tuple(version for need in needs for version in _wanted(fit, need))
        sides.append([after] if _shape(before) == _shape(after) else [after, before])
    if sum(len(side) > 1 for side in sides) > _NEIGHBOURS:
        sides = [[max(side, key=lambda versions: sum(item.size_bytes for item in versions))] for side in sides]
    for mix in product(*sides):
        yield sum(mix, mine)


def _shape(versions: Iterable[Version]) -> list[tuple[int, tuple[int, ...]]]:
    return sorted((item.size_bytes, item.cards) for item in versions)


def _sorted(versions: Versions) -> Versions:
    """The largest first, and of equal ones those with the fewest cards."""
    return tuple(sorted(versions, key=lambda item: (-item.size_bytes, len(item.cards), item.cards, item.name)))


def _left_over(fit: GpuFit, versions: Versions, *, free: bool) -> int | None:
    at = {card.index: place for place, card in enumerate(fit.cards)}
    room = tuple(card.free_bytes if free else card.memory_bytes for card in fit.cards)
    items = tuple((item.size_bytes, tuple(at[index] for index in item.cards)) for item in _sorted(versions))
    return left_over(room, items)


@lru_cache(maxsize=1024)
def left_over(room: tuple[int, ...], items: tuple[tuple[int, tuple[int, ...]], ...]) -> int | None:
    """Place ``items``, each a size and the cards it may be on, largest first, on cards with ``room``.

    -1 when there is a place for all, the position of one that has none when there is not, None when the search was
    given up. First-fit decreasing is tried first; where it fails, every placement is.
    """
    first = _first_fit(list(room), items)
    if first < 0:
        return -1
    if len(items) > _MOST:
        return None
    found = _Search(room, items).place(0, 0)
    return None if found is None else -1 if found else first


def _first_fit(room: list[int], items: tuple[tuple[int, tuple[int, ...]], ...]) -> int:
    for position, (size, cards) in enumerate(items):
        card = next((card for card in cards if room[card] >= size), None)
        if card is None:
            return position
        room[card] -= size
    return -1


class _Search:
    """Depth first. Cards that are alike are tried once, and items that are alike take their cards in order: the first
    placement in lexicographic order, if there is any, is never passed over by that.
    """

    def __init__(self, room: tuple[int, ...], items: tuple[tuple[int, tuple[int, ...]], ...]) -> None:
        self.room, self.items, self.nodes = list(room), items, 0
        groups = sorted({cards for _, cards in items})
        self.kind = [tuple(card in cards for cards in groups) for card in range(len(room))]
        sizes = [size for size, _ in items]
        self.ends = [place for place, size in enumerate(sizes, 1) if place == len(sizes) or sizes[place] != size]

    def place(self, position: int, lowest: int) -> bool | None:
        """Whether the items from ``position`` on have places, the first of them not before the card ``lowest``."""
        if position == len(self.items):
            return True
        self.nodes += 1
        if self.nodes > NODES:
            return None
        if self._too_many(position):
            return False
        size, cards = self.items[position]
        tried = set()
        for card in cards:
            alike = self.room[card], self.kind[card]
            if card < lowest or self.room[card] < size or alike in tried:
                continue
            tried.add(alike)
            same = position + 1 < len(self.items) and self.items[position + 1] == (size, cards)
            self.room[card] -= size
            found = self.place(position + 1, card if same else 0)
            self.room[card] += size
            if found is not False:
                return found
        return False

    def _too_many(self, position: int) -> bool:
        """More items of at least some size are left than all cards together have room for one by one."""
        return any(
            end > position and end - position > sum(left // self.items[end - 1][0] for left in self.room)
            for end in self.ends
        )
