# ruff: noqa: ARG002  the protocols' signatures are not ours to choose
"""The directory of one service on a simulated host: its files, and its watchdog."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fleetdeploy.domain.measured import CopyProgress, OnCopy, unseen
from fleetdeploy.domain.observed import ProvenRelease, Release, VersionOnDisk
from fleetdeploy.domain.plan import StageItem
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import DeadlineExceeded, HostError, NoSpace, RemoteCommandFailed, TransferFailed

from .history import remembered
from .host import ServiceDirectory, SimHost
from .wire import Wire, changes

T = TypeVar("T")


def in_directory(sim: SimHost, service: str, wire: Wire, method: str, act: Callable[[], T]) -> T:
    """A call about a service's directory; the first change makes it."""

    def make_and_act() -> T:
        sim.directory(service).made |= changes(method)
        return act()

    return wire.call(sim.name, method, make_and_act, service=service)


def _resumable(files: ServiceDirectory, name: str) -> bool:
    """Whether what an interrupted run left is a copy worth going on with: MODEL-VERSION-DIGEST, not yet in place."""
    found = re.fullmatch(r"(?P<model>.+)-(?P<number>[1-9]\d*)-[0-9a-f]{12}", name)
    return bool(found and int(found["number"]) not in files.versions.get(found["model"], {}))


@dataclass
class SimFiles:
    """See :class:`fleetdeploy.domain.protocols.ServiceFiles`."""

    sim: SimHost
    service: str
    wire: Wire

    def stage(self, item: StageItem, *, progress: OnCopy = unseen) -> None:
        progress(CopyProgress(item.model, item.version.number, 0, item.copy_bytes, 0.0))
        self._call("files.stage", lambda: self._stage(item))
        progress(CopyProgress(item.model, item.version.number, item.copy_bytes, item.copy_bytes, 0.0))

    def write_config(self, text: str) -> None:
        self._set("write_config", "config_text", text)

    def write_monitoring(self, text: str) -> None:
        self._set("write_monitoring", "monitoring_text", text)

    def read_config(self) -> str | None:
        return self._call("files.read_config", self._read_config)

    def write_release(self, release: Release, *, left: str = "") -> None:
        self._call("files.write_release", lambda: self._write_release(release, left))

    def read_release(self, release_id: str) -> Release | None:
        records = self.sim.directory(self.service).records
        return self._call("files.read_release", lambda: records.get(release_id))

    def forget_releases(self, ids: Sequence[str]) -> None:
        files = self.sim.directory(self.service)
        gone = [item for item in ids if files.release is None or item != files.release.id]
        self._call("files.forget_releases", lambda: [files.records.pop(item, None) for item in gone])

    def forget_release(self, *, left: str = "") -> None:
        self._call("files.forget_release", lambda: self._forget_release(left))

    def mark_drained(self, run: str) -> None:
        self._set("mark_drained", "drained_by", run)

    def clear_drained(self) -> None:
        self._set("clear_drained", "drained_by", None)

    def remove_versions(self, model: str, versions: Sequence[int]) -> None:
        there = self.sim.directory(self.service).versions.get(model, {})
        self._call("files.remove_versions", lambda: [there.pop(number, None) for number in versions])

    def sweep_staging(self) -> None:
        files = self.sim.directory(self.service)
        self._set("sweep_staging", "staging", tuple(name for name in files.staging if _resumable(files, name)))

    def _set(self, method: str, field: str, value: object) -> None:
        files = self.sim.directory(self.service)
        self._call(f"files.{method}", lambda: setattr(files, field, value))

    def _call(self, method: str, act: Callable[[], T]) -> T:
        return in_directory(self.sim, self.service, self.wire, method, act)

    def _read_config(self) -> str | None:
        files = self.sim.directory(self.service)
        if not files.there:
            raise RemoteCommandFailed("cannot read config/model.config", where=self.sim.name)
        return files.config_text

    def _write_release(self, release: Release, left: str) -> None:
        files = self.sim.directory(self.service)
        files.records[release.id] = release
        line = ProvenRelease(release.id, release.models, release.took_back)
        files.history = remembered(files.history or [], line, left)
        files.release = release
        files.records.pop(left, None)

    def _forget_release(self, left: str) -> None:
        files = self.sim.directory(self.service)
        if files.history is not None:
            files.history = [item for item in files.history if item.id != left]
        files.release = None
        files.records.pop(left, None)

    def _stage(self, item: StageItem) -> None:
        if self.sim.full:
            raise NoSpace("the host's file system is full", where=self.sim.name)
        there = self.sim.directory(self.service).versions.setdefault(item.model, {})
        manifest, number = item.version.manifest, item.version.number
        if number in there and there[number].manifest_digest != manifest.digest:
            raise TransferFailed("the version is there with other content", where=self.sim.name)
        sizes = {entry.path: entry.size_bytes for entry in manifest.files}
        there[number] = VersionOnDisk(number, manifest.digest, sizes, manifest.as_sha256sum())


@dataclass
class SimWatchdog:
    """See :class:`fleetdeploy.domain.protocols.Watchdog`; the host's own part is :meth:`SimHost.tick`."""

    sim: SimHost
    service: str
    wire: Wire

    def arm(self, back_to: Release, *, run: str, release: str, after_s: float) -> None:
        self._call("watchdog.arm", lambda: self.sim.arm(self.service, back_to, run, release, after_s))

    def confirm(self, *, run: str, deadline_s: float) -> None:
        self._call("watchdog.confirm", lambda: self._confirm(run))

    def disarm(self) -> Watch | None:
        """To read a verdict takes no lease, to end what counts down does."""
        watch = self.sim.directory(self.service).watch
        armed = watch is not None and watch.state is WatchState.ARMED
        return self._call("watchdog.disarm" if armed else "watchdog.observe", self._disarm)

    def _call(self, method: str, act: Callable[[], T]) -> T:
        return in_directory(self.sim, self.service, self.wire, method, act)

    def _confirm(self, run: str) -> None:
        files = self.sim.directory(self.service)
        if self.sim.deaf:
            raise DeadlineExceeded("the release could not be confirmed over a new connection", where=self.sim.name)
        waits = files.watch is not None and files.watch.state in {WatchState.ARMED, WatchState.CONFIRMED}
        if files.watch is None or files.watch.run != run or not waits:
            raise HostError("the release came too late to be confirmed", where=self.sim.name)
        files.watch = replace(files.watch, state=WatchState.CONFIRMED)

    def _disarm(self) -> Watch | None:
        files = self.sim.directory(self.service)
        if files.watch is not None and files.watch.state is WatchState.ARMED:
            files.watch = None
        return files.watch
