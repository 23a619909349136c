"""What importing this room costs."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import fleetdeploy.tfserving
from fleetdeploy.lab import load, models
from fleetdeploy.tfserving import stubs


def test_the_room_never_loads_the_tensorflow_runtime() -> None:
    """All modules of the room, all stubs, load generator and exporters are imported without TensorFlow's runtime."""
    for module in pkgutil.iter_modules(fleetdeploy.tfserving.__path__, "fleetdeploy.tfserving."):
        importlib.import_module(module.name)
    for name in stubs.PACKAGES:
        assert getattr(stubs, name).__name__.endswith(name)
    assert load.CHANNELS
    assert models.VERSIONS
    assert "google.protobuf" in sys.modules
    loaded = [name for name in sys.modules if name.startswith(("tensorflow.python", "keras"))]
    assert loaded == []
