"""Notes of who keeps a server out, in HAProxy's own memory: one process-wide variable a server and pool.

A host that a run drained because it could not be reached has no mark of that run on itself, and the controller that
remembers it may not be the one that brings it back. The note is where the drain is, and goes with it when HAProxy
starts anew. ``get var`` and ``set var`` are of HAProxy 2.4 and newer (management.txt, section 9.3); older ones say that
they do not know them, and have no notes. ``set var`` is behind ``experimental-mode``: HAProxy then says of itself that
it is ``tainted`` (``show info``), which has no other effect.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence

_AT_ONCE = 100
"""Questions in one line: HAProxy reads one of up to 16 KiB."""
_FOUND = re.compile(r"^(proc\.\w+): type=str value=<([\w.:-]*)>$", re.MULTILINE)
_RUN = re.compile(r"[\w.:-]*", re.ASCII)

Place = tuple[str, str]
"""Pool and server."""


def read(exchange: Callable[[str], str], places: Sequence[Place]) -> Mapping[Place, str]:
    """The run that keeps out each of ``places``, "" where its note was taken away; those without a note are left out.

    Nothing is asked for no places. Raises what ``exchange`` raises.
    """
    names = {_name(*place): place for place in places}
    found: dict[Place, str] = {}
    for begin in range(0, len(names), _AT_ONCE):
        asked = list(names)[begin : begin + _AT_ONCE]
        reply = exchange("; ".join(f"get var {name}" for name in asked))
        found |= {names[name]: run for name, run in _FOUND.findall(reply) if name in names}
    return found


def taking(pool: str, server: str, run: str = "") -> str:
    """The command that notes ``run``, or takes the note away. Raises ValueError for what is no run's id."""
    if not _RUN.fullmatch(run):
        raise ValueError(f"{run!r} is no run")
    return f"experimental-mode on; set var {_name(pool, server)} str({run})"


def _name(pool: str, server: str) -> str:
    """Readable, in letters that a variable's name may have; the hash keeps any two apart."""
    readable = re.sub(r"\W", "_", f"{pool}_{server}", flags=re.ASCII)[:60]
    return f"proc.fleetdeploy_{readable}_{hashlib.sha256(f'{pool}/{server}'.encode()).hexdigest()[:12]}"
