"""REST requests of the contract's tests, with what every answer has in common."""

import json
from typing import Any

from contract_server import ModelServer


def predict(server: ModelServer, model: str, **document: Any) -> Any:
    """POST a predict request that must succeed, and return its JSON."""
    answer = server.http("POST", f"/v1/models/{model}:predict", json.dumps(document))
    assert answer.status == 200, answer.body
    assert answer.content_type == "application/json"
    return json.loads(answer.body)


def refusal(server: ModelServer, method: str, path: str, body: str = "") -> tuple[int, str]:
    """A request that must fail: status and the error's text."""
    answer = server.http(method, path, body)
    assert answer.content_type == "application/json"
    document = json.loads(answer.body)
    assert list(document) == ["error"]
    assert answer.body.startswith('{\n    "error": "')
    return answer.status, document["error"]
