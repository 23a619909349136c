"""The one place where errors of paramiko and of sockets become our own.

The table is walked from the top, so a subclass stands before its base. A test walks every exception class that
paramiko defines and finds none without a row.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import paramiko
from paramiko.ber import BERException
from paramiko.buffered_pipe import PipeTimeout
from paramiko.hostkeys import InvalidHostKey
from paramiko.packet import NeedRekeyException
from paramiko.pkey import UnknownKeyType
from paramiko.sftp import SFTPError
from paramiko.ssh_exception import (
    AuthenticationException,
    BadHostKeyException,
    ChannelException,
    ConfigParseError,
    CouldNotCanonicalize,
    IncompatiblePeer,
    MessageOrderError,
    NoValidConnectionsError,
    PasswordRequiredException,
    ProxyCommandFailure,
    SSHException,
)

from fleetdeploy.errors import DeadlineExceeded, HostError, HostKeyRefused, Unreachable

LOGIN_HINT = "try `ssh` by hand with the same user and key; ansible_user and ansible_ssh_private_key_file set them"
_FILE_HINT = "see ansible_ssh_private_key_file, fleetdeploy_known_hosts and ssh_config"
_DOWN_HINT = "is the host up, and is sshd listening on that port?"
_STUCK_HINT = "is the host overloaded, or its sshd stopped? --timeout says how long one connection may take"

RULES: tuple[tuple[type[BaseException], type[HostError], str, str], ...] = (
    (BadHostKeyException, HostKeyRefused, "the host key is not the pinned one", "compare fingerprints"),
    (InvalidHostKey, HostKeyRefused, "a pinned key cannot be read", "mend the line in known_hosts"),
    (UnknownKeyType, HostKeyRefused, "the key is of an unknown type", "use an ed25519 key"),
    (PasswordRequiredException, Unreachable, "the private key has a passphrase", "load it into ssh-agent"),
    (AuthenticationException, Unreachable, "sshd refused the login", LOGIN_HINT),
    (ChannelException, Unreachable, "sshd refused a channel", "see MaxSessions and AllowTcpForwarding of sshd_config"),
    (IncompatiblePeer, Unreachable, "no algorithm in common with sshd", "weak algorithms are refused; update sshd"),
    (MessageOrderError, Unreachable, "sshd broke the message order", "somebody may be in between"),
    (ProxyCommandFailure, Unreachable, "the ProxyCommand failed", "run it by hand"),
    (CouldNotCanonicalize, Unreachable, "the name cannot be made canonical", "mend CanonicalizeHostname in ssh_config"),
    (ConfigParseError, Unreachable, "ssh_config cannot be read", "mend the line that is named"),
    (NoValidConnectionsError, Unreachable, "no connection", _DOWN_HINT),
    (SFTPError, Unreachable, "the SFTP channel failed", _DOWN_HINT),
    (NeedRekeyException, Unreachable, "the connection was lost while keys were renewed", "run again"),
    (BERException, Unreachable, "a private key cannot be read", LOGIN_HINT),
    (PipeTimeout, DeadlineExceeded, "no answer in time", "look at the host's load"),
    (socket.gaierror, Unreachable, "the name does not resolve", "set ansible_host to an address that does"),
    (ConnectionRefusedError, Unreachable, "connection refused", _DOWN_HINT),
    (TimeoutError, Unreachable, "no answer in time", _DOWN_HINT),
    (FileNotFoundError, Unreachable, "a file that is named does not exist", _FILE_HINT),
    (PermissionError, Unreachable, "a file that is named cannot be read", _FILE_HINT),
    (EOFError, Unreachable, "sshd closed the connection", "is the host up? if so, look at sshd's log there"),
    (SSHException, Unreachable, "SSH failed", "look at sshd's log on the host"),
    (OSError, Unreachable, "the connection failed", _DOWN_HINT),
    (ValueError, Unreachable, "a key or a setting cannot be read", _FILE_HINT),
)
"""(foreign class, our class, what it means, hint)"""

FOREIGN = tuple(row[0] for row in RULES)
"""Everything that paramiko lets out, for ``except``."""


def rule_for(kind: type[BaseException]) -> tuple[type[HostError], str, str] | None:
    """The row for a foreign class, or None when there is none."""
    for foreign, ours, meaning, hint in RULES:
        if issubclass(kind, foreign):
            return ours, meaning, hint
    return None


def translate(error: BaseException, *, host: str, doing: str) -> HostError:
    """Our error for a foreign one; ``doing`` ends the sentence "... while"."""
    if isinstance(error, HostError):
        return error
    if isinstance(error, paramiko.SSHException) and "banner" in str(error):
        # What answers for a host that is off (a gateway, a forwarded port) accepts the connection and says nothing.
        return Unreachable(f"no greeting from sshd while {doing}", where=host, hint=_DOWN_HINT)
    if isinstance(error, paramiko.SSHException) and "No existing session" in str(error):
        # paramiko's words for an exchange of keys that has not ended when it wants to log in.
        return Unreachable(f"sshd took the connection and did not answer while {doing}", where=host, hint=_STUCK_HINT)
    if isinstance(error, NoValidConnectionsError):
        # Its own text has no reasons; who does not answer on the way to a host is told by `doing`.
        through = "" if doing == "connecting" else f" while {doing}"
        return Unreachable(f"nothing answers at {_tried(error)}{through}", where=host, hint=_DOWN_HINT)
    ours, meaning, hint = rule_for(type(error)) or (Unreachable, type(error).__name__, "")
    text = _text(error)
    more = f": {text}" if text and text.lower() != meaning else ""
    return ours(f"{meaning} while {doing}{more}", where=host, hint=hint)


@contextmanager
def translated(host: str, doing: str) -> Iterator[None]:
    """Turn what paramiko and sockets raise inside the block into our errors."""
    try:
        yield
    except FOREIGN as error:
        raise translate(error, host=host, doing=doing) from error


def _tried(error: NoValidConnectionsError) -> str:
    """The addresses of a name that were tried, their port, and what came of it."""
    tried = sorted(error.errors)
    places, port = " and ".join(address[0] for address in tried), tried[0][1]
    reasons = dict.fromkeys(_text(error.errors[address]).lower() for address in tried)
    return f"{places} port {port} ({', '.join(reasons)})"


def _text(error: BaseException) -> str:
    if isinstance(error, ChannelException):
        return f"{error.text} (code {error.code})"
    if isinstance(error, BadHostKeyException):
        return ""  # its own text holds both keys in full
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error) or type(error).__name__


def is_early_drop(error: BaseException) -> bool:
    """Whether sshd hung up before it said who it is: what MaxStartups does, so worth another try."""
    if isinstance(error, (AuthenticationException, ChannelException, BadHostKeyException, IncompatiblePeer)):
        return False
    if isinstance(error, (ConnectionResetError, EOFError, BrokenPipeError)):
        return True
    return isinstance(error, paramiko.SSHException) and "banner" in str(error)


def is_unexplained(error: BaseException) -> bool:
    """Whether a channel was refused and nobody knows why: of two that are refused at once paramiko keeps one reason."""
    return type(error) is paramiko.SSHException and str(error) == "Unable to open channel."


def is_refused_channel(error: HostError) -> bool:
    """Whether sshd, or the socket behind it, refused a channel on a connection that works."""
    return "refused a channel" in error.message
