"""A pytest plugin: the models over tf.Examples, and a server that has them."""

from collections.abc import Iterator

import pytest
from contract_exports import exported_by
from contract_server import ModelServer, ModelStore, model_list


@pytest.fixture(scope="session")
def example_models(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """The SavedModels `examples` and `functions`."""
    root = exported_by("export_example_models.py", tmp_path_factory)
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
