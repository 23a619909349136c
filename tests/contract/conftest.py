"""Servers and models for the contract's tests. SERVER=path or IMAGE=tag tests another server than the stand-in."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from contract_exports import exported_by, shared_directory
from contract_server import ModelServer, ModelStore, Start, model_list
from contract_target import IMAGE, MOUNTED, SERVER, containers_removed


def pytest_configure() -> None:
    """Refuse two targets at once."""
    if SERVER and IMAGE:
        raise pytest.UsageError("SERVER and IMAGE each name the server to be tested: give one of them")


@pytest.fixture(scope="session", autouse=True)
def _target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Containers see the tests' directories, and none of them outlives the suite."""
    with pytest.MonkeyPatch.context() as environment, containers_removed():
        environment.setenv(MOUNTED, str(shared_directory(tmp_path_factory)))
        yield


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The suite's SavedModels."""
    return exported_by("export_models.py", tmp_path_factory)


@contextlib.contextmanager
def _starting(directory: Path) -> Iterator[Start]:
    """A function that starts servers with directories of their own; all are ended at the end."""
    servers: list[ModelServer] = []

    def start_one(*flags: str, config: str | None = None) -> ModelServer:
        own = directory / f"server-{len(servers)}"
        own.mkdir()
        if config is not None:
            (own / "model.config").write_text(config)
            flags = (f"--model_config_file={own / 'model.config'}", *flags)
        servers.append(ModelServer(own, *flags))
        return servers[-1]

    try:
        yield start_one
    finally:
        for server in servers:
            server.stop()


@pytest.fixture
def models(exported: Path, tmp_path: Path) -> ModelStore:
    """An empty place for models."""
    root = tmp_path / "models"
    root.mkdir()
    return ModelStore(exported, root)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a server with flags; it is ended after the test."""
    with _starting(tmp_path) as start_one:
        yield start_one


@pytest.fixture(scope="module")
def module_models(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A place for models that the tests of one file share."""
    return ModelStore(exported, tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def module_start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start a server that the tests of one file share; it is ended after the last of them."""
    with _starting(tmp_path_factory.mktemp("servers")) as start_one:
        yield start_one


@pytest.fixture(scope="session")
def steady(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """One server for all tests that only ask: affine 1 (label stable) and 2, echo, slow, graph."""
    store = ModelStore(exported, exported)
    others = [store.config(name) for name in ("echo", "slow", "graph")]
    with _starting(tmp_path_factory.mktemp("steady")) as start_one:
        server = start_one(config=model_list(store.config("affine", 1, 2), *others)).ready()
        labels = 'version_labels { key: "stable" value: 1 }'
        server.reload(model_list(store.config("affine", 1, 2, extra=labels), *others))
        yield server
