"""The leases of one host's services, through ``lease.sh``; the fencing numbers that everything else there carries."""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fleetdeploy.domain.lease import TRY_LATER, WHICHEVER, Holder, Lease, held_elsewhere
from fleetdeploy.domain.observed import Absent, Present, Reading, Unknown
from fleetdeploy.domain.service import ServiceWish
from fleetdeploy.errors import LockHeld, RemoteCommandFailed
from fleetdeploy.remote.directory.verbs import AT_WORK, UNLEASED, error_of, script_of
from fleetdeploy.remote.host_words import printable
from fleetdeploy.remote.ssh.channels import CommandResult
from fleetdeploy.remote.ssh.connection import SshConnection

CALL_S = 30.0
HELD, TAKEN, RENEWED, SEEN, UNKNOWN, BROKEN = "held", "taken", "renewed", "seen", "unknown", "broken"
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
"""As the scripts read one: any other is damage, and nobody's lease."""
_NO_WORD = re.compile(r"[^A-Za-z0-9@._+-]+")


def read_lease(text: str, *, boot_id: str, uptime_s: float) -> Lease | None:
    """What ``lock/holder`` says, None when nobody holds the lease. Raises ValueError for a text that is not one.

    A lease from before the host's last boot counts as renewed when it booted.
    """
    fields = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    if text and fields.get("state") not in {"held", "released", "broken"}:
        raise ValueError("lock/holder is damaged")
    if fields.get("state") != "held":
        return None
    if not all(_NUMBER.fullmatch(fields[name]) for name in ("fence", "since", "renewed", "ttl")):
        raise ValueError("lock/holder is damaged")
    same_boot = fields.get("boot") == boot_id
    since_s, renewed_s = (min(float(fields[name]), uptime_s) if same_boot else 0.0 for name in ("since", "renewed"))
    holder = Holder(printable(fields["run"]), printable(fields["owner"]), fields.get("origin", "").strip("-"))
    left_s = max(0.0, renewed_s + float(fields["ttl"]) - uptime_s)
    return Lease(holder, int(fields["fence"]), age_s=uptime_s - since_s, left_s=left_s)


@dataclass(frozen=True)
class _Frame:
    """One directory's part of the answer."""

    index: int
    word: str
    fence: int
    lease: Reading[Lease]


class RemoteLeases:
    """:class:`fleetdeploy.domain.protocols.Leases` over SSH. Every method is one exec. Safe for several threads."""

    def __init__(self, connection: SshConnection) -> None:
        self._connection = connection
        self._host = connection.host.name
        self._lock = threading.Lock()
        self._holder: Holder | None = None
        self._ttl_s = 0.0
        self._fences: dict[PurePosixPath, int] = {}

    def take(self, services: Sequence[ServiceWish], holder: Holder, *, ttl_s: float) -> None:
        """In the order of their names, so that of two runs the one that gets the first gets them all."""
        directories = sorted(service.directory for service in services)
        done, frames = self._run("take", holder, dict.fromkeys(directories, 0), ttl_s=ttl_s)
        for frame in frames:
            if frame.word == HELD:
                raise self._held(frame.lease)
        if done.status == AT_WORK:
            raise LockHeld(f"{self._host}: {printable(done.error_text)}", hint=TRY_LATER)
        self._check("taking the lease", done, frames, len(directories))
        with self._lock:
            self._holder, self._ttl_s = holder, ttl_s
            self._fences = {directories[frame.index]: frame.fence for frame in frames}
        self._connection.prove_by(self.check)

    def check(self) -> None:
        with self._lock:
            holder, fences = self._holder, dict(self._fences)
        if holder is not None:
            done, frames = self._run("renew", holder, fences, ttl_s=self._ttl_s)
            self._check("renewing the lease", done, frames, len(fences))

    def release(self, services: Sequence[ServiceWish], holder: Holder) -> None:
        self._connection.prove_by(None)
        with self._lock:
            fences, self._fences, self._holder = self._fences, {}, None
        # A take whose answer was lost may have happened: 0 stands for the number that nobody was told.
        wanted = {service.directory: fences.get(service.directory, 0) for service in services}
        done, _ = self._run("release", holder, wanted)
        self._check("releasing the lease", done, (), 0)

    def read(self, services: Sequence[ServiceWish]) -> Mapping[str, Reading[Lease]]:
        wanted = dict.fromkeys((service.directory for service in services), 0)
        done, frames = self._run("show", Holder("-", "-"), wanted)
        self._check("reading leases", done, frames, len(wanted))
        return {service.name: frame.lease for service, frame in zip(services, frames, strict=True)}

    def break_all(
        self, services: Sequence[ServiceWish], by: Holder, *, reason: str, seen: Mapping[str, int] = WHICHEVER
    ) -> Mapping[str, Lease]:
        wanted = {service.directory: seen.get(service.name, 0) for service in services}
        done, frames = self._run("break", by, wanted, why=printable(reason))
        self._check("breaking leases", done, frames, len(frames))
        found = {services[frame.index].name: frame.lease for frame in frames}
        return {name: lease.value for name, lease in found.items() if isinstance(lease, Present)}

    def token(self, directory: PurePosixPath) -> tuple[str, str]:
        """The run and the fencing number that a verb in this directory carries."""
        with self._lock:
            if self._holder is None or directory not in self._fences:
                return UNLEASED
            return self._holder.run, str(self._fences[directory])

    def _run(
        self, verb: str, holder: Holder, fences: Mapping[PurePosixPath, int], *, ttl_s: float = 0.0, why: str = "-"
    ) -> tuple[CommandResult, tuple[_Frame, ...]]:
        nonce = secrets.token_hex(8)
        words = [holder.run, _NO_WORD.sub("_", holder.owner), holder.origin or "-", str(max(1, round(ttl_s))), why]
        pairs = [word for path, fence in fences.items() for word in (str(path), str(fence))]
        done = self._connection.script(script_of("lease.sh"), verb, nonce, *words, *pairs, deadline_s=CALL_S)
        return done, _frames(done.text, nonce)

    def _held(self, lease: Reading[Lease]) -> LockHeld:
        if isinstance(lease, Present):
            return held_elsewhere(self._host, lease.value)
        return LockHeld(f"another run works on {self._host}", hint=TRY_LATER)

    def _check(self, doing: str, done: CommandResult, frames: Sequence[_Frame], wanted: int) -> None:
        if done.status:
            raise error_of(doing, done, host=self._host)
        if [frame.index for frame in frames] != list(range(wanted)) and doing != "breaking leases":
            raise RemoteCommandFailed(f"{doing}: the answer cannot be understood", where=self._host,
                                      detail=done.last_lines())  # fmt: skip


def _frames(text: str, nonce: str) -> tuple[_Frame, ...]:
    """The frames of an answer; what other programs print around them is passed over."""
    parts = re.split(rf"(?m)^{nonce} ", text)[1:]
    now = next((part.split() for part in parts if part.startswith("now ")), ["now", "", "0"])
    found = []
    for part in parts:
        head, _, body = part.partition("\n")
        if match := re.fullmatch(r"(\d{1,4}) ([a-z]+) (\d{1,18})", head):
            unread = match[2] == UNKNOWN
            lease = Unknown(printable(body.strip())) if unread else _reading(body.strip(), now)
            found.append(_Frame(int(match[1]), match[2], int(match[3]), lease))
    return tuple(found)


def _reading(text: str, now: Sequence[str]) -> Reading[Lease]:
    try:
        lease = read_lease(text, boot_id=now[1], uptime_s=float(now[2]))
    except (ValueError, LookupError) as error:
        return Unknown(printable(f"lock/holder cannot be understood: {error}"))
    return Present(lease) if lease else Absent()
