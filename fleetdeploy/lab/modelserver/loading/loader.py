"""Loads version directories the way the flags ask for."""

from collections.abc import Sequence

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.runtime.saved_model import SavedModel
from fleetdeploy.lab.modelserver.runtime.tensorflow_c import TensorFlow
from fleetdeploy.lab.modelserver.servable import Model, ServableId


class Loader:
    """Makes models of version directories."""

    def __init__(self, tensorflow: TensorFlow, *, tags: Sequence[str], session_config: bytes) -> None:
        self._tensorflow = tensorflow
        self._tags = tags
        self._session_config = session_config

    def load(self, servable: ServableId, path: str) -> Model:
        """Load one version; raises StatusError with the C++ loader's own code and text."""
        log.info(f"Reading SavedModel of {servable} from: {path}")
        session = self._tensorflow.load_saved_model(path, self._tags, config=self._session_config)
        return SavedModel(self._tensorflow, session)
