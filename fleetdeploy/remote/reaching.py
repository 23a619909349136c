"""The way into hosts for a person's own commands and for logs, through the sessions of a fleet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import ContainerFacts
from fleetdeploy.domain.reaching import Hear, LogLine
from fleetdeploy.domain.service import LABEL_SERVICE
from fleetdeploy.errors import DockerFailed
from fleetdeploy.remote.fleet import SshFleet, SshSession


class SshReach:
    """:class:`fleetdeploy.domain.reaching.Reach` over SSH. ``fleet`` has the connections, and closes them."""

    def __init__(self, fleet: SshFleet) -> None:
        self._fleet = fleet

    def open(self, host: Host) -> SshOpenHost:
        return SshOpenHost(self._fleet.session(host))


class SshOpenHost:
    """:class:`fleetdeploy.domain.reaching.OpenHost` over one SSH connection."""

    def __init__(self, session: SshSession) -> None:
        self._session = session

    def run(self, argv: Sequence[str], *, deadline_s: float, hear: Hear) -> int:
        self._session.leases().check()
        return self._session.connection.run(argv, deadline_s=deadline_s, hear=hear).status

    def execute(self, container: str, argv: Sequence[str], *, deadline_s: float, hear: Hear) -> int:
        self._session.leases().check()
        return self._session.containers().execute(container, argv, deadline_s=deadline_s, hear=hear).status

    def container(self, name: str) -> ContainerFacts | None:
        found = self._session.containers().inspect(name)
        if found is not None and LABEL_SERVICE not in found.labels:
            raise DockerFailed(
                f"container {name} was not made by fleetdeploy",
                where=self._session.host.name,
                hint="look at it by `docker` on the host",
            )
        return found

    def log(self, container_id: str, *, follow: bool, tail: int | None, since: str) -> Iterator[LogLine]:
        return self._session.containers().log(container_id, follow=follow, tail=tail, since=since)
