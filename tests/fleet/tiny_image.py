"""An image that costs nothing to build, for tests of the lab itself."""

from __future__ import annotations

import subprocess
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleetdeploy.errors import LabError


@dataclass(frozen=True)
class TinyImage:
    """An image of a shell and a few commands of this machine: enough where no model server is needed."""

    key: str = "tiny-1"
    tags: tuple[str, ...] = ("fleetdeploy/tiny:1.0",)
    needs_network: bool = False

    def load(self, engine: Any, scratch: Path) -> None:
        tar_path = scratch / "root.tar"
        with tarfile.open(tar_path, "w", dereference=True) as tar:
            for name in _with_libraries("/bin/sh", "/bin/sleep", "/bin/cat", "/usr/bin/env"):
                tar.add(name, name.lstrip("/"))
        repository, _, tag = self.tags[0].rpartition(":")
        changes = ['CMD ["/bin/sleep", "1000"]']
        answer = engine.import_image(src=str(tar_path), repository=repository, tag=tag, changes=changes)
        assert "errorDetail" not in answer, answer


def _with_libraries(*programs: str) -> list[str]:
    """The programs and every shared library they are linked to, as ldd names them."""
    listed = [
        word
        for program in programs
        for word in subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout.split()
        if word.startswith("/")
    ]
    return sorted({*programs, *listed})


@dataclass(frozen=True)
class BrokenImage(TinyImage):
    """Its build fails."""

    key: str = "broken-1"

    def load(self, engine: Any, scratch: Path) -> None:  # noqa: ARG002
        raise LabError("this image cannot be built")


@dataclass(frozen=True)
class SlowImage(TinyImage):
    """Its build has put an image into the engine, says so with a file, and then takes for ever."""

    key: str = "slow-1"

    def load(self, engine: Any, scratch: Path) -> None:
        super().load(engine, scratch)
        (scratch / "loaded").touch()
        time.sleep(600)
