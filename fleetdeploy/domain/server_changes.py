"""What a model server will do when it is given another configuration, told before it is given one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class PhaseKind(str, Enum):
    """What a phase begins with; a reload has the first two, a replacement the last two, a first start the last."""

    TOGETHER = "together"
    """A reload under which old and new versions are listed, with the old labels."""
    FINAL = "final"
    """A reload of the new configuration itself, once everything that is new has answered."""
    STOP = "stop"
    """The process ends, and everything leaves memory."""
    START = "start"
    """A new process reads the new configuration."""


@dataclass(frozen=True)
class LabelMove:
    """A label that points elsewhere afterwards. None on a side where there is no such label.

    ``before`` is what the configuration on the host says; a server cannot be asked for its labels.
    """

    model: str
    label: str
    before: int | None
    after: int | None


@dataclass(frozen=True)
class ModelPhase:
    """What happens to one model in one phase; version numbers ascending.

    ``loads`` are read from disk, ``beside`` are in memory meanwhile; ``waits`` are on their way already and are waited
    for; ``unloads`` leave memory. ``unlisted`` is whether the new configuration does not name the model any more.
    """

    model: str
    loads: tuple[int, ...] = ()
    beside: tuple[int, ...] = ()
    waits: tuple[int, ...] = ()
    unloads: tuple[int, ...] = ()
    labels: tuple[LabelMove, ...] = ()
    unlisted: bool = False

    @property
    def happens(self) -> bool:
        return bool(self.loads or self.waits or self.unloads or self.labels)


@dataclass(frozen=True)
class ServerPhase:
    """One step of a server. ``models`` has those to which something happens, in alphabetical order.

    ``golden`` maps models to the versions that golden requests are sent to at its end; the next phase begins only when
    these were answered rightly.
    """

    kind: PhaseKind
    models: tuple[ModelPhase, ...] = ()
    golden: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class BurntVersion:
    """A wanted version that failed in the present process, which never tries its number again while it is listed."""

    model: str
    number: int
    error: str


@dataclass(frozen=True)
class Hindrances:
    """Why no reload brings the present process to the new configuration; ``others`` are sentences."""

    burnt: tuple[BurntVersion, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServerChanges:
    """What a server does, in order. No phases where it is left as it is.

    ``unread`` maps models of which the server did not say what it has to the reason; what it was last told to have
    stands for them. ``removed`` are the models that it has now and that are not named any more.
    """

    phases: tuple[ServerPhase, ...] = ()
    hindrances: Hindrances = Hindrances()
    removed: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
