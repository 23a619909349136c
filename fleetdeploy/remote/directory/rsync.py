"""Put one version directory in place: copy beside it, check every byte on the host, rename.

Unchanged files are hard-linked by content, not by rsync's ``--link-dest``: that compares size and time, so a fresh
export (new times, same bytes) would link nothing, a stale file of equal size and time would be linked wrongly, and
``--checksum`` would read the whole source again for every host. The two manifests say exactly which files are equal.
rsync is then given only the names of the others.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from fleetdeploy.domain.measured import OnCopy, unseen
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.redaction import end_of
from fleetdeploy.domain.service import Manifest
from fleetdeploy.errors import DeadlineExceeded, HostError, HostKeyRefused, NoSpace, TransferFailed, Unreachable
from fleetdeploy.remote.directory.copy_failures import failure_of, is_final
from fleetdeploy.remote.directory.copy_process import TELLS, CopyMeter, run_copy
from fleetdeploy.remote.directory.verbs import ContentDiffers, ServiceDirectory, safe_name
from fleetdeploy.remote.ssh.config import TARGET

SshConfigFile = Callable[[], Path]

SPACE_FACTOR = 1.1
RESERVE_KIB = 64 * 1024
RESERVE_FILES = 64
_RETRIED = {10, 12, 30, 35, 255}
_ATTEMPTS = 4
_FIRST_PAUSE_S = 0.5
"""Doubled each time, 3.5 s in all: an sshd has restarted by then, and a link that is away for longer fails the host."""
_FSYNC = (3, 2, 4)
_PROGRESS = (3, 1)
"""The versions of rsync that brought ``--fsync`` and ``--info=progress2``. Both ends have to know what one is told."""
_AT_LEAST_S = 120.0
_SLOWEST_BYTES_PER_S = 256 * 1024


class Stager:
    """Copies version directories to one service's directory on one host."""

    def __init__(self, directory: ServiceDirectory, *, ssh_config: SshConfigFile, check: Callable[[], None]) -> None:
        self._directory = directory
        self._check = check
        self._host = directory.connection.host.name
        self._ssh_config = ssh_config

    def stage(self, item: StageItem, *, progress: OnCopy = unseen) -> None:
        """Put ``item`` in place, or find it there with the same content. ``progress`` is told while files are copied.

        The staging directory is named by model, version and manifest, so an interrupted copy is resumed. Raises
        NoSpace, TransferFailed, DeadlineExceeded, Unreachable or RemoteCommandFailed.
        """
        _check_paths(item.version.manifest, self._host)
        try:
            self._copy(item, progress, link_from=item.link_from or 0)
        except ContentDiffers:
            # A linked file may have rotted in the old version, or a resumed one: once more, all from the source.
            self._discard(item)
            try:
                self._copy(item, progress, link_from=0)
            except ContentDiffers as error:
                self._discard(item)
                raise TransferFailed(error.message, where=self._host, hint=_why(item), detail=error.detail) from error

    def _copy(self, item: StageItem, progress: OnCopy, *, link_from: int) -> None:
        answer = self._prepare(item, link_from=link_from)
        if answer is None:
            return
        remote_version, linked = answer
        missing = [entry for entry in item.version.manifest.files if entry.path not in linked]
        if missing:
            total_bytes = sum(entry.size_bytes for entry in missing)
            meter = CopyMeter(item.model, item.version.number, total_bytes, tell=progress)
            self._rsync(item, [entry.path for entry in missing], remote_version, meter)
            meter.all_there()
        try:
            self._finish(item)
        except (Unreachable, DeadlineExceeded):
            # The rename may have happened. Read back; what is not in place raises the first error.
            if self._prepare(item, link_from=0) is not None:
                raise

    def _prepare(self, item: StageItem, *, link_from: int) -> tuple[str, frozenset[str]] | None:
        """None when the version is in place; else the host's rsync version and the paths that are there by link."""
        nonce = secrets.token_hex(8)
        manifest = item.version.manifest.as_sha256sum().encode()
        output = self._directory.act(
            "prepare",
            nonce,
            safe_name(item.model),
            str(item.version.number),
            _staged(item),
            str(int(item.copy_bytes * SPACE_FACTOR) // 1024 + RESERVE_KIB),
            str(len(item.version.manifest.files) + RESERVE_FILES),
            str(link_from),
            str(len(manifest)),
            stdin=manifest,
            deadline_s=60.0 + _reading_s(item),
        )
        found = re.search(rf"(?ms)^{nonce} (?:done$|go ([0-9.]*)\n(.*)^{nonce} end$)", output)
        if found is None:
            raise TransferFailed("the host's answer cannot be understood", where=self._host, detail=end_of(output, 400))
        return None if found[2] is None else (found[1], frozenset(found[2].splitlines()))

    def _is_full(self, item: StageItem) -> bool:
        """Ask the host for its room again: rsync's receiver does not always get to say why it could not write."""
        try:
            self._prepare(item, link_from=0)
        except NoSpace:
            return True
        except HostError:
            return False
        return False

    def _finish(self, item: StageItem) -> None:
        nonce = secrets.token_hex(8)
        words = nonce, safe_name(item.model), str(item.version.number), _staged(item)
        output = self._directory.act("finish", *words, deadline_s=120.0 + _reading_s(item))
        if f"\n{nonce} done" not in output:
            raise TransferFailed("the host's answer cannot be understood", where=self._host, detail=end_of(output, 400))

    def _discard(self, item: StageItem) -> None:
        self._directory.act("discard", _staged(item), deadline_s=300.0)

    def _rsync(self, item: StageItem, paths: Sequence[str], remote_version: str, meter: CopyMeter) -> None:
        end = time.monotonic() + _AT_LEAST_S + item.version.manifest.size_bytes / _SLOWEST_BYTES_PER_S
        target = self._directory.directory / "staging" / _staged(item)
        connection = self._directory.connection
        # Of the place, so that a later run finds what an earlier one left.
        mark = hashlib.sha256(str(target).encode()).hexdigest()[:32]
        versions = _local_version(), remote_version
        argv = rsync_argv(
            self._ssh_config(),
            item.version.directory,
            target,
            fsync=_know(_FSYNC, *versions),
            tells=_know(_PROGRESS, *versions),
            remote=connection.as_started(["rsync"], mark=mark, limit_s=end - time.monotonic() + 2),
        )
        names = b"".join(path.encode() + b"\0" for path in paths)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                # The far end of a copy whose link went dead waits for more, and at its end writes what it has: into
                # this directory, which by then is the version in place.
                connection.end_marked(mark)
                self._check()  # rsync carries no fencing number
                meter.begin()
                with connection.tracing.command(_shown(argv)) as ended:
                    code, said = run_copy(argv, names, timeout_s=end - time.monotonic(), host=self._host, meter=meter)
                    ended(code)
            except Unreachable as error:
                if attempt == _ATTEMPTS or isinstance(error, HostKeyRefused):
                    raise
                time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))
                continue
            if code == 0:
                return
            if "No space left on device" in said or "Disk quota exceeded" in said or self._is_full(item):
                self._discard(item)
                raise NoSpace(
                    "the host's file system is full",
                    where=self._host,
                    hint="what was copied is removed again; free space on the host, or prune old versions",
                    detail=said,
                )
            if code not in _RETRIED or attempt == _ATTEMPTS or is_final(said):
                raise failure_of(code, said, self._host)
            time.sleep(_FIRST_PAUSE_S * 2 ** (attempt - 1))


def rsync_argv(
    ssh_config: Path, source: Path, target: PurePosixPath, *, fsync: bool, remote: str, tells: bool = False
) -> list[str]:
    """The copy as a command: names on standard input, ended by NUL; nothing is deleted, no link is followed.

    ``remote`` is what starts rsync on the host, as a shell command; ``tells`` is whether it says how far it is.
    """
    # The copy must end with us: one that outlives its run would write beside the next one.
    prefix = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    return [
        *prefix,
        "rsync",
        "--protect-args",
        "--times",
        "--perms",
        "--chmod=D0755,F0644",
        "--no-links",
        "--no-devices",
        "--no-specials",
        "--no-owner",
        "--no-group",
        "--files-from=-",
        "--from0",
        "--partial-dir=.fleetdeploy-partial",
        "--timeout=60",
        *(["--fsync"] if fsync else []),
        *(TELLS if tells else ()),
        f"--rsync-path={remote}",
        "-e",
        f'ssh -F "{ssh_config}"',
        f"{source}/",
        f"{TARGET}:{target}/",
    ]


def _shown(argv: Sequence[str]) -> list[str]:
    """The copy as a person reads it, without the script that starts rsync on the host."""
    return [word for word in argv[argv.index("rsync") :] if not word.startswith("--rsync-path=")]


def _staged(item: StageItem) -> str:
    """Not a number, so that no model server ever takes it for a version; stable, so that it can be resumed."""
    return f"{safe_name(item.model)}-{item.version.number}-{item.version.manifest.digest[:12]}"


def _reading_s(item: StageItem) -> float:
    return item.version.manifest.size_bytes / (20 * 1024 * 1024)


def _why(item: StageItem) -> str:
    """Which file of the source is no longer what its manifest says, if that is the reason."""
    for entry in item.version.manifest.files:
        path = item.version.directory / entry.path
        try:
            with path.open("rb") as file:
                digest = hashlib.sha256()
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except OSError as error:
            return f"the source changed after it was read: {path}: {error.strerror}"
        if digest.hexdigest() != entry.sha256:
            return f"the source changed after it was read: {path}; publish versions by rename, never in place"
    return "the source is unchanged: suspect the host's disk or memory"


def _check_paths(manifest: Manifest, host: str) -> None:
    for entry in manifest.files:
        parts = entry.path.split("/")
        if not all(parts) or ".." in parts or "." in parts or any(ord(char) < 32 for char in entry.path):
            raise TransferFailed(f"{entry.path!r} is not a path inside a version directory", where=host)


def _local_version() -> str:
    try:
        said = subprocess.run(["rsync", "--version"], capture_output=True, check=False, text=True, timeout=10).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"version ([0-9.]+)", said)
    return found[1] if found else ""


def _know(since: tuple[int, ...], *versions: str) -> bool:
    """Whether all of these rsyncs are of that version or newer; one whose version is not known is not."""
    numbers = [tuple(int(part) for part in version.split(".") if part) for version in versions]
    return all(number >= since for number in numbers)
