"""A pytest plugin: the models over tf.Examples, and a server that has them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_server import ModelServer, ModelStore, model_list


@pytest.fixture(scope="session")
def example_models(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """The SavedModels `examples` and `functions`, exported once with real TensorFlow."""
    root = tmp_path_factory.mktemp("examples")
    script = Path(__file__).with_name("export_example_models.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(root)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return ModelStore(root, root)


@pytest.fixture(scope="session")
def scoring(example_models: ModelStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """One server for all tests that only ask, with `examples` (label stable) and `functions`."""
    directory = tmp_path_factory.mktemp("scoring")
    config = directory / "model.config"
    other = example_models.config("functions")
    config.write_text(model_list(example_models.config("examples"), other))
    server = ModelServer(directory, f"--model_config_file={config}")
    try:
        server.ready()
        labels = 'version_labels { key: "stable" value: 1 }'
        server.reload(model_list(example_models.config("examples", extra=labels), other))
        yield server
    finally:
        server.stop()
