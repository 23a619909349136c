"""The link to a host, kept: opened on first use, and again when it was lost, with few that start at once."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import paramiko

from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import Unreachable
from fleetdeploy.remote.ssh.config import Hop
from fleetdeploy.remote.ssh.failures import FOREIGN, is_early_drop, is_unexplained, translate
from fleetdeploy.remote.ssh.handshakes import TURNS, Handshakes
from fleetdeploy.remote.ssh.link import close_link, make_link, open_link, phase_of, route
from fleetdeploy.remote.ssh.tracing import Tracing

_ATTEMPTS = 5
"""How often a link is tried to be opened where sshd hangs up before its banner."""

_SETTLES_S = 1.0
"""How long a transport may take to say that it has ended, once who waited on it was told."""


class KeptLink:
    """Safe for several threads. ``timeout_s`` is for one try to open it."""

    def __init__(self, host: Host, *, timeout_s: float, handshakes: Handshakes, tracing: Tracing) -> None:
        self._host = host
        self._timeout_s = timeout_s
        self._handshakes = handshakes
        self._tracing = tracing
        self._lock = threading.Lock()
        self._fabric: Any = None
        self._unwanted = False
        self._proof: Callable[[], None] | None = None
        self._proven: paramiko.Transport | None = None
        self._proving = threading.RLock()
        self._in_proof = False

    @property
    def user(self) -> str:
        """Who is logged in, once it was open."""
        return str(self._fabric.user)

    def route(self) -> tuple[Hop, ...]:
        """The host and its gateways. Opens it, and raises as that does."""
        self.transport()
        return route(self._fabric)

    def prove_by(self, proof: Callable[[], None] | None) -> None:
        """``proof`` is called before anything else goes through a link that was opened again; what it raises is raised
        by everybody who wants to.
        """
        with self._proving:
            self._proof, self._proven = proof, self.opened() if proof else None

    def channel(self, opening: Callable[[paramiko.Transport], paramiko.Channel]) -> paramiko.Channel:
        """A fresh channel; on a new connection when the old one turns out to be lost, as nothing was asked for yet."""
        link = self.transport()
        try:
            return opening(link)
        except paramiko.ChannelException:
            raise
        except FOREIGN as error:
            link.join(_SETTLES_S)  # a transport wakes those who wait on it before it says that it has ended
            if link.is_active() and not is_unexplained(error):
                raise
        return opening(self.transport())

    def transport(self) -> paramiko.Transport:
        """The link, open and proven. Raises HostKeyRefused, Unreachable, or what the proof raises."""
        transport = self.opened()
        if self._proof is None or transport is self._proven:
            return transport
        with self._proving:
            if not self._in_proof:  # the proof itself comes back here
                self._in_proof = True
                try:
                    self._proof()
                    self._proven = transport
                finally:
                    self._in_proof = False
        return transport

    def opened(self) -> paramiko.Transport:
        """The link, open, for what needs no proof. Raises HostKeyRefused or Unreachable."""
        with self._lock:
            if self._fabric is not None:
                transport: paramiko.Transport | None = self._fabric.client.get_transport()
                if transport is not None and transport.is_active():
                    return transport
                close_link(self._fabric)
                self._fabric = None
            self._fabric = self._connect()
            if self._unwanted:
                close_link(self._fabric)
            opened: paramiko.Transport = self._fabric.client.get_transport()
            return opened

    def at_hand(self) -> paramiko.Transport | None:
        """The link where it is open now. Nothing is opened, and nobody who opens or closes it is waited for."""
        fabric = self._fabric
        transport: paramiko.Transport | None = fabric.client.get_transport() if fabric is not None else None
        return transport if transport is not None and transport.is_active() else None

    def close(self) -> None:
        """End the connection and those to its gateways. One that is being opened at this moment is not waited for: who
        opens it ends it.
        """
        if not self._lock.acquire(blocking=False):
            self._unwanted = True
            return
        try:
            link, self._fabric = self._fabric, None
        finally:
            self._lock.release()
        close_link(link)

    def _connect(self) -> Any:
        """Connect; again after a random pause when sshd hung up before its banner, which is how MaxStartups refuses.

        The time counts from when it is this connection's turn to start, which it waits for TURNS times as long.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            link = make_link(self._host, timeout_s=self._timeout_s)
            try:
                with (
                    self._handshakes.turn(self._host.name, wait_s=TURNS * self._timeout_s),
                    self._tracing.wire(f"connecting to {link.user}@{link.host} port {link.port}"),
                ):
                    open_link(link)
                return link
            except FOREIGN as error:
                doing = phase_of(link)
                close_link(link)
                if attempt == _ATTEMPTS or not is_early_drop(error):
                    raise translate(error, host=self._host.name, doing=doing) from error
                # A handshake takes about that long, after which sshd has room for another one.
                time.sleep(random.uniform(0.1, 0.4) * 2 ** (attempt - 1))  # noqa: S311  only spreads the retries
            except BaseException:
                close_link(link)
                raise
        raise Unreachable("no connection", where=self._host.name)
