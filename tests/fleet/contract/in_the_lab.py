"""The real host of a case: one of the lab, through SSH."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.protocols import HostSession
from fleetdeploy.domain.service import GoldenRequest, ModelVersion, ServiceWish
from fleetdeploy.errors import Unreachable
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.remote.directory.records import history_line
from fleetdeploy.remote.fleet import SshFleet
from fleetdeploy.tfserving import golden
from fleetdeploy.tfserving.manifest import read_manifest
from tests.fleet.contract.places import HOST, UNLOADABLE, Place, release
from tests.fleet.onlooker import make_new, on, tell, wait_docker
from tests.fleet.project import exported
from tests.fleet.remote.staging_files import version as written


class InTheLab(Place):
    """A host of the lab. ``exported`` has the lab's models, ``scratch`` is a place for more versions."""

    def __init__(self, lab: Lab, *, exported: Path, scratch: Path) -> None:
        self.lab, self._exported, self._scratch = lab, exported, scratch
        paths = lab.paths
        self._hosts = {
            name: Host(name, Connection(at.door_address, at.ssh_port, "root", paths.client_key, paths.known_hosts))
            for name, at in lab.hosts.items()
        }
        self.host, self.image, self.bind = self._hosts[HOST], lab.images[0], "10.77.0.0/16"
        super().__init__()

    def close(self) -> None:
        super().close()
        make_new(self.lab)

    def fleet(self) -> SshFleet:
        return SshFleet(hosts=self._hosts)

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def version(self, number: int) -> ModelVersion:
        if number == UNLOADABLE:
            return written(self._scratch, number, {"README": b"no model"})
        directory = self._exported / "models/ranker" / str(number)
        return ModelVersion(number, directory, read_manifest(directory))

    def changed(self, number: int) -> ModelVersion:
        return written(self._scratch / "changed", number, {"saved_model.pb": b"another one"})

    def golden(self, number: int) -> GoldenRequest:
        return golden.for_version(golden.load(self._exported / "golden/ranker.jsonl"), number)[0]

    def losing_answers(self) -> HostSession:
        """The link goes as soon as the command has ended."""
        fleet = self.opened()
        assert isinstance(fleet, SshFleet)
        session = fleet.session(self.host)
        connection, done = session.connection, session.connection.run

        def lose(*args: Any, **kwargs: Any) -> Any:
            connection.run = done  # type: ignore[method-assign]
            done(*args, **kwargs)
            connection.close()
            raise Unreachable("the connection was lost", where=self.host.name)

        connection.run = lose  # type: ignore[method-assign]
        return session

    def leave_in_staging(self, wish: ServiceWish, *names: str) -> None:
        on(self.lab, HOST, "mkdir", *(f"{wish.directory}/staging/{name}" for name in names))

    def fill_history(self, wish: ServiceWish, lines: int) -> None:
        """By hand but for the last one: a command for each would take a while."""
        self.session.files(wish).write_config("")
        text = "".join(f"{history_line(release(f'r{number}', wish))}\n" for number in range(1, lines))
        self.lab.run_on(HOST, ["sh", "-c", f"cat >{wish.directory}/releases/history"], stdin=text)
        self.session.files(wish).write_release(release(f"r{lines}", wish))

    def make_foreign(self, name: str) -> None:
        on(self.lab, HOST, "docker", "create", "--name", name, self.image)

    def remove_foreign(self, name: str) -> None:
        on(self.lab, HOST, "docker", "rm", "--force", name)

    def operator(self, server: str, state: str) -> None:
        tell(self.lab, server, state)

    @contextmanager
    def without_docker(self) -> Iterator[None]:
        on(self.lab, HOST, "sh", "-c", 'kill -9 "$(cat /run/docker.pid)"')
        try:
            yield
        finally:
            self.lab.start_service(HOST, "docker")
            wait_docker(self.lab, HOST)


@contextmanager
def in_the_lab(lab: Lab, *, scratch: Path) -> Iterator[InTheLab]:
    """The place meanwhile; afterwards the lab's hosts are as new."""
    made = InTheLab(lab, exported=exported(lab), scratch=scratch)
    try:
        yield made
    finally:
        made.close()
