"""Which host does the work of another one."""

from __future__ import annotations

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.protocols import Fleet, HostSession
from fleetdeploy.errors import HostKeyRefused, RemoteCommandFailed, Unreachable
from fleetdeploy.rollout.work import Work


def session_of(work: Work, host: Host, fleet: Fleet) -> HostSession:
    """The session of the host that does the work of ``host``. Another one that is out of reach is no word about it."""
    other = work.call.delegate
    if other is None:
        return fleet.session(host)
    try:
        return fleet.session(other)
    except HostKeyRefused:
        raise
    except Unreachable as error:
        message = f"{other.name}, which `{work.name}` is delegated to, cannot be reached: {error.message}"
        raise RemoteCommandFailed(message, where=other.name, hint=error.hint) from error
