"""Finds version directories and says which of them are aspired.

Follows tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc: numeric names only, and one missing
base path stops the scan for all models.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.status import Code, StatusError

_INTEGER: Final = re.compile(r"\s*[+-]?[0-9]+\s*", re.ASCII)
_INT64: Final = range(-(2**63), 2**63)

Aspire = Callable[[str, Mapping[int, str]], None]
"""Takes a model's name and its aspired versions (number to directory)."""


def parse_version(name: str) -> int | None:
    """Read a directory's name as a version, if all of it is a 64-bit integer."""
    if not _INTEGER.fullmatch(name):
        return None
    version = int(name)
    return version if version in _INT64 else None


def aspired_versions(model: Any) -> dict[int, str]:
    """Versions a ModelConfig asks for, of those that are on disk: number to directory.

    Raises INVALID_ARGUMENT where the base path does not exist.
    """
    base = model.base_path
    if not os.path.exists(base):  # noqa: PTH110 -- a model's base path is text to the real server, too
        raise StatusError(
            Code.INVALID_ARGUMENT,
            f"Could not find base path {base} for servable {model.name} with error NOT_FOUND: {base} not found",
        )
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "specific" and (found := _all_by_plain_name(model)) is not None:
        return found
    children = sorted(os.listdir(base))  # noqa: PTH208
    numbered = [(version, child) for child in children if (version := parse_version(child)) is not None]
    by_version: dict[int, str] = {}
    for version, child in numbered:
        if choice == "all":  # here the first of two names for one number is managed, and the second refused
            by_version.setdefault(version, child)
            continue
        if version in by_version:
            log.warning(
                f"Duplicate version directories detected. Version {version} will be loaded from {child}, "
                f"{by_version[version]} will be ignored."
            )
        by_version[version] = child
    wanted = _wanted(model, sorted(by_version, reverse=True))
    if not wanted:
        log.warning(f"No versions of servable {model.name} found under base path {base}.")
    return {version: os.path.join(base, by_version[version]) for version in wanted}  # noqa: PTH118


def _all_by_plain_name(model: Any) -> dict[int, str] | None:
    """The specific versions by their plain numbers, without a listing; None if one of them is not there."""
    versions = model.model_version_policy.specific.versions
    if not versions:
        log.warning(f"No specific versions requested for servable {model.name}.")
        return {}
    paths = {version: os.path.join(model.base_path, str(version)) for version in versions}  # noqa: PTH118
    return paths if all(os.path.exists(path) for path in paths.values()) else None  # noqa: PTH110


def _wanted(model: Any, found: Sequence[int]) -> Sequence[int]:
    """Apply the version policy to the numbers found, largest first."""
    policy = model.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "all":
        return found
    if choice == "specific":
        for version in sorted(set(policy.specific.versions) - set(found)):
            log.warning(f"Version {version} of servable {model.name}, which was requested, was not found")
        return [version for version in found if version in policy.specific.versions]
    return found[: max(policy.latest.num_versions, 1)]


class FileSystemSource:
    """Scans the models' base paths once (interval 0), never (negative), or every so many seconds."""

    def __init__(self, models: Sequence[Any], interval_s: float, *, aspire: Aspire) -> None:
        self._lock = threading.Lock()
        self._models = models
        self._interval_s = interval_s
        self._aspire = aspire
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._scan_for_ever, name="source", daemon=True)

    @property
    def names(self) -> set[str]:
        """Names of the models that are looked for."""
        return {model.name for model in self._models}

    def start(self) -> None:
        """Begin to scan, in a thread of its own."""
        if self._interval_s >= 0:
            self._thread.start()

    def stop(self) -> None:
        """Scan no more, after a scan in progress; one that was started has scanned once."""
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def update(self, models: Sequence[Any]) -> None:
        """Look for other models from the next scan on; those that are gone are unaspired at once."""
        with self._lock:
            gone = self.names - {model.name for model in models}
            self._models = models
            for name in sorted(gone):
                self._aspire(name, {})

    def _scan_for_ever(self) -> None:
        while True:
            began = time.monotonic()
            self._scan()
            if self._interval_s == 0:
                return
            if self._stopped.wait(max(0.0, self._interval_s - (time.monotonic() - began))):
                return

    def _scan(self) -> None:
        with self._lock:
            try:
                found = {model.name: aspired_versions(model) for model in self._models}
            except StatusError as problem:
                log.error(f"FileSystemStoragePathSource encountered a filesystem access error: {problem.message}")
                return
            except OSError as problem:
                log.error(f"FileSystemStoragePathSource encountered a filesystem access error: {problem}")
                return
            for name in sorted(found):
                self._aspire(name, found[name])
