"""Pinned host keys: which keys a host may show, and the refusal of all others before any authentication.

One reading of ``known_hosts`` feeds both SSH stacks: paramiko through :class:`PinnedPolicy`, rsync's OpenSSH through
the file that :mod:`fleetdeploy.remote.ssh.config` writes from the same :class:`PinnedKeys`. So they cannot disagree.

The format is that of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT". Two differences from OpenSSH are meant: a ``@revoked``
key is refused for every host, whatever names stand on its line, and a ``@cert-authority`` line that names the host is
refused as unsupported instead of being read as an ordinary key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import paramiko

from fleetdeploy.errors import HostKeyRefused

_SSH_PORT = 22


@dataclass(frozen=True)
class HostKey:
    """A public host key: its type's name and its wire form."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """The fingerprint as ``ssh-keygen -l`` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"{self.kind} SHA256:{digest}"

    @property
    def line(self) -> str:
        """Type and base64, as they stand in a known_hosts file."""
        return f"{self.kind} {base64.b64encode(self.blob).decode()}"


@dataclass(frozen=True)
class PinnedKeys:
    """What is known about one host: the keys it may show, the keys that nobody may show, and where that stands."""

    name: str
    keys: tuple[HostKey, ...]
    revoked: tuple[HostKey, ...] = ()
    source: str = ""

    def algorithms(self, offered: Sequence[str]) -> tuple[str, ...]:
        """``offered`` with the pinned keys' types first, so that a host with several keys shows the pinned one.

        OpenSSH orders its HostKeyAlgorithms in the same way (see sshconnect2.c, order_hostkeyalgs).
        """
        kinds = {key.kind for key in self.keys}
        if "ssh-rsa" in kinds:
            kinds |= {"rsa-sha2-512", "rsa-sha2-256"}
        return (*(name for name in offered if name in kinds), *(name for name in offered if name not in kinds))

    def check(self, shown: HostKey) -> None:
        """Raise HostKeyRefused unless ``shown`` is pinned and not revoked."""
        if any(shown.blob == key.blob for key in self.revoked):
            raise HostKeyRefused(
                f"the host shows a revoked key ({shown.fingerprint})",
                where=self.name,
                hint=f"the key is marked @revoked in {self.source}; do not connect before you know who holds it",
            )
        if any(shown.blob == key.blob for key in self.keys):
            return
        pinned = ", ".join(key.fingerprint for key in self.keys)
        raise HostKeyRefused(
            f"the host key has changed: it shows {shown.fingerprint}, pinned is {pinned}",
            where=self.name,
            hint=f"if the host was reinstalled, replace its line in {self.source}; if not, somebody is in between",
        )


@dataclass(frozen=True)
class _Line:
    number: int
    marker: str
    names: str
    key: HostKey

    def matches(self, name: str) -> bool:
        """Whether the line names ``name`` (``host`` or ``[host]:port``, lower case)."""
        if self.names.startswith("|1|"):
            return _hashed_name_matches(self.names, name)
        wanted = [pattern for pattern in self.names.lower().split(",") if pattern]
        if any(_pattern(pattern[1:]).fullmatch(name) for pattern in wanted if pattern.startswith("!")):
            return False
        return any(_pattern(pattern).fullmatch(name) for pattern in wanted if not pattern.startswith("!"))


class KnownHosts:
    """A known_hosts file, read line by line. Lines of an unknown form are remembered, never guessed at."""

    def __init__(self, text: str, *, source: str, missing: Sequence[Path] = ()) -> None:
        """Raises HostKeyRefused for a ``@revoked`` line that cannot be read: what it revokes would go unnoticed.

        ``missing`` are the files that were looked for, where there is none of them.
        """
        self.source, self._missing = source, missing
        self._lines: list[_Line] = []
        self._unread: list[int] = []
        for number, raw in enumerate(text.splitlines(), 1):
            if not raw.strip() or raw.lstrip().startswith("#"):
                continue
            line = _parse_line(number, raw)
            if line is not None:
                self._lines.append(line)
            elif raw.lstrip().startswith("@revoked"):
                raise HostKeyRefused(
                    "a @revoked line cannot be read, so the key that it revokes is not known",
                    where=f"{source}:{number}",
                    hint="the form is: @revoked NAMES TYPE BASE64",
                )
            else:
                self._unread.append(number)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> KnownHosts:
        """Read the first of ``paths`` that exists. Where there is none, no key is pinned for anybody."""
        for path in paths:
            try:
                text = path.read_text(encoding="utf-8", errors="replace")
            except FileNotFoundError:
                continue
            except OSError as error:
                raise HostKeyRefused(f"known_hosts cannot be read: {error.strerror}", where=str(path)) from error
            return cls(text, source=str(path))
        return cls("", source=str(paths[0]), missing=paths)

    def pinned(
        self,
        host: str,
        address: str,
        *,
        port: int,
        alias: str = "",
        through: str = "",
        why_unresolved: Callable[[], str] = lambda: "",
    ) -> PinnedKeys:
        """The keys of the host named ``host`` (for messages) that is reached at ``address``.

        As OpenSSH does, ``[address]:port`` is looked up for a port other than 22, then the bare address; an
        ``alias`` (HostKeyAlias) takes the place of both; ``through`` names the jump host before it. Raises
        HostKeyRefused when no key is pinned. Where besides ``why_unresolved`` has a reason, that is what is told: a
        name with a slip has no key, and none can be got.
        """
        names = [alias.lower()] if alias else _lookup_names(address, port)
        revoked = tuple(line.key for line in self._lines if line.marker == "@revoked")
        for name in names:
            lines = [line for line in self._lines if line.marker != "@revoked" and line.matches(name)]
            for line in lines:
                if line.marker == "@cert-authority":
                    raise HostKeyRefused(
                        "host certificates (@cert-authority) are not supported",
                        where=f"{self.source}:{line.number}",
                        hint=f"pin the host's own key for {name} and keep the @cert-authority line in another file",
                    )
            if lines:
                return PinnedKeys(host, tuple(line.key for line in lines), revoked, self.source)
        if why := why_unresolved():
            its_own = f"is it spelt so? it is a name in the inventory: set ansible_host where {address} is none of DNS"
            raise HostKeyRefused(  # and not Unreachable: a run goes on without hosts that are away, never over a slip
                f"the name {address} does not resolve: {why}",
                where=host,
                hint=its_own if host == address else "mend ansible_host, or HostName in ssh_config",
            )
        unread = f" (lines not understood: {', '.join(map(str, self._unread))})" if self._unread else ""
        looked = f"there is no known_hosts file (looked for {', '.join(map(str, self._missing))})"
        scan = f"{f'ssh {through} ' if through else ''}ssh-keyscan -p {port} {address}"
        scan += f" | sed 's/^[^# ][^ ]*/{alias}/'" if alias else ""
        raise HostKeyRefused(
            looked if self._missing else f"no key is pinned for {names[0]} in {self.source}{unread}",
            where=host,
            hint=f"`{scan} >> {shlex.quote(self.source)}`, then compare its fingerprints (`ssh-keygen -lf FILE`) with "
            "the host's own, seen over another way; the variable fleetdeploy_known_hosts names another file",
        )


class PinnedPolicy(paramiko.MissingHostKeyPolicy):
    """paramiko's question "what about this unknown key?", answered from the pinned keys alone.

    The client that uses it holds no host keys of its own, so that paramiko asks for every key, between the key
    exchange and the authentication.
    """

    def __init__(self, pinned: PinnedKeys) -> None:
        self._pinned = pinned

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Accept by returning, refuse by raising HostKeyRefused."""
        del client, hostname
        self._pinned.check(HostKey(key.get_name(), key.asbytes()))


def _lookup_names(address: str, port: int) -> list[str]:
    bare = address.lower()
    return [bare] if port == _SSH_PORT else [f"[{bare}]:{port}", bare]


def _parse_line(number: int, raw: str) -> _Line | None:
    fields = raw.split()
    marker = fields.pop(0) if fields[0].startswith("@") else ""
    if marker not in {"", "@revoked", "@cert-authority"} or len(fields) < 3:
        return None
    names, kind, encoded = fields[:3]
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(blob) < 4 or blob[4 : 4 + int.from_bytes(blob[:4], "big")] != kind.encode():
        return None
    return _Line(number, marker, names, HostKey(kind, blob))


def _hashed_name_matches(names: str, name: str) -> bool:
    parts = names.split("|")
    if len(parts) != 4:
        return False
    try:
        salt, wanted = base64.b64decode(parts[2], validate=True), base64.b64decode(parts[3], validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), "sha1").digest(), wanted)


def _pattern(text: str) -> re.Pattern[str]:
    """OpenSSH's ``*`` and ``?``; brackets are ordinary characters, unlike in fnmatch."""
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in text))
