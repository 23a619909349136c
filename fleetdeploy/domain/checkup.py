"""What ``doctor`` knows of a host and of the controller, and what it finds: facts are text as it was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import Absent, ObservedHost, PoolMember, Present, Reading, T, Unknown

NOT_ASKED = Unknown("nobody asked")


class Health(str, Enum):
    """``UNKNOWN`` is what could not be read: it may be fine or not."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One verdict. ``what`` is one sentence, ``why`` what follows from it, ``fix`` something to type or to write down,
    in which ``{host}`` stands for the host's name. ``aside``: nothing hangs on it that it is not known.
    """

    health: Health
    what: str
    why: str = ""
    fix: str = ""
    check: str = ""
    aside: bool = False


class Untold(Exception):
    """A fact that a check needs could not be read; the text is the reason."""


def known(reading: Reading[T]) -> T | None:
    """The value, None where it was looked for and is not there. Raises Untold."""
    if isinstance(reading, Unknown):
        raise Untold(reading.reason)
    return reading.value if isinstance(reading, Present) else None


@dataclass(frozen=True)
class Trouble:
    """Why a host could not be looked at at all. ``known`` says that this is a fault, not that nobody knows."""

    message: str
    hint: str = ""
    known: bool = False
    key_refused: bool = False


@dataclass(frozen=True)
class Link:
    """The SSH connection: the server's own name and version, how long a question and its answer take, and whether sshd
    lets us through to TCP ports and to sockets.
    """

    server: Reading[str] = NOT_ASKED
    round_trip_s: Reading[float] = NOT_ASKED
    tcp: Reading[bool] = NOT_ASKED
    sockets: Reading[bool] = NOT_ASKED


@dataclass(frozen=True)
class HostFacts:
    """Everything that one look brought. ``said`` are texts of the host's tools and files by the names of ``doctor.sh``;
    ``members`` the host's own servers in its balancer, Absent without one. ``clock_offset_s`` is its clock's lead.
    """

    host: Host
    observed: ObservedHost
    said: Mapping[str, Reading[str]] = field(default_factory=dict)
    link: Link = Link()
    trouble: Trouble | None = None
    clock_offset_s: Reading[float] = NOT_ASKED
    members: Reading[tuple[PoolMember, ...]] = Absent()
    balancer_obeys: Reading[bool] = Absent()
    owes: str = ""

    def text(self, name: str) -> str:
        """The text of that name, empty where there is none. Raises Untold."""
        return known(self.said.get(name, NOT_ASKED)) or ""


@dataclass(frozen=True)
class ControllerFacts:
    """The machine that fleetdeploy runs on. ``known_hosts`` maps each file that hosts name to whether it can be read,
    ``private_keys`` to the mode for which ssh does not use it, or nothing; ``files_open`` is how many files a process
    may have open, 0 for any number.
    """

    said: Mapping[str, Reading[str]] = field(default_factory=dict)
    python: Sequence[int] = ()
    hosts: int = 0
    forks: int = 0
    files_open: Reading[int] = NOT_ASKED
    state_dir: str = ""
    state_writable: Reading[bool] = NOT_ASKED
    state_free_bytes: Reading[int] = NOT_ASKED
    known_hosts: Mapping[str, bool] = field(default_factory=dict)
    zone: Reading[str] = NOT_ASKED
    private_keys: Mapping[str, Reading[str]] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """The text of that name, empty where there is none. Raises Untold."""
        return known(self.said.get(name, NOT_ASKED)) or ""
