"""What hosts owe: a release that a run brought to others and not to them, kept on the controller until they have it."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import InputError
from fleetdeploy.rollout.journal.writing import sync_directory

_SUFFIX = ".json"


@dataclass(frozen=True)
class Debt:
    """One host's. ``address`` is ``name:port`` as SSH reaches it, ``since`` UTC, ``pools`` those of each service in its
    ``balancer``; ``drained`` is whether ``run`` took it out of there, or was about to.
    """

    host: str
    address: str
    run: str
    since: str
    why: str
    drained: bool = False
    balancer: str = ""
    pools: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Debts:
    """One small file a host in ``directory``. What the files say is all that is known: nothing is kept in memory.

    ``older`` is another directory of them, to which none is added: what it says counts until ``directory`` says it.
    """

    directory: Path
    older: Path | None = None

    def of(self, host: Host) -> Debt | None:
        """The host's debt, whatever name the inventory has for it. Raises InputError for one that cannot be read."""
        found = (_read(path) for path in self._files(address_of(host)))
        return next((debt for debt in found if debt is not None), None)

    def everybodys(self) -> Iterator[tuple[Path, Debt]]:
        """All debts by the names of their files. Raises InputError."""
        files: dict[str, Path] = {}
        for directory in self._directories:
            with suppress(FileNotFoundError):
                for path in directory.iterdir():
                    if path.suffix == _SUFFIX:
                        files.setdefault(path.name, path)
        for _, path in sorted(files.items()):
            debt = _read(path)
            if debt is not None:
                yield path, debt

    def write(self, debt: Debt) -> None:
        """Put the file in place in one step, to be there after a power cut. Raises OSError."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self.directory / _name(debt.address)
        handle, name = tempfile.mkstemp(dir=self.directory, prefix=".", suffix=".new")  # 0600, whatever the umask says
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                json.dump(asdict(debt), stream, indent=2)
                stream.write("\n")
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).replace(file)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
        sync_directory(self.directory)

    def forget(self, host: Host) -> None:
        """For good: a power cut does not bring it back. Raises OSError."""
        for path in reversed(self._files(address_of(host))):  # one that is older must not come to count again
            with suppress(FileNotFoundError):
                path.unlink()
                sync_directory(path.parent)

    @property
    def _directories(self) -> tuple[Path, ...]:
        return (self.directory,) if self.older is None else (self.directory, self.older)

    def _files(self, address: str) -> list[Path]:
        """Where a debt may lie, the one that counts first."""
        return [directory / _name(address) for directory in self._directories]


def _name(address: str) -> str:
    """By the address alone, which is what two names of one host share; the hash keeps any two apart."""
    readable = re.sub(r"[^a-z0-9.-]", "_", address)[:100]
    return f"{readable}-{hashlib.sha256(address.encode()).hexdigest()[:12]}{_SUFFIX}"


def address_of(host: Host) -> str:
    """What a debt is known by."""
    return f"{host.connection.address.lower()}:{host.connection.port or 22}"


def _read(path: Path) -> Debt | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pools = {str(name): tuple(map(str, pools)) for name, pools in content.pop("pools", {}).items()}
        debt = Debt(**content, pools=pools)
        if not re.fullmatch(r"\w[\w.:-]*", debt.run, re.ASCII):
            raise ValueError
        texts = (debt.host, debt.address, debt.run, debt.since, debt.why, debt.balancer)
        if not isinstance(debt.drained, bool) or not all(isinstance(text, str) for text in texts):
            raise ValueError
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), hint="make it readable") from error
    except (ValueError, TypeError, AttributeError):
        raise InputError(
            "is no record of what a host owes", where=str(path), hint="look whether the host is drained, then remove it"
        ) from None
    return debt
