"""Notes of who keeps a server out, in HAProxy's own memory: one process-wide variable a server and pool.

A host that a run drained because it could not be reached has no mark of that run on itself, and the controller that
remembers it may not be the one that brings it back. The note is where the drain is, and goes with it when HAProxy
starts anew. It is the id of the run, behind a minus once a run has put the server back.

``get var`` and ``set var`` are of HAProxy 2.4 and newer (management.txt, section 9.3); older ones say that they do not
know them, and have no notes. ``set var`` is behind ``experimental-mode``: HAProxy then says of itself that it is
``tainted`` (``show info``), which has no other effect.

A HAProxy that is given little memory for variables (``tune.vars.proc-max-size``, ``tune.vars.global-max-size``) ends
itself when that is used up: 2.6 was seen to. ``balancer.notes: false`` is for those; by default there is no limit.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from fleetdeploy.domain.observed import Note, PoolMember

_AT_ONCE = 100
"""Questions in one line: HAProxy reads one of up to 16 KiB."""
_FOUND = re.compile(r"^(proc\.\w+): type=str value=<(-?)([\w.:-]+)>$", re.MULTILINE)
_RUN = re.compile(r"[A-Za-z0-9][\w.:-]*", re.ASCII)
_NONE = "Variable not found."
_ANY = "proc.fleetdeploy_notes"
"""There once anything was noted."""

Place = tuple[str, str]
"""Pool and server."""


def read(exchange: Callable[[str], str], places: Sequence[Place]) -> Mapping[Place, Note]:
    """The notes that there are of ``places``; nothing is asked for none. Raises what ``exchange`` raises."""
    names = {_name(place): place for place in places}
    found: dict[Place, Note] = {}
    if len(names) > _AT_ONCE and not _FOUND.search(exchange(f"get var {_ANY}")):
        return found
    for begin in range(0, len(names), _AT_ONCE):
        reply = exchange("; ".join(f"get var {name}" for name in list(names)[begin : begin + _AT_ONCE]))
        found |= {names[name]: Note(run, bool(paid)) for name, paid, run in _FOUND.findall(reply) if name in names}
    return found


def put_on(members: Iterable[PoolMember], there: Mapping[Place, Note]) -> tuple[PoolMember, ...]:
    """The servers with their notes."""
    return tuple(replace(member, note=there.get((member.pool, member.server))) for member in members)


def are_kept(exchange: Callable[[str], str], place: Place) -> bool:
    """Whether this HAProxy can keep notes. Raises what ``exchange`` raises."""
    reply = exchange(f"get var {_name(place)}")
    return _NONE in reply or _FOUND.search(reply) is not None


def write(place: Place, note: Note) -> str:
    """The command for it. Raises ValueError for what is no run's id: it would not be a word of that command."""
    if not _RUN.fullmatch(note.run):
        raise ValueError(f"{note.run!r} is no run")
    text = f"{'-' if note.paid else ''}{note.run}"
    return f"experimental-mode on; set var {_ANY} str(yes); set var {_name(place)} str({text})"


def _name(place: Place) -> str:
    """Readable, in letters that a variable's name may have; the hash keeps any two apart."""
    readable = re.sub(r"\W", "_", "_".join(place), flags=re.ASCII)[:60]
    return f"proc.fleetdeploy_{readable}_{hashlib.sha256('/'.join(place).encode()).hexdigest()[:12]}"
