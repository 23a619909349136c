"""From "this version is wanted" to loaded, serving, unloaded: one decision per tick for the whole server.

Follows AspiredVersionsManager, BasicManager, LoaderHarness and AvailabilityPreservingPolicy in tensorflow_serving/core:
a new version is loaded while the old one serves, and the old one is unloaded once the new one is ready.
"""

import enum
import os
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.models.serving_table import ServingTable
from fleetdeploy.lab.modelserver.models.states import State, StateBus, VersionState
from fleetdeploy.lab.modelserver.servable import Model, ModelLoader, Servable, ServableId
from fleetdeploy.lab.modelserver.status import Code, StatusError


@dataclass(frozen=True)
class LoadSettings:
    """How loads are run and retried (flags of the same names)."""

    load_threads: int
    unload_threads: int
    max_retries: int
    retry_interval_s: float
    tick_s: float
    """Time between two decisions; 0.1 s in the real server."""


class Phase(enum.Enum):
    """Where a managed version stands."""

    NEW = enum.auto()
    LOADING = enum.auto()
    READY = enum.auto()
    UNLOADING = enum.auto()
    DISABLED = enum.auto()
    ERROR = enum.auto()


class Harness:
    """One managed version."""

    def __init__(self, servable: ServableId, path: str) -> None:
        self.id = servable
        self.path = path
        self.phase = Phase.NEW
        self.aspired = True
        self.cancelled = False
        self.model: Model | None = None


class Action(NamedTuple):
    """What to do next, and with which version."""

    load: bool
    harness: Harness


def next_action(versions: Sequence[Harness]) -> Action | None:
    """Decide for one model, preserving availability (see availability_preserving_policy.cc)."""
    aspired = [each for each in versions if each.aspired]
    stale = [each for each in versions if not each.aspired and each.phase is Phase.READY]
    serving = any(each.phase is Phase.READY for each in aspired)
    if stale and (not aspired or serving or len(stale) > 1):
        return Action(load=False, harness=min(stale, key=lambda each: each.id.version))
    new = [each for each in aspired if each.phase is Phase.NEW]
    return Action(load=True, harness=max(new, key=lambda each: each.id.version)) if new else None


class Lifecycle:
    """Brings what is in memory to what is aspired."""

    def __init__(self, loader: ModelLoader, settings: LoadSettings, *, bus: StateBus, table: ServingTable) -> None:
        self._loader = loader
        self._settings = settings
        self._bus = bus
        self._table = table
        # Over _harnesses; held while the serving table is replaced, and so while it waits for requests. Phases change
        # under it, but for those in which a load or an unload ends: a version that fails is seen to have failed also
        # while a request that hangs holds the lock.
        self._lock = threading.Lock()
        self._harnesses: dict[ServableId, Harness] = {}
        self._pending_lock = threading.Lock()
        self._pending: dict[str, Mapping[int, str]] = {}
        self._load_threads = settings.load_threads
        self._load_pool = _pool(settings.load_threads)
        self._unload_pool = _pool(settings.unload_threads)
        self._load_pool_lock = threading.Lock()

    def start(self) -> None:
        """Begin to decide, in a thread of its own."""
        threading.Thread(target=self._decide_for_ever, name="lifecycle", daemon=True).start()

    def aspire(self, name: str, versions: Mapping[int, str]) -> None:
        """Want exactly these versions (number to directory) of a model; replaces a wish not yet acted upon."""
        with self._pending_lock:
            self._pending[name] = versions

    def set_load_threads(self, count: int | None) -> None:
        """Load with `count` threads from now on (None: what the flag says), after waiting for loads in progress.

        Where either number is below 2 no load begins while it waits (BasicManager::SetNumLoadThreads).
        """
        threads = self._settings.load_threads if count is None else count
        with self._load_pool_lock:
            old, before = self._load_pool, self._load_threads
            self._load_threads = threads
            if old is not None and min(before, threads) < 2:
                old.shutdown(wait=True)
            self._load_pool = _pool(threads)
        if old is not None:
            old.shutdown(wait=True)

    def _decide_for_ever(self) -> None:
        while True:
            began = time.monotonic()
            self._forget_ended()
            self._take_pending()
            action = self._choose()
            if action is not None:
                self._perform(action)
            time.sleep(max(0.0, self._settings.tick_s - (time.monotonic() - began)))

    def _forget_ended(self) -> None:
        with self._lock:
            for harness in list(self._harnesses.values()):
                if not harness.aspired and harness.phase in (Phase.NEW, Phase.DISABLED, Phase.ERROR):
                    del self._harnesses[harness.id]

    def _take_pending(self) -> None:
        """Apply new wishes; one that names a version which is on its way out is put off until that is gone."""
        with self._lock, self._pending_lock:
            for name, versions in list(self._pending.items()):
                managed = [each for each in self._harnesses.values() if each.id.name == name]
                if any(not each.aspired and each.id.version in versions for each in managed):
                    continue
                del self._pending[name]
                for harness in managed:
                    if harness.id.version not in versions:
                        harness.aspired = False
                        harness.cancelled = True
                for version, path in versions.items():
                    servable = ServableId(name, version)
                    if servable not in self._harnesses:
                        self._harnesses[servable] = Harness(servable, path)
                        self._bus.publish(VersionState(servable, State.START))

    def _choose(self) -> Action | None:
        with self._lock:
            by_name: dict[str, list[Harness]] = {}
            for harness in self._harnesses.values():
                by_name.setdefault(harness.id.name, []).append(harness)
            actions = [action for versions in by_name.values() if (action := next_action(versions))]
            actions.sort(key=lambda action: action.load)  # unloads go first
            if not actions:
                return None
            actions[0].harness.phase = Phase.LOADING if actions[0].load else Phase.UNLOADING
            return actions[0]

    def _perform(self, action: Action) -> None:
        """Load or unload, in a pool where there is one, else here; then nothing else is decided meanwhile."""
        if action.load:
            with self._load_pool_lock:  # held during a load that is done here, so that set_load_threads waits for it
                _run(self._load, action.harness, pool=self._load_pool)
        else:
            _run(self._unload, action.harness, pool=self._unload_pool)

    def _load(self, harness: Harness) -> None:
        self._bus.publish(VersionState(harness.id, State.LOADING))
        log.info(f"Loading servable version {harness.id}")
        try:
            model = self._try_to_load(harness)
        except StatusError as problem:
            harness.phase = Phase.ERROR
            log.error(f"Encountered an error for servable version {harness.id}: {problem}")
            self._bus.publish(VersionState(harness.id, State.END, problem))
            return
        if harness.cancelled:  # no longer wanted: it must not be seen serving
            model.close()
            harness.phase = Phase.DISABLED
            cancelled = StatusError(Code.CANCELLED, "Loading of servable cancelled")
            self._bus.publish(VersionState(harness.id, State.END, cancelled))
            return
        with self._lock:
            harness.model = model
            harness.phase = Phase.READY
            log.info(f"Successfully loaded servable version {harness.id}")
            self._publish_table()
        self._bus.publish(VersionState(harness.id, State.AVAILABLE))

    def _try_to_load(self, harness: Harness) -> Model:
        """Load, retrying on any error unless cancelled (tensorflow_serving/util/retrier.cc)."""
        what = f"Loading servable: {harness.id}"
        retries = self._settings.max_retries
        for attempt in range(retries + 1):
            if attempt:
                time.sleep(max(0.0, self._settings.retry_interval_s))  # as there: a cancel is noticed only after it
                log.info(f"Retrying of {what} retry: {attempt}")
            try:
                return self._loader.load(harness.id, harness.path)
            except StatusError as problem:
                log.error(f"{what} failed: {problem}")
                if harness.cancelled:
                    log.info(f"Retrying of {what} was cancelled.")
                    raise
                if attempt == retries:
                    log.info(f"Retrying of {what} exhausted max_num_retries: {retries}")
                    raise
        raise AssertionError("the last attempt returns or raises")

    def _unload(self, harness: Harness) -> None:
        log.info(f"Quiescing servable version {harness.id}")
        with self._lock:
            self._bus.publish(VersionState(harness.id, State.UNLOADING))
            self._publish_table()
        log.info(f"Unloading just-loaded servable version {harness.id}")
        if harness.model is not None:
            harness.model.close()
            harness.model = None
        harness.phase = Phase.DISABLED
        log.info(f"Done unloading servable version {harness.id}")
        self._bus.publish(VersionState(harness.id, State.END))

    def _publish_table(self) -> None:
        ready = [each for each in self._harnesses.values() if each.phase is Phase.READY]
        self._table.replace([Servable(each.id, each.model) for each in ready if each.model is not None])


def _run(work: Callable[[Harness], None], harness: Harness, *, pool: ThreadPoolExecutor | None) -> None:
    if pool is None:
        work(harness)
    else:
        pool.submit(work, harness).add_done_callback(_end_process_on_bug)


def _end_process_on_bug(done: Future[None]) -> None:
    """A defect of the stand-in must not look like a model that loads for ever."""
    problem = done.exception()
    if problem is not None:
        log.fatal("defect in the stand-in: " + "".join(traceback.format_exception(problem)))
        os._exit(70)


def _pool(threads: int) -> ThreadPoolExecutor | None:
    return ThreadPoolExecutor(max_workers=threads) if threads > 0 else None
