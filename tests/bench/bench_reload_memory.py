"""Memory over 100 reloads that swap two versions of a model, with ten predictions on each.

The clocks of the stand-in run faster, so that 100 reloads take a minute. Memory is taken when the old version is gone.
"""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from processes import Client, model_server, wait_for
from table import Result

from fleetdeploy.tfserving import golden, predict

MODEL: Final = "ranker"
RELOADS: Final = 100
PREDICTIONS: Final = 10
AVAILABLE: Final = 30
KIB: Final = 1024
WARM: Final = 10
"""Reloads after which memory counts: TensorFlow's own caches and the allocator's arenas have settled by then."""


def measure(exported: Path, work: Path, *, rounds: int) -> Result:
    """Reload `RELOADS` times on a fresh server, at most three times over."""
    rounds = min(rounds, 3)
    series = [_reload(exported, work) for _ in range(rounds)]
    own, resident = ([[sample[place] for sample in samples] for samples in series] for place in (0, 1))
    result = Result(f"Memory over {RELOADS} reloads of `{MODEL}`, {rounds} rounds")
    result.add("own memory at the start, MiB", [each[0] for each in own])
    for reached in (1, WARM, RELOADS // 2, RELOADS):
        result.add(f"own memory after {reached} reload{'s' * (reached > 1)}, MiB", [each[reached] for each in own])
    result.add(f"highest of {RELOADS}, MiB", [max(each) for each in own])
    settled = [KIB * step(each[WARM:]) for each in own]
    result.add(f"own growth from {WARM} on, KiB a reload", settled, wanted="about 0")
    result.add("own growth, second half, KiB a reload", [KIB * step(each[RELOADS // 2 :]) for each in own])
    result.add(f"resident after {WARM} reloads, MiB", [each[WARM] for each in resident])
    result.add(f"resident after {RELOADS} reloads, MiB", [each[RELOADS] for each in resident])
    return result


def step(values: Sequence[float]) -> float:
    """The median rise from one reload to the next, taken over pairs of reloads, which lead back to the same version.

    Not a fitted line: now and then the allocator returns megabytes at once, and a line across that falls even where
    every single reload leaks.
    """
    return statistics.median(after - before for before, after in zip(values, values[2:], strict=False)) / 2


def _reload(exported: Path, work: Path) -> list[tuple[float, float]]:
    """Own and resident memory in MiB, at the start and after each reload."""
    base = exported / "models" / MODEL
    requests = [predict.grpc_request(MODEL, request) for request in golden.load(exported / "golden" / f"{MODEL}.jsonl")]

    def config(version: int) -> str:
        policy = f"model_version_policy {{ specific {{ versions: {version} }} }}"
        entry = f'name: "{MODEL}" base_path: "{base}" model_platform: "tensorflow" {policy}'
        return f"model_config_list {{ config {{ {entry} }} }}"

    file = work / "reload.config"
    file.write_text(config(1), encoding="utf-8")
    clocks = {"STANDIN_TICK_S": "0.02", "STANDIN_SCAN_S": "0.05"}
    with model_server(work / "reload.log", f"--model_config_file={file}", env=clocks) as server:
        server.opened_s()
        client = Client(server.port)
        samples = [(server.own_memory_mb(), server.memory_mb())]
        for number in range(RELOADS):
            version = 2 - number % 2
            client.reload(config(version))

            def settled(version: int = version) -> bool:
                states = client.states(MODEL)
                return states.get(version) == AVAILABLE and AVAILABLE not in {
                    state for other, state in states.items() if other != version
                }

            wait_for(settled, f"version {version} alone", every_s=0.02)
            for turn in range(PREDICTIONS):
                answer = client.predict(requests[turn % len(requests)])
                if predict.grpc_version(answer) != version:
                    raise RuntimeError(f"version {predict.grpc_version(answer)} answered, not {version}")
            samples.append((server.own_memory_mb(), server.memory_mb()))
        client.close()
    return samples
