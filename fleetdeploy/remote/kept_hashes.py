"""Hashes of models' files, kept from one command to the next: a fleet's models are gigabytes, and rarely change.

A file is known by its path, device, inode, size and times; its ctime is the kernel's, and nobody sets it back. What was
changed a moment before it was read may be changed once more within one tick of that clock, and is not kept. Whether a
host has the content that was meant is not concluded from here: it hashes what it got.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fleetdeploy.domain.protocols import Clock
from fleetdeploy.remote import private_file
from fleetdeploy.tfserving.manifest import FileKey

MOST_FILES = 50_000
MOST_BYTES = 16 * 1024 * 1024
SETTLED_S = 10.0
"""No file system's clock ticks slower than every 2 seconds; the rest is for file servers whose clock is not ours."""


@dataclass
class KeptHashes:
    """See :class:`fleetdeploy.tfserving.manifest.Hashes`; ``keep`` writes down what was learned.

    To be made before any file is read. What is wrong with ``file`` costs time, and is nobody's concern.
    """

    file: Path
    clock: Clock
    _known: dict[str, str] = field(init=False)
    _used: dict[str, str] = field(default_factory=dict)
    _new: dict[str, str] = field(default_factory=dict)
    _began_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._began_s = self.clock.now_s()
        self._known = self._read()

    def get(self, key: FileKey) -> str | None:
        """The file's hash, None where it is not known."""
        text = _text(key)
        digest = self._new.get(text) or self._known.get(text)
        if digest is not None:
            self._used[text] = digest
        return digest

    def __setitem__(self, key: FileKey, digest: str) -> None:
        if self._began_s - max(key.mtime_ns, key.ctime_ns) / 1e9 > SETTLED_S:
            self._new[_text(key)] = digest

    def keep(self) -> None:
        """Write down what is new beside what others wrote meanwhile. Those that were used last are kept longest."""
        if not self._new:
            return
        found = self._read()
        for text, digest in (*self._used.items(), *self._new.items()):
            found.pop(text, None)
            found[text] = digest
        lines = [f"{text} {digest}\n" for text, digest in found.items()]
        with suppress(OSError):
            private_file.write(self.file, "".join(lines[-MOST_FILES:]), at_s=self.clock.now_s())

    def _read(self) -> dict[str, str]:
        try:
            _, text = private_file.read(self.file, most_bytes=MOST_BYTES)
        except (OSError, private_file.Damaged):
            return {}
        found = (line.rpartition(" ") for line in text.splitlines())
        return {known: digest for known, _, digest in found}


def _text(key: FileKey) -> str:
    *numbers, path = key
    return f"{' '.join(map(str, numbers))} {json.dumps(path)}"
