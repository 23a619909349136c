"""HTTP to a Docker socket through SSH channels: the pieces of urllib3 and requests that the docker SDK is given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import requests.adapters
import urllib3
import urllib3.connection
import urllib3.exceptions
from docker import APIClient

from fleetdeploy.errors import DockerFailed, HostError
from fleetdeploy.remote.ssh.channels import OneDeadline
from fleetdeploy.remote.ssh.connection import SshConnection
from fleetdeploy.remote.ssh.failures import is_refused_channel

SOCKET = "/var/run/docker.sock"
_BASE_URL = "http+docker://ssh"
_CONNECT_S = 10.0
_LONGEST_S = 3600.0

Dial = Callable[[], Any]


class _Connection(urllib3.connection.HTTPConnection):
    """An HTTP connection whose socket is a channel."""

    def __init__(self, dial: Dial) -> None:
        super().__init__("localhost")
        self._dial = dial

    def connect(self) -> None:
        self.sock = OneDeadline(self._dial())
        self.sock.settimeout(self.timeout if isinstance(self.timeout, (int, float)) else _CONNECT_S)


class _Pool(urllib3.HTTPConnectionPool):
    def __init__(self, dial: Dial) -> None:
        super().__init__("localhost", maxsize=4)
        self._dial = dial

    def _new_conn(self) -> Any:
        self.num_connections += 1
        return _Connection(self._dial)

    def _get_conn(self, timeout: float | None = None) -> Any:
        """A connection of the pool that is still open, told from the channel: urllib3 would ask for its fileno, which
        costs a pipe each.
        """
        del timeout
        pool: Any = self.pool
        kept = pool.get(block=False) if pool is not None and not pool.empty() else None
        if kept is not None and kept.sock is not None and (kept.sock.closed or kept.sock.eof_received):
            kept.close()
        return kept or self._new_conn()


class _UnlessLate(urllib3.Retry):
    """No retry of what reached its deadline: urllib3 counts that as a connection that broke."""

    def increment(self, method: Any = None, url: Any = None, response: Any = None, error: Any = None,
                  _pool: Any = None, _stacktrace: Any = None) -> _UnlessLate:  # fmt: skip
        if isinstance(error, urllib3.exceptions.ReadTimeoutError):
            raise error
        return super().increment(method, url, response, error, _pool, _stacktrace)


class _Adapter(requests.adapters.HTTPAdapter):
    def __init__(self, dial: Dial) -> None:
        # A question may be asked again when its connection broke; what changes something never is, but read back.
        again = _UnlessLate(total=1, connect=0, read=1, status=0, other=0, allowed_methods={"GET"})
        super().__init__(max_retries=again)
        self._own_pool = _Pool(dial)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> Any:
        return self._own_pool

    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        del proxies
        return request.path_url

    def close(self) -> None:
        self._own_pool.close()
        super().close()


class ChannelClient(APIClient):
    """The SDK's low-level client, its requests sent over ``connection``. Raises what the SDK raises, and HostError.

    ``timeout_s`` is for a whole call: sending it, and then all of its answer.
    """

    def __init__(self, connection: SshConnection, *, version: str, timeout_s: float) -> None:
        super().__init__(base_url="http://docker:80", version=version, timeout=round(timeout_s))
        self.base_url = _BASE_URL
        self.trust_env = False  # no proxy of this machine stands between us and the host's socket
        self.mount("http+docker://", _Adapter(lambda: _dial(connection)))
        self._long = threading.local()

    @contextmanager
    def taking(self, deadline_s: float) -> Iterator[None]:
        """Give calls of this thread ``deadline_s`` where the SDK would let them wait for ever, as it does a pull."""
        self._long.deadline_s = deadline_s
        try:
            yield
        finally:
            del self._long.deadline_s

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        if settings.get("timeout") is None:
            settings["timeout"] = getattr(self._long, "deadline_s", _LONGEST_S)
        return super().send(request, **settings)


def _dial(connection: SshConnection) -> Any:
    """A channel to the socket; through the docker CLI where sshd forbids forwarding to sockets, or as root."""
    if connection.becomes:  # sshd opens sockets as the user that logged in
        return _dial_by_cli(connection)
    try:
        return connection.open_unix_channel(SOCKET, deadline_s=_CONNECT_S)
    except HostError as refused:
        if not is_refused_channel(refused):
            raise
        return _dial_by_cli(connection, refused)


def _dial_by_cli(connection: SshConnection, refused: HostError | None = None) -> Any:
    docker = ["docker", "-H", f"unix://{SOCKET}"]
    asked = [*docker, "version", "--format", "{{.Server.Version}}"]
    done = connection.run(asked, deadline_s=_CONNECT_S)
    if done.status and not done.last_lines(1):
        # A busy dropbear was seen to close a command's channel before it ran; the question may be asked again.
        done = connection.run(asked, deadline_s=_CONNECT_S)
    if done.status:
        raise DockerFailed(
            f"{SOCKET} cannot be reached: {done.last_lines(1) or f'status {done.status}'}", where=connection.host.name,
            hint="is dockerd running?" if connection.becomes
            else "is dockerd running, and is the SSH user in the docker group?",
        ) from refused  # fmt: skip
    return connection.open_command_channel([*docker, "system", "dial-stdio"], deadline_s=_CONNECT_S)
