"""The least a Python gRPC server can do: answer each known request with bytes recorded before.

`python parrot.py PORT THREADS FILE`; FILE holds JSON, pairs of a PredictRequest and its PredictResponse, in base64.
What the model server is slower than this is its own work and TensorFlow's; the rest is gRPC in Python.
"""

import base64
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from fleetdeploy.tfserving import stubs


def canonical(request: Any) -> bytes:
    """The same bytes for equal requests; the order of a map's entries on the wire is anybody's."""
    return bytes(request.SerializeToString(deterministic=True))


def main(port: int, threads: int, recorded: Path) -> None:
    """Serve until killed."""
    pairs = json.loads(recorded.read_text(encoding="utf-8"))
    known = {base64.b64decode(request): base64.b64decode(answer) for request, answer in pairs}
    seen: dict[bytes, bytes] = {}

    def answer(raw: bytes, _: grpc.ServicerContext) -> bytes:
        found = seen.get(raw)
        if found is None:
            found = seen[raw] = known[canonical(stubs.predict_pb2.PredictRequest.FromString(raw))]
        return found

    server = grpc.server(ThreadPoolExecutor(max_workers=threads))
    methods = {"Predict": grpc.unary_unary_rpc_method_handler(answer)}
    handler = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", methods)
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
