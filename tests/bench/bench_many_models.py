"""Start with 50 models of one megabyte each: seconds until the gRPC port is open, which is when all of them serve."""

import shutil
from pathlib import Path
from typing import Final

from processes import model_server
from table import Result

MODELS: Final = 50


def measure(exported: Path, work: Path, *, rounds: int) -> Result:
    """Start the server `rounds` times."""
    entries = []
    for number in range(MODELS):
        base = work / "many" / f"model{number:02d}"
        shutil.copytree(exported / "models" / "ranker" / "1", base / "1")
        entries.append(f'config {{ name: "{base.name}" base_path: "{base}" model_platform: "tensorflow" }}')
    config = work / "many.config"
    config.write_text(f"model_config_list {{ {' '.join(entries)} }}", encoding="utf-8")
    size_mb = sum(file.stat().st_size for file in (work / "many").rglob("*") if file.is_file()) / 1e6 / MODELS
    times_s, cpu_s, memory_mb = [], [], []
    for _ in range(rounds):
        with model_server(work / "many.log", f"--model_config_file={config}") as server:
            times_s.append(server.opened_s())
            cpu_s.append(server.cpu_s())
            memory_mb.append(server.own_memory_mb())
    result = Result(f"Start with {MODELS} models of {size_mb:.2f} MB, {rounds} rounds")
    result.add("start to gRPC port open, s", times_s, wanted="under 30")
    result.add("CPU until then, s", cpu_s)
    result.add("own memory then, MiB", memory_mb)
    return result
