"""A pytest plugin: a server with the page for Prometheus."""

import pytest
from contract_server import ModelServer, ModelStore, Start, model_list
from prometheus_page import with_page


@pytest.fixture(scope="module")
def monitored(module_models: ModelStore, module_start: Start, tmp_path_factory: pytest.TempPathFactory) -> ModelServer:
    """A server with the page that serves affine 1 and 2, for all tests of a file that only ask."""
    module_models.place("affine", 1)
    module_models.place("affine", 2)
    flag = with_page(tmp_path_factory.mktemp("monitoring"))
    server: ModelServer = module_start(flag, config=model_list(module_models.config("affine", 1, 2)))
    return server.ready()
