"""Predictions a second of the demo's model, with the server on one core and the lab's load generator on the others.

The parrot (parrot.py) gives the same answers without a model; it is measured in turn with the server, so that both
see the same machine.
"""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from parrot import canonical
from processes import ROOT, Client, Measured, free_port, model_server, on_cores, two_cores
from table import Result

from fleetdeploy.tfserving import golden, predict

MODEL: Final = "ranker"
WANTED_RATE: Final = 1000.0
MOST: Final = 5000.0
"""More than two channels can send, so that each sends the next request as soon as it has an answer."""
WARM_S: Final = 2.0
LOAD_S: Final = 8.0
THREADS: Final = 4
"""What the model server takes on one core (--grpc_max_threads)."""


def measure(exported: Path, work: Path, *, rounds: int) -> Result:
    """Measure the server and the parrot `rounds` times, in turn."""
    golden_file = exported / "golden" / f"{MODEL}.jsonl"
    cores = two_cores()
    runs: dict[str, list[dict[str, float]]] = {"steady": [], "server": [], "parrot": []}
    flags = (f"--model_name={MODEL}", f"--model_base_path={exported / 'models' / MODEL}")
    with model_server(work / "server.log", *flags, cores=cores[0]) as server:
        server.opened_s()
        recorded = work / "recorded.json"
        recorded.write_text(json.dumps(_record(server.port, golden_file)), encoding="utf-8")
        with _parrot(recorded, work, cores[0]) as parrot:
            parrot.opened_s()
            for warmed in (server, parrot):
                _load(warmed, golden_file, work, rate=MOST, seconds=WARM_S, cores=cores[1])
            for _ in range(rounds):
                chosen = {"seconds": LOAD_S, "cores": cores[1]}
                runs["steady"].append(_load(server, golden_file, work, rate=WANTED_RATE, **chosen))
                runs["server"].append(_load(server, golden_file, work, rate=MOST, **chosen))
                runs["parrot"].append(_load(parrot, golden_file, work, rate=MOST, **chosen))
    return _result(runs, rounds, shared=cores[0] == cores[1])


def _result(runs: dict[str, list[dict[str, float]]], rounds: int, *, shared: bool) -> Result:
    def column(run: str, key: str) -> list[float]:
        return [sample[key] for sample in runs[run]]

    result = Result(f"Predictions of `{MODEL}`, server on one core, {rounds} rounds of {LOAD_S:.0f} s")
    result.add("asked for 1,000/s: answered a second", column("steady", "rate"), wanted="about 1,000")
    result.add("asked for 1,000/s: p50, ms", column("steady", "p50_ms"))
    result.add("asked for 1,000/s: p99, ms", column("steady", "p99_ms"))
    result.add("asked for 1,000/s: server CPU, ms each", column("steady", "cpu_ms"))
    result.add("two channels flat out: a second", column("server", "rate"), wanted="1,000 or more")
    result.add("two channels flat out: p50, ms", column("server", "p50_ms"))
    result.add("two channels flat out: p99, ms", column("server", "p99_ms"))
    result.add("flat out: server CPU, ms each", column("server", "cpu_ms"))
    result.add("parrot flat out: a second", column("parrot", "rate"))
    result.add("parrot flat out: CPU, ms each", column("parrot", "cpu_ms"))
    both = list(zip(runs["server"], runs["parrot"], strict=True))
    result.add("rate, server : parrot", [server["rate"] / parrot["rate"] for server, parrot in both])
    result.add("CPU each, server : parrot", [server["cpu_ms"] / parrot["cpu_ms"] for server, parrot in both])
    if shared:
        result.notes.append("There is one core: the load generator took its share of it.")
    return result


def _record(port: int, golden_file: Path) -> list[tuple[str, str]]:
    """Ask the server for each golden request's answer."""
    client = Client(port)
    pairs = []
    for request in golden.load(golden_file):
        message = predict.grpc_request(MODEL, request)
        asked, answered = canonical(message), bytes(client.predict(message).SerializeToString())
        pairs.append((base64.b64encode(asked).decode(), base64.b64encode(answered).decode()))
    client.close()
    return pairs


def _parrot(recorded: Path, work: Path, cores: set[int]) -> Measured:
    port = free_port()
    argv = [sys.executable, str(Path(__file__).with_name("parrot.py")), str(port), str(THREADS), str(recorded)]
    return Measured(argv, port=port, log=work / "parrot.log", cores=cores)


def _load(
    server: Measured, golden_file: Path, work: Path, *, rate: float, seconds: float, cores: set[int]
) -> dict[str, float]:
    """Run the lab's load generator once. Raises RuntimeError unless every answer was right."""
    report = work / "load.json"
    argv = [
        sys.executable, "-m", "fleetdeploy.lab.load", "--grpc", f"127.0.0.1:{server.port}", "--model", MODEL,
        "--golden", str(golden_file), "--rate", str(rate), "--duration", str(seconds), "--report", str(report),
    ]  # fmt: skip
    before_s = server.cpu_s()
    with on_cores(cores):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=False, cwd=ROOT)
    spent_s = server.cpu_s() - before_s
    if done.returncode:
        raise RuntimeError(f"not every answer was right: {done.stdout}{done.stderr}")
    counted: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return {
        "rate": counted["requests"] / counted["duration_s"],
        "p50_ms": counted["p50_ms"],
        "p99_ms": counted["p99_ms"],
        "cpu_ms": spent_s * 1000 / counted["requests"],
    }
