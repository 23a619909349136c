"""This machine in the place of a host: its own shell runs the remote scripts, in directories of the test."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, cast

from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.remote.directory.leases import RemoteLeases
from fleetdeploy.remote.directory.verbs import ServiceDirectory
from fleetdeploy.remote.ssh.channels import CommandResult


class LocalHost:
    """In place of :class:`fleetdeploy.remote.ssh.connection.SshConnection`; ``shell`` runs the scripts."""

    def __init__(self, shell: Sequence[str] = ("sh",), environment: dict[str, str] | None = None) -> None:
        self.host = SimpleNamespace(name="gpu1")
        self.proof: Callable[[], None] | None = None
        self._shell = shell
        self._environment = environment

    def script(self, text: str, *args: str, stdin: bytes = b"", deadline_s: float) -> CommandResult:
        argv = [*self._shell, "-c", text, "fleetdeploy", *args]
        done = subprocess.run(
            argv, input=stdin, capture_output=True, timeout=deadline_s, check=False, env=self._environment
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def prove_by(self, proof: Callable[[], None] | None) -> None:
        self.proof = proof


def leases(host: LocalHost) -> RemoteLeases:
    return RemoteLeases(cast("Any", host))


def files(host: LocalHost, wish: ServiceWish, held: RemoteLeases) -> ServiceDirectory:
    return ServiceDirectory(cast("Any", host), wish.directory, token=held.token)


def service(base: Path, name: str = "ranking") -> ServiceWish:
    model = ModelWish("ranker", base / "src", VersionsWish((7,)))
    return ServiceWish(name, "image:1", Ports(1, 2), "127.0.0.1", (model,), base_dir=PurePosixPath(base))


def lock_of(wish: ServiceWish) -> Path:
    return Path(wish.directory) / "lock"


def change(wish: ServiceWish, **fields: str) -> None:
    """Rewrite fields of ``lock/holder``, as time or a damage would."""
    path = lock_of(wish) / "holder"
    found = dict(line.split(" ", 1) for line in path.read_text().splitlines())
    path.write_text("".join(f"{name} {value}\n" for name, value in {**found, **fields}.items()))


def expire(wish: ServiceWish) -> None:
    """Its time is over: nobody has renewed it since the host booted, and it was taken for a second."""
    change(wish, renewed="0", ttl="1")
