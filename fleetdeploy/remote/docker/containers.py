"""A host's Docker engine: the docker SDK's own client, on HTTP connections that are SSH channels to the socket.

Only containers with our service label are changed. Every call has a timeout; after one the outcome is not known, and
the error says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import docker.errors
import requests.exceptions
import urllib3.exceptions
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.types import LogConfig, Mount
from docker.utils import parse_repository_tag

from fleetdeploy.domain.observed import ContainerFacts
from fleetdeploy.domain.protocols import Ended
from fleetdeploy.domain.reaching import Hear, LogLine
from fleetdeploy.domain.redaction import shortened
from fleetdeploy.domain.service import LABEL_SERVICE, LABEL_SPEC, ContainerSpec
from fleetdeploy.errors import DeadlineExceeded, DockerFailed, HostError
from fleetdeploy.remote.docker import executing
from fleetdeploy.remote.docker.frames import read_log
from fleetdeploy.remote.docker.http import ChannelClient
from fleetdeploy.remote.ssh.connection import SshConnection

CALL_S = 60.0
_PULL = "check the image's name and tag, and whether the host reaches its registry; try `docker pull` there"
_FOREIGN = (
    docker.errors.DockerException,
    requests.exceptions.RequestException,
    urllib3.exceptions.HTTPError,
    OSError,
    EOFError,
)
_OLDEST_API = "1.40"


class RemoteContainers:
    """:class:`fleetdeploy.domain.protocols.Containers` over SSH. Raises DockerFailed, DeadlineExceeded, Unreachable."""

    def __init__(self, connection: SshConnection, *, check: Callable[[], None] = lambda: None) -> None:
        self._connection = connection
        self._check_lease = check
        self._host = connection.host.name
        self._lock = threading.Lock()
        self._client: ChannelClient | None = None

    def inspect(self, name: str) -> ContainerFacts | None:
        found = self._look(name)
        return _facts(found) if found else None

    def environment(self, name: str) -> Mapping[str, str]:
        found = self._look(name)
        pairs = (str(item).partition("=") for item in (found["Config"]["Env"] or () if found else ()))
        return {key: value for key, _, value in pairs}

    def image_id(self, reference: str) -> str | None:
        with self._translated(f"looking for image {reference}"):
            try:
                api: Any = self._api()
                return str(api.inspect_image(reference)["Id"])
            except docker.errors.ImageNotFound:
                return None

    def pull(self, reference: str, *, deadline_s: float) -> str:
        self._check_lease()
        end = time.monotonic() + deadline_s
        repository, tag = parse_repository_tag(reference)
        with self._translated(f"pulling {reference}"), self._api().taking(deadline_s):
            for line in self._api().pull(repository, tag=tag or "latest", stream=True, decode=True):
                if "error" in line:
                    raise DockerFailed(
                        f"cannot pull {reference}: {line['error']}",
                        where=self._host,
                        hint="try `docker pull` on the host: does it reach the registry, and may it read there?",
                    )
                if time.monotonic() > end:
                    raise DeadlineExceeded(f"{reference} was not pulled within {deadline_s:g} s", where=self._host)
        found = self.image_id(reference)
        if found is None:
            raise DockerFailed(f"{reference} is not there after it was pulled", where=self._host)
        return found

    def create_and_start(self, spec: ContainerSpec, labels: Mapping[str, str]) -> None:
        """``labels`` must hold our service label. A container that does not start is removed again."""
        if LABEL_SERVICE not in labels:
            raise DockerFailed(f"container {spec.name} would not carry the label {LABEL_SERVICE}", where=self._host)
        self._check_lease()
        with self._translated(f"creating container {spec.name}"):
            made = self._api().create_container(
                # The id where it is known: a tag may have moved since the plan was made.
                image=spec.image_id or spec.image,
                name=spec.name,
                entrypoint=list(spec.entrypoint) or None,
                command=list(spec.command),
                environment=dict(spec.environment),
                labels={LABEL_SPEC: spec.spec_hash, **labels},
                user=spec.user or None,
                ports=list(spec.ports),
                host_config=self._host_config(spec),
            )["Id"]
        try:
            with self._translated(f"starting container {spec.name}"):
                self._api().start(made)
        except DockerFailed:
            self.remove(spec.name)
            raise

    def start(self, name: str) -> None:
        self._check_lease()
        found = self._own(name)
        if found is None:
            raise DockerFailed(f"there is no container {name}", where=self._host, hint="deploy again to make it")
        with self._translated(f"starting container {name}"):
            self._api().start(found["Id"])

    def stop(self, name: str, *, grace_s: float) -> None:
        self._check_lease()
        found = self._own(name)
        if found is not None:
            with self._translated(f"stopping container {name}"):
                self._api().stop(found["Id"], timeout=round(grace_s))

    def rename(self, name: str, new_name: str) -> None:
        self._check_lease()
        found = self._own(name)
        if found is None:
            raise DockerFailed(f"there is no container {name} to rename", where=self._host)
        with self._translated(f"renaming container {name}"):
            self._api().rename(found["Id"], new_name)

    def remove(self, name: str) -> None:
        self._check_lease()
        found = self._own(name)
        if found is not None:
            with self._translated(f"removing container {name}"):
                try:
                    self._api().remove_container(found["Id"], force=True)
                except docker.errors.NotFound:
                    return

    def logs(self, name: str, *, lines: int) -> str:
        with self._translated(f"reading the log of {name}"):
            try:
                text = self._api().logs(name, stdout=True, stderr=True, tail=lines)
            except docker.errors.NotFound:
                return ""
        return bytes(text).decode("utf-8", "replace")

    def log(self, container_id: str, *, follow: bool, tail: int | None, since: str) -> Iterator[LogLine]:
        """See :meth:`fleetdeploy.domain.reaching.OpenHost.log`."""
        with self._translated(f"reading the log of container {container_id[:12]}"):
            yield from read_log(self._api(), container_id, follow=follow, tail=tail, since=since)

    def execute(self, name: str, argv: Sequence[str], *, deadline_s: float, hear: Hear | None = None) -> Ended:
        """With ``hear`` nothing of its output is returned, and nothing is cut."""
        found = self._own(name)
        if found is None:
            raise DockerFailed(f"there is no container {name} to run {argv[0]} in", where=self._host)
        with self._translated(f"running {argv[0]} in container {name}"):
            return executing.execute(self._api(), str(found["Id"]), argv, deadline_s=deadline_s, hear=hear)

    def close(self) -> None:
        """Close the channels."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _look(self, name: str) -> dict[str, Any] | None:
        with self._translated(f"inspecting container {name}"):
            try:
                found: dict[str, Any] = self._api().inspect_container(name)
            except docker.errors.NotFound:
                return None
        # Docker also takes a prefix of an id for a name.
        return found if found["Name"] == f"/{name}" else None

    def _own(self, name: str) -> dict[str, Any] | None:
        found = self._look(name)
        if found is not None and LABEL_SERVICE not in (found["Config"]["Labels"] or {}):
            raise DockerFailed(
                f"container {name} was not made by fleetdeploy and is never touched",
                where=self._host,
                hint="remove or rename it yourself",
            )
        return found

    def _host_config(self, spec: ContainerSpec) -> Any:
        """What keeps the server in its place: a model is a program (TensorFlow's SECURITY.md)."""
        return self._api().create_host_config(
            runtime=spec.runtime or None,
            mounts=[Mount(target, source, type="bind", read_only=True) for source, target in spec.mounts],
            port_bindings={port: (address, str(number)) for port, (address, number) in spec.ports.items()},
            restart_policy={"Name": spec.restart},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            read_only=True,
            tmpfs={"/tmp": "rw,nosuid,nodev,mode=1777"},  # noqa: S108  inside the container
            init=True,
            pids_limit=spec.pids_limit,
            mem_limit=spec.memory_bytes or None,
            log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "10m", "max-file": "3"}),
        )

    def _api(self) -> ChannelClient:
        """The client in the newest API version that both sides know, asked for once."""
        with self._lock:
            if self._client is None:
                # The question itself needs no version that an engine could refuse.
                asking = ChannelClient(self._connection, version=_OLDEST_API, timeout_s=CALL_S)
                try:
                    newest = str(asking.version(api_version=False)["ApiVersion"])
                finally:
                    asking.close()
                chosen = min(newest, DEFAULT_DOCKER_API_VERSION, key=_version_key)
                self._client = ChannelClient(self._connection, version=chosen, timeout_s=CALL_S)
            return self._client

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        try:
            yield
        except HostError:
            raise
        except _FOREIGN as error:
            raise _translate(error, self._host, doing) from error


def _translate(error: BaseException, host: str, doing: str) -> HostError:
    cause: BaseException | None = error
    while cause is not None:  # our own error may lie under those of requests and urllib3
        if isinstance(cause, HostError):
            return DockerFailed(f"Docker cannot be asked while {doing}: {cause.message}", where=host, hint=cause.hint)
        if isinstance(cause, (TimeoutError, requests.exceptions.Timeout)):
            return DeadlineExceeded(
                f"Docker gave no answer while {doing}; whether it happened is not known",
                where=host,
                hint=_PULL if doing.startswith("pulling") else "look at `systemctl status docker` on the host",
            )
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, docker.errors.APIError):
        text = str(error.explanation or error).strip()
        hint = _hint(text, doing)
        return DockerFailed(f"Docker refused {doing}: {shortened(text, 600)}", where=host, hint=hint)
    return DockerFailed(f"Docker failed while {doing}: {error}", where=host, hint="is dockerd running on the host?")


def _version_key(text: str) -> list[int]:
    return [int(part) for part in text.split(".")]


def _hint(text: str, doing: str) -> str:
    if "is already in use by container" in text:
        return "a container has that name: look at `docker ps --all`"
    if "port is already allocated" in text or "address already in use" in text:
        return "something else listens on that port: `ss -ltnp` on the host names it"
    if "Unknown runtime" in text or "unknown or invalid runtime" in text:
        return "install the NVIDIA Container Toolkit and restart Docker, or set `runtime`"
    if doing.startswith("pulling"):
        return _PULL
    return "look at dockerd's log on the host"


def _facts(found: Mapping[str, Any]) -> ContainerFacts:
    state = found["State"]
    return ContainerFacts(
        name=str(found["Name"]).removeprefix("/"),
        id=str(found["Id"]),
        image_id=str(found["Image"]),
        status=str(state["Status"]),
        labels=dict(found["Config"]["Labels"] or {}),
        restart_count=int(found.get("RestartCount", 0)),
        exit_code=int(state.get("ExitCode", 0)),
        started_at=str(state.get("StartedAt", "")),
    )
