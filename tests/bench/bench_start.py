"""Start with one model: seconds until the gRPC port is open, against an interpreter that only imports gRPC."""

import subprocess
import sys
import time
from pathlib import Path

from processes import model_server
from table import Result


def measure(exported: Path, work: Path, *, rounds: int) -> Result:
    """Start both in turn."""
    starts_s, cpu_s, bare_s, memory_mb, own_mb = [], [], [], [], []
    flags = ("--model_name=ranker", f"--model_base_path={exported / 'models' / 'ranker'}")
    for _ in range(rounds):
        with model_server(work / "start.log", *flags) as server:
            starts_s.append(server.opened_s())
            cpu_s.append(server.cpu_s())
            memory_mb.append(server.memory_mb())
            own_mb.append(server.own_memory_mb())
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import grpc"], check=True, timeout=60)
        bare_s.append(time.monotonic() - began)
    result = Result(f"Start with one model, {rounds} rounds")
    result.add("start to gRPC port open, s", starts_s)
    result.add("CPU until then, s", cpu_s)
    result.add("python -c 'import grpc', s", bare_s)
    result.add("start : import grpc", [start / bare for start, bare in zip(starts_s, bare_s, strict=True)])
    result.add("resident then, MiB", memory_mb)
    result.add("own memory then, MiB", own_mb)
    return result
