"""Servers and models for the contract's tests. SERVER=path tests another binary than the stand-in."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_server import ModelServer, ModelStore, Start, model_list


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite's SavedModels, exported once with real TensorFlow."""
    root = tmp_path_factory.mktemp("exported")
    script = Path(__file__).with_name("export_models.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(script), str(root)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return root


@pytest.fixture
def models(exported: Path, tmp_path: Path) -> ModelStore:
    """An empty place for models."""
    root = tmp_path / "models"
    root.mkdir()
    return ModelStore(exported, root)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server with flags; it is ended after the test."""
    servers: list[ModelServer] = []

    def start_one(*flags: str, config: str | None = None) -> ModelServer:
        directory = tmp_path / f"server-{len(servers)}"
        directory.mkdir()
        if config is not None:
            (directory / "model.config").write_text(config)
            flags = (f"--model_config_file={directory / 'model.config'}", *flags)
        servers.append(ModelServer(directory, *flags))
        return servers[-1]

    yield start_one
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def steady(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """One server for all tests that only ask: affine 1 (label stable) and 2, echo, slow, graph."""
    directory = tmp_path_factory.mktemp("steady")
    store = ModelStore(exported, exported)
    others = [store.config(name) for name in ("echo", "slow", "graph")]
    config = directory / "model.config"
    config.write_text(model_list(store.config("affine", 1, 2), *others))
    server = ModelServer(directory, f"--model_config_file={config}")
    try:
        server.ready()
        labels = 'version_labels { key: "stable" value: 1 }'
        server.reload(model_list(store.config("affine", 1, 2, extra=labels), *others))
        yield server
    finally:
        server.stop()
