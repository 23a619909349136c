"""One process of a simulated ``tensorflow_model_server``.

What it is faithful to: versions that are not on disk are not there, and a model whose listed ones are all missing
leaves memory; the port opens only after every model has settled; a version that fails at start ends the
process; a version that fails later is burnt for as long as its model is listed; a reload waits only for names that are
new; labels are checked before anything is loaded; old versions leave memory only once a new one is AVAILABLE; END
entries are kept; AVAILABLE says nothing about answers; a reload that never ends holds a lock for ever; a list that is
refused for its platforms or labels is remembered all the same, and a remembered list without a platform spoils all
later ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from fleetdeploy.domain.measured import ServerLoad
from fleetdeploy.domain.observed import State, VersionState
from fleetdeploy.errors import DeadlineExceeded, InputError, NoAnswer, NotHealthy, ReloadRefused
from fleetdeploy.tfserving import model_config

from .clock import VirtualClock

ANSWER_S = 0.01
LABELS_AHEAD = "--allow_version_labels_for_unavailable_models=true"


class Quality(str, Enum):
    """What a version does when a server has it."""

    GOOD = "good"
    WRONG = "wrong"
    NO_VARIABLES = "no variables"
    UNLOADABLE = "unloadable"
    SLOW = "slow"
    """Its answers come after every deadline, as from a server that computes on its CPU."""


@dataclass
class Loaded:
    """One version in one process. ``answered`` is set by the first right answer."""

    quality: Quality | None
    state: State
    ready_s: float
    error: str = ""
    answered: bool = False


@dataclass
class ModelServer:
    """``disk`` gives the quality of a version directory, or None when it is not there; ``busy`` tells whether requests
    come in. A reload holds the lock until the models ``waited_for`` have settled, or when ``stuck`` for ever; with
    ``poisoned`` the remembered list is one that no later one can be held against, ``platforms`` are those in it.
    ``listed`` is what the configuration names, ``aspired`` what of it is on disk.
    ``unproven_unloads`` collects versions that left memory under requests before the next one had answered. ``counted``
    is what its metrics say.
    """

    clock: VirtualClock
    disk: Callable[[str, int], Quality | None]
    command: tuple[str, ...]
    load_s: float
    busy: Callable[[], bool] = lambda: False
    versions: dict[str, dict[int, Loaded]] = field(default_factory=dict)
    listed: dict[str, tuple[int, ...]] = field(default_factory=dict)
    aspired: dict[str, tuple[int, ...]] = field(default_factory=dict)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    listening: bool = False
    exited: bool = False
    stuck: bool = False
    waited_for: tuple[str, ...] = ()
    poisoned: bool = False
    platforms: dict[str, str] = field(default_factory=dict)
    unproven_unloads: list[str] = field(default_factory=list)
    counted: ServerLoad = ServerLoad()

    def serve(self, requests: int, *, errors: int = 0, each_s: float = ANSWER_S) -> None:
        """Clients send it requests, which take ``each_s`` to answer."""
        spent_s = requests * each_s
        self.counted += ServerLoad(requests, errors, spent_s, spent_s)

    def start(self, config_text: str | None) -> None:
        """Read the configuration as the binary does at start."""
        try:
            config = model_config.parse(config_text or "", where="model.config")
            model_config.check(config)
        except InputError:
            self.exited = True
            return
        wanted = model_config.wanted(config)
        self.platforms = {entry.name: entry.model_platform for entry in config.model_config_list.config}
        if LABELS_AHEAD not in self.command and any(entry.labels for entry in wanted.values()):
            self.exited = True
            return
        self._aspire(wanted)
        self.tick()

    def tick(self) -> None:
        """Let happen what is due by now."""
        if self.exited:
            return
        self._poll()
        for versions in self.versions.values():
            for number, entry in versions.items():
                if entry.state is State.LOADING and entry.quality and entry.ready_s <= self.clock.monotonic_s():
                    failed = entry.quality is Quality.UNLOADABLE
                    entry.state = State.END if failed else State.AVAILABLE
                    entry.error = f"NOT_FOUND: version {number} does not load" if failed else ""
        if not self.listening:
            self._open_port()
        self._unload()

    def _open_port(self) -> None:
        wanted = [self.versions[model][number] for model, numbers in self.aspired.items() for number in numbers]
        if any(entry.state is State.END for entry in wanted):
            self.exited = True
        elif all(self.aspired.values()) and all(entry.state is State.AVAILABLE for entry in wanted):
            self.listening = True

    def _unload(self) -> None:
        for model, versions in self.versions.items():
            wanted = self.aspired.get(model, ())
            ready = [number for number in wanted if versions[number].state is State.AVAILABLE]
            for number, entry in versions.items():
                if number in wanted or entry.state is not State.AVAILABLE or (wanted and not ready):
                    continue
                entry.state = State.END
                if self.listed.get(model) and self.busy() and not any(versions[other].answered for other in ready):
                    self.unproven_unloads.append(f"{model}/{number}")

    def _aspire(self, wanted: Mapping[str, model_config.ModelEntry]) -> None:
        for model in [name for name in self.aspired if name not in wanted]:
            del self.aspired[model]
            for entry in self.versions[model].values():
                entry.error = ""
        self.listed = {model: item.versions for model, item in wanted.items()}
        self._poll()
        self.labels = {model: dict(item.labels) for model, item in wanted.items()}

    def _poll(self) -> None:
        """What the server finds on disk of what is listed, again and again: a directory may come later."""
        for model, numbers in self.listed.items():
            known = self.versions.setdefault(model, {})
            self.aspired[model] = tuple(number for number in numbers if self.disk(model, number) is not None)
            for number in self.aspired[model]:
                before = known.get(number)
                if before is None or (before.state is State.END and not before.error):
                    ready_s = self.clock.monotonic_s() + self.load_s
                    known[number] = Loaded(self.disk(model, number), State.LOADING, ready_s)

    def reload(self, config_text: str, deadline_s: float) -> None:
        """HandleReloadConfigRequest."""
        self.tick()
        end = self.clock.monotonic_s() + deadline_s
        self._wait(lambda: not self.stuck and all(map(self._settled, self.waited_for)), end)
        config = self._accept(config_text)
        wanted = model_config.wanted(config)
        self.waited_for = tuple(model for model in wanted if model not in self.aspired)
        self._aspire(wanted)
        self.tick()
        self._wait(lambda: all(map(self._settled, self.waited_for)), end)
        failed = [model for model in self.waited_for if any(entry.error for entry in self.versions[model].values())]
        if failed:
            raise ReloadRefused(f"UNKNOWN: {len(failed)} model(s) did not become available")

    def _wait(self, reached: Callable[[], bool], end: float) -> None:
        """The caller's deadline ends its waiting, and not what the server does: the lock is held as long as ever."""
        while not reached():
            if self.clock.monotonic_s() >= end:
                raise DeadlineExceeded("the reload was not answered")
            self.clock.wait(0.1)
            self.tick()

    def _accept(self, config_text: str) -> Any:
        """The checks of server_core.cc in their order: what passes the first of them is remembered, even if refused."""
        config = model_config.parse(config_text, where="request")
        entries = list(config.model_config_list.config)
        names = [entry.name for entry in entries]
        if len(set(names)) < len(names):
            raise ReloadRefused("INVALID_ARGUMENT: Illegal to list a model multiple times in config list")
        if any(not entry.base_path.startswith("/") for entry in entries):
            raise ReloadRefused("INVALID_ARGUMENT: Expected a model to have an absolute path or URI")
        if self.poisoned:
            raise ReloadRefused("INVALID_ARGUMENT: Illegal setting neither model_type nor model_platform")
        if any(self.platforms.get(entry.name, entry.model_platform) != entry.model_platform for entry in entries):
            raise ReloadRefused("INVALID_ARGUMENT: Illegal to change a model's platform")
        self.platforms = {entry.name: entry.model_platform for entry in entries}
        self.poisoned = not all(self.platforms.values())
        self._check_labels(model_config.wanted(config))
        try:
            model_config.check(config)
        except InputError as error:
            raise ReloadRefused(f"INVALID_ARGUMENT: {error.message}") from error
        return config

    def _settled(self, model: str) -> bool:
        return any(self.versions[model][number].state in {State.AVAILABLE, State.END} for number in self.aspired[model])

    def _check_labels(self, wanted: Mapping[str, model_config.ModelEntry]) -> None:
        """Against the states before the reload, and an unavailable target only for a label nobody uses."""
        for model, item in wanted.items():
            for label, number in item.labels.items():
                entry = self.versions.get(model, {}).get(number)
                if entry and entry.state is State.AVAILABLE:
                    continue
                held = self.labels.get(model, {}).get(label)
                if LABELS_AHEAD not in self.command or held not in {None, number}:
                    raise ReloadRefused(f"FAILED_PRECONDITION: label {label} is not currently available for inference")

    def status(self, model: str) -> tuple[VersionState, ...]:
        """GetModelStatus: all versions ever seen, descending."""
        self.tick()
        self._must_listen()
        return tuple(
            VersionState(number, entry.state, entry.error)
            for number, entry in sorted(self.versions.get(model, {}).items(), reverse=True)
        )

    def label(self, model: str, label: str) -> int | None:
        """What a request with the label gets."""
        self.tick()
        self._must_listen()
        number = self.labels.get(model, {}).get(label)
        entry = self.versions.get(model, {}).get(number or 0)
        if number is not None and (entry is None or entry.state is not State.AVAILABLE):
            raise NotHealthy(f"NOT_FOUND: Servable not found for request: Specific({model}, {number})")
        return number

    def predict(self, model: str, number: int, deadline_s: float) -> Mapping[str, object]:
        """The right answer of version N is N."""
        self.tick()
        self._must_listen()
        entry = self.versions.get(model, {}).get(number)
        if entry is None or entry.state is not State.AVAILABLE:
            raise NotHealthy(f"NOT_FOUND: Servable not found for request: Specific({model}, {number})")
        if entry.quality is Quality.NO_VARIABLES:
            self.serve(0, errors=1)
            raise NotHealthy("FAILED_PRECONDITION: Could not find variable dense/kernel")
        if entry.quality is Quality.SLOW:
            self.clock.wait(deadline_s)
            raise NotHealthy(f"no answer after {deadline_s:.1f} s; {deadline_s:g} s are allowed")
        self.serve(1)
        right = entry.quality is Quality.GOOD
        entry.answered = entry.answered or right
        return {"y": [[float(number) if right else float(number) + 0.5]]}

    def _must_listen(self) -> None:
        if not self.listening:
            raise NoAnswer("UNAVAILABLE: connection refused")

    def available(self) -> dict[str, tuple[int, ...]]:
        """The AVAILABLE versions of every model that has one, without letting time pass."""
        found = {
            model: tuple(sorted(number for number, entry in versions.items() if entry.state is State.AVAILABLE))
            for model, versions in self.versions.items()
        }
        return {model: numbers for model, numbers in found.items() if numbers}
