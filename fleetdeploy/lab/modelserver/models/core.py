"""The server's centre: accepts configs, waits for new models, finds the servable for a request.

Follows tensorflow_serving/model_servers/server_core.cc, with what it does *not* undo when a config is refused late.
"""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.models import config as configs
from fleetdeploy.lab.modelserver.models.lifecycle import Lifecycle
from fleetdeploy.lab.modelserver.models.serving_table import Request, ServingTable
from fleetdeploy.lab.modelserver.models.source import FileSystemSource
from fleetdeploy.lab.modelserver.models.states import State, StateBus, StateMonitor, VersionState
from fleetdeploy.lab.modelserver.servable import Servable
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs


class ServerCore:
    """Models as configured, as loaded, and as asked for."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        bus: StateBus,
        table: ServingTable,
        scan_interval_s: float,
        initial_load_threads: int,
        labels_for_unavailable: bool,
    ) -> None:
        self._lifecycle = lifecycle
        self._bus = bus
        self._table = table
        self._scan_interval_s = scan_interval_s
        self._initial_load_threads = initial_load_threads
        self._labels_for_unavailable = labels_for_unavailable
        self._reload_lock = threading.Lock()  # held until a reload has ended, however long its models take
        self._config = stubs.model_server_config_pb2.ModelServerConfig()
        self._source: FileSystemSource | None = None
        self._labels_lock = threading.Lock()
        self._labels: configs.Labels | None = None
        self.monitor = StateMonitor(bus)

    def reload(self, config: Any) -> None:
        """Take over a ModelServerConfig and wait for the models in it whose names are new.

        Raises StatusError: FAILED_PRECONDITION for a transition that is not allowed or a label on an unavailable
        version, INVALID_ARGUMENT for a config that is not valid, UNKNOWN when a new model fails to load.
        """
        with self._reload_lock:
            kind, new_kind = (each.WhichOneof("config") for each in (self._config, config))
            if kind is not None and self._config != config and (kind, new_kind) != ("model_config_list",) * 2:
                raise StatusError(
                    Code.FAILED_PRECONDITION,
                    "Cannot transition to requested config. It is only legal to transition from one ModelConfigList "
                    "to another.",
                )
            if new_kind is None:
                log.info("Taking no action for empty config.")
                return
            if new_kind == "custom_model_config":
                log.fatal("ModelServer does not yet support custom model config.")
                os.abort()
            models = config.model_config_list.config
            configs.check_models(models)
            configs.check_platforms_kept(self._config.model_config_list.config, models)
            # From here on the new config is remembered, also when what follows refuses it.
            self._config = type(config).FromString(config.SerializeToString())
            self._set_labels()
            log.info("Adding/updating models.")
            self._apply(self._config.model_config_list.config)
            log.info("Finished adding/updating models")
            if any(model.HasField("logging_config") for model in models):
                raise StatusError(Code.INVALID_ARGUMENT, "No request-logger-creator provided.")

    @contextmanager
    def servable(self, model_spec: Any) -> Iterator[Servable]:
        """Hold the servable a ModelSpec asks for. Raises INVALID_ARGUMENT, UNAVAILABLE or NOT_FOUND."""
        with self._table.acquire(self._request(model_spec)) as servable:
            yield servable

    def _request(self, model_spec: Any) -> Request:
        if not model_spec.name:
            raise StatusError(Code.INVALID_ARGUMENT, "ModelSpec has no name specified.")
        choice = model_spec.WhichOneof("version_choice")
        if choice == "version":
            return Request(model_spec.name, model_spec.version.value)
        if choice == "version_label":
            return Request(model_spec.name, self._labelled(model_spec.name, model_spec.version_label))
        return Request(model_spec.name, None)

    def _labelled(self, model: str, label: str) -> int:
        with self._labels_lock:
            labels = self._labels
        if labels is None:
            raise StatusError(Code.UNAVAILABLE, f"Model labels does not init yet.{label}")
        version = labels.get(model, {}).get(label)
        if version is None:
            raise StatusError(Code.INVALID_ARGUMENT, f"Unrecognized servable version label: {label}")
        return version

    def _set_labels(self) -> None:
        """Replace the whole label map; looked at before anything loads, so a label cannot name what is yet to load."""
        labels: dict[str, dict[str, int]] = {}
        with self._labels_lock:
            current = self._labels or {}
        for model in self._config.model_config_list.config:
            states = {state.id.version: state.state for state in self.monitor.versions(model.name)}
            for label, version in model.version_labels.items():
                moves = current.get(model.name, {}).get(label, version) != version
                may_be_unavailable = self._labels_for_unavailable and not moves
                if states.get(version) is not State.AVAILABLE and not may_be_unavailable:
                    raise StatusError(
                        Code.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {model.name}, which is not "
                        "currently available for inference",
                    )
                labels.setdefault(model.name, {})[label] = version
        with self._labels_lock:
            self._labels = labels

    def _apply(self, models: Sequence[Any]) -> None:
        for model in models:
            log.info(f" (Re-)adding model: {model.name}")
        configs.check_platforms_known(models)
        if self._source is None:
            self._load_first(models)
            return
        # A fresh monitor has not seen what was unloaded long ago, so a model that comes back is waited for.
        with closing(StateMonitor(self._bus)) as fresh:
            new = {model.name for model in models} - self._source.names
            self._source.update(models)
            _raise_if_failed(fresh.wait_until_settled(new), "model(s)")

    def _load_first(self, models: Sequence[Any]) -> None:
        """Start to scan, load with many threads, and wait for every model."""
        source = FileSystemSource(models, self._scan_interval_s, aspire=self._lifecycle.aspire)
        self._lifecycle.set_load_threads(self._initial_load_threads)
        source.start()
        settled = self.monitor.wait_until_settled({model.name for model in models})
        self._lifecycle.set_load_threads(None)
        try:
            _raise_if_failed(settled, "servable(s)")
        except StatusError:
            source.stop()
            raise
        self._source = source


def _raise_if_failed(settled: Sequence[VersionState], what: str) -> None:
    """Raise UNKNOWN if one of the deciding versions does not serve."""
    failed = [state for state in settled if state.state is not State.AVAILABLE]
    if not failed:
        return
    reasons = [f"{{{state.id}{f' due to error: {state.error}' if state.error else ''}}}, " for state in failed]
    raise StatusError(Code.UNKNOWN, f"{len(failed)} {what} did not become available: {{{''.join(reasons)}}}")
