"""Running a program that prints a secret: no shell, no input, a deadline, its own process group.

What it writes on stderr is dropped, as nobody knows what it says there.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from fleetdeploy.errors import InputError
from fleetdeploy.remote.killing import kill_group

TIMEOUT_S = 30.0
LIMIT_BYTES = 64 * 1024
_BY_HAND = "run it by hand; its own messages are not shown, as they may hold the secret"


@dataclass(frozen=True)
class SecretCommands:
    """Runs programs, each with the same limits. ``timeout_s`` is for one of them."""

    timeout_s: float = TIMEOUT_S
    limit_bytes: int = LIMIT_BYTES

    def __call__(self, argv: Sequence[str]) -> str:
        """What the program prints. Raises InputError when it fails, is too slow, or prints too much or no UTF-8.

        The error names the program and none of its arguments.
        """
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its words cannot be passed on"
            raise InputError(
                f"cannot be run: {reason}", where=argv[0], hint="name a program on PATH, or its whole path"
            ) from None
        try:
            return self._read(process, argv[0]).decode("utf-8")
        except UnicodeDecodeError:
            raise InputError("printed something that is not UTF-8", where=argv[0], hint=_BY_HAND) from None
        finally:
            _end(process)

    def _read(self, process: subprocess.Popen[bytes], program: str) -> bytes:
        deadline = time.monotonic() + self.timeout_s
        late = InputError(f"did not finish within {self.timeout_s:g} s and was killed", where=program, hint=_BY_HAND)
        content = bytearray()
        assert process.stdout is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(process.stdout, selectors.EVENT_READ)
            while True:
                if not waiting.select(max(deadline - time.monotonic(), 0)):
                    raise late
                chunk = os.read(process.stdout.fileno(), LIMIT_BYTES)
                if not chunk:
                    break
                content += chunk
                if len(content) > self.limit_bytes:
                    raise InputError(f"printed more than {self.limit_bytes:,} bytes", where=program, hint=_BY_HAND)
        try:
            status = process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            raise late from None
        if status:
            how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
            raise InputError(how, where=program, hint=_BY_HAND)
        return bytes(content)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group, unless the program has ended by itself, and collect the program."""
    if process.returncode is None:
        kill_group(process)
    if process.stdout is not None:
        process.stdout.close()
