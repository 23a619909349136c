"""rsync as a process that is listened to: how far it is, how it ended, and never longer than it may take."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import IO

from fleetdeploy.domain.measured import CopyProgress, OnCopy, unseen
from fleetdeploy.errors import DeadlineExceeded, TransferFailed

TELLS = ("--info=progress2", "--no-human-readable", "-i", "-i", "--out-format=%i %l")
"""So that rsync 3.1 and newer tell, as ``CopyMeter`` reads it, how far they are and what they need not copy."""
EVERY_S = 1.0
_LINE_BYTES = 4096
_SENT = re.compile(rb" *(\d{1,18}) +\d{1,3}% ")
_THERE = re.compile(rb"\.f\S* +(\d{1,18})")
_LAST_WORDS_S = 1.0


class CopyMeter:
    """Adds up what rsync says and tells it about once a second; what cannot be understood is passed over.

    rsync says ``<bytes> <percent>% ...`` of the files that it sends, over and over, and once ``.f... <bytes>`` of each
    that an earlier copy has brought already. ``total_bytes`` is the size of all files that it was given.
    """

    def __init__(
        self,
        model: str,
        version: int,
        total_bytes: int,
        *,
        tell: OnCopy = unseen,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model, self._version, self._total = model, version, total_bytes
        self._tell, self._now = tell, now
        self._sent = self._there = self._done = 0
        self._rest = b""
        self._told: tuple[float, int] | None = None

    def begin(self) -> None:
        """Another rsync starts. What the last one has copied stays counted, and is not counted twice."""
        self._sent = self._there = 0
        self._rest, self._told = b"", None

    def hear(self, data: bytes) -> None:
        """Take in what rsync printed next, wherever it was cut."""
        *lines, rest = re.split(rb"[\r\n]", self._rest + data)
        self._rest = rest[:_LINE_BYTES]
        for line in lines:
            if found := _SENT.match(line):
                self._sent = int(found[1])
            elif found := _THERE.fullmatch(line):
                self._there += int(found[1])
        if lines:
            self._done = max(self._done, min(self._total, self._there + self._sent))
            self._tell_now_and_then()

    def all_there(self) -> None:
        """Every file has arrived."""
        self._done = self._total
        self._say(0.0)

    def _tell_now_and_then(self) -> None:
        now_s = self._now()
        if self._told is None:
            self._told = now_s, self._sent
            self._say(0.0)
            return
        then_s, sent = self._told
        if now_s - then_s >= EVERY_S:
            self._told = now_s, self._sent
            self._say(max(0.0, (self._sent - sent) / (now_s - then_s)))

    def _say(self, rate: float) -> None:
        self._tell(CopyProgress(self._model, self._version, self._done, self._total, round(rate, 1)))


def run_copy(
    argv: Sequence[str], names: bytes, *, timeout_s: float, host: str, meter: CopyMeter | None = None
) -> tuple[int, str]:
    """Exit code and last lines. A session of its own: Ctrl-C is for the executor to answer, not for rsync."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RSYNC_")}
    environment["LC_ALL"] = "C"
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment,
        )
    except FileNotFoundError as error:
        raise TransferFailed("rsync is not installed on this machine", where=host, hint="install rsync") from error
    with process:
        output, process.stdout = process.stdout, None  # communicate() would keep it to itself until the end
        assert output is not None
        listener = threading.Thread(target=_listen, args=(output, meter), name=f"copy to {host}", daemon=True)
        listener.start()
        try:
            _, said = process.communicate(names, timeout=max(1.0, timeout_s))
        except subprocess.TimeoutExpired as error:
            raise DeadlineExceeded(
                "the copy did not end in time", where=host, hint="what has arrived is kept and resumed by the next run"
            ) from error
        finally:
            if process.returncode is None:  # with its ssh, which would hold a dead link open for a while
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            listener.join(_LAST_WORDS_S)
    return process.returncode, "\n".join(said.decode("utf-8", "replace").strip().splitlines()[-8:])


def _listen(output: IO[bytes], meter: CopyMeter | None) -> None:
    """Read to the end whatever happens: an rsync that nobody reads stands still."""
    with output:
        while data := os.read(output.fileno(), 65536):
            if meter is not None:
                try:
                    meter.hear(data)
                except Exception:  # noqa: BLE001  a view that fails must not cost the copy
                    meter = None
