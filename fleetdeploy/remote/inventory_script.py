"""Running an executable inventory on the controller: no shell, a deadline, a cap on its output."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fleetdeploy.errors import InputError
from fleetdeploy.remote.killing import kill_group

TIMEOUT_S = 30.0
LIMIT_BYTES = 16 * 1024 * 1024
_STDERR_LIMIT_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024
_LINES_SHOWN = 20


@dataclass(frozen=True)
class InventoryScripts:
    """Runs executable inventories, each call with the same limits. ``timeout_s`` is for one call."""

    timeout_s: float = TIMEOUT_S
    limit_bytes: int = LIMIT_BYTES

    def __call__(self, path: Path, arguments: Sequence[str]) -> str:
        """What the program prints. Raises InputError when it fails, is too slow, or prints too much or no UTF-8.

        It runs in its own process group, in the current directory and with no input, as under Ansible.
        """
        shown = " ".join((str(path), *arguments))
        try:
            process = subprocess.Popen(
                [str(path.absolute()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise InputError(
                f"cannot be run: {error.strerror or error}", where=shown, hint="check its first line and permissions"
            ) from None
        try:
            content = self._read(process, shown)
        finally:
            if process.returncode is None:
                kill_group(process)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError:
            raise InputError("what it printed is not UTF-8", where=shown, hint="let it print UTF-8") from None

    def _read(self, process: subprocess.Popen[bytes], shown: str) -> bytes:
        deadline = time.monotonic() + self.timeout_s
        content, complaint = bytearray(), bytearray()
        assert process.stdout is not None
        assert process.stderr is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ, content)
            waiting.register(process.stderr, selectors.EVENT_READ, complaint)
            while waiting.get_map():
                ready = waiting.select(max(deadline - time.monotonic(), 0))
                if not ready and time.monotonic() >= deadline:
                    raise self._late(shown, complaint)
                for key, _ in ready:
                    chunk = os.read(key.fd, _CHUNK_BYTES)
                    if not chunk:
                        waiting.unregister(key.fileobj)
                    key.data.extend(chunk)
                del complaint[:-_STDERR_LIMIT_BYTES]
                if len(content) > self.limit_bytes:
                    raise InputError(
                        f"printed more than the limit of {self.limit_bytes:,} bytes",
                        where=shown,
                        hint="let it print less, or write its output into several files",
                    )
        try:
            status = process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            raise self._late(shown, complaint) from None
        if status:
            how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
            raise InputError(_with_complaint(how, complaint), where=shown, hint="run it by hand")
        return bytes(content)

    def _late(self, shown: str, complaint: bytearray) -> InputError:
        message = f"did not finish within {self.timeout_s:g} s and was killed"
        return InputError(_with_complaint(message, complaint), where=shown, hint="run it by hand; is a service down?")


def _text(complaint: bytearray) -> str:
    return bytes(complaint).decode("utf-8", "replace").strip()


def _with_complaint(message: str, complaint: bytearray) -> str:
    """The message, and the last lines of what the program wrote on stderr."""
    lines = _text(complaint).splitlines()[-_LINES_SHOWN:]
    printable = ("".join(char if char.isprintable() else "?" for char in line) for line in lines)
    return "\n    | ".join((f"{message}; on stderr:" if lines else message, *printable))
