"""The settings of a project: what holds for its runs, whoever starts them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from fleetdeploy.domain.freeze import FreezeWindow
from fleetdeploy.domain.secret import Secret

_NONE: Mapping[str, str | Secret] = MappingProxyType({})


class News(str, Enum):
    """How a run ended, as those who are told choose among the ends."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    REFUSED = "refused"
    PARTLY = "partly"
    LOCKED = "locked"
    FROZEN = "frozen"
    WAITING = "waiting"
    HELD = "held"
    INTERRUPTED = "interrupted"


WORTH_TELLING = (News.CHANGED, News.FAILED, News.REFUSED, News.PARTLY, News.HELD, News.INTERRUPTED)


@dataclass(frozen=True)
class Recipient:
    """Who is told how a run ended: a web address with ``headers``, or a command. ``about`` are the ends it is told of.

    ``timeout_s`` is that of one try; ``retries`` more are made.
    """

    url: str | Secret = ""
    command: tuple[str, ...] = ()
    headers: Mapping[str, str | Secret] = field(default_factory=lambda: _NONE)
    about: tuple[News, ...] = WORTH_TELLING
    timeout_s: float = 10.0
    retries: int = 2


@dataclass(frozen=True)
class SyncSettings:
    """What ``sync`` does unless its command line says otherwise; ``max_hosts`` is 0 for any number of them.

    ``retry_after_s`` is how long a release that failed is left alone at first; 0 tries it every time.
    """

    playbook: Path | None = None
    limit: str = ""
    splay_s: float = 0.0
    max_hosts: int = 0
    retry_after_s: float = 600.0


@dataclass(frozen=True)
class Settings:
    """``textfile`` is where metrics for Prometheus are written, if anywhere."""

    freeze: tuple[FreezeWindow, ...] = ()
    notify: tuple[Recipient, ...] = ()
    textfile: Path | None = None
    sync: SyncSettings = SyncSettings()
