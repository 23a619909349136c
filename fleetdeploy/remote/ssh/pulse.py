"""Keepalives that are counted: a link whose other end answers nothing any more is given up.

paramiko sends keepalives that ask for no answer, so that only the kernel could tell a dead link, and it sees none that
lies behind a jump host or a ProxyCommand.
"""

from __future__ import annotations

import weakref
from typing import Any

import paramiko
from paramiko.common import cMSG_GLOBAL_REQUEST

KEEPALIVE_S = 5
KEEPALIVES = 3
"""So many without an answer, and the link is lost: as ServerAliveInterval and ServerAliveCountMax of ssh_config(5)."""


def keep_alive(transport: paramiko.Transport) -> None:
    """Ask the other end whenever nothing was sent for KEEPALIVE_S; end the transport when it does not answer."""
    pulse: Any = _Pulse(transport)
    packets: Any = transport.packetizer
    packets.set_keepalive(KEEPALIVE_S, pulse)


class _Pulse:
    """Called by the transport's own thread, every KEEPALIVE_S while nothing arrives."""

    def __init__(self, transport: paramiko.Transport) -> None:
        self._transport: Any = weakref.proxy(transport)
        self._seen = -1
        self._asked = 0

    def __call__(self) -> None:
        """Raises SSHException, which ends the transport and every wait on it."""
        seen = self._transport.packetizer._Packetizer__sequence_number_in  # noqa: SLF001  paramiko tells it nowhere
        if seen != self._seen:
            self._seen, self._asked = seen, 0
        if self._asked >= KEEPALIVES:
            raise paramiko.SSHException(f"no answer to {KEEPALIVES} keepalives")
        self._asked += 1
        # Not Transport.global_request: it would wait here behind a thread that cannot get rid of its bytes.
        if self._transport.clear_to_send_lock.acquire(blocking=False):
            try:
                if self._transport.clear_to_send.is_set():
                    self._transport._send_message(_question())  # noqa: SLF001
            finally:
                self._transport.clear_to_send_lock.release()


def _question() -> paramiko.Message:
    """A request that no server knows, and every server has to answer (RFC 4254, section 4)."""
    message = paramiko.Message()
    message.add_byte(cMSG_GLOBAL_REQUEST)
    message.add_string("keepalive@openssh.com")
    message.add_boolean(True)
    return message
