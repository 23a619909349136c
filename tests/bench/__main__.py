"""Run benchmarks: `python tests/bench [NAME ...] [--rounds N] [--json FILE] [--models DIR]`."""

import argparse
import importlib
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from processes import ROOT
from table import machine, write_json

BENCHMARKS: Final = ("predict", "many_models", "reload_memory", "start")


def main() -> int:
    """Run those that are named, or all; 0 when all could be measured."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description="Measure; nothing fails for being slow.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)} (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="how often to measure (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every sample there")
    parser.add_argument("--models", type=Path, metavar="DIR", help="keep the exported models there for the next run")
    chosen = parser.parse_args()
    unknown = set(chosen.names) - set(BENCHMARKS)
    if unknown or chosen.rounds < 1:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}" if unknown else "--rounds is at least 1")
    about = machine()
    sys.stdout.write(
        f"{about['cores']} cores, {about['cores_allowed']} allowed, load average {about['load_average_1min']}\n\n"
    )
    results = []
    with tempfile.TemporaryDirectory(prefix="fleetdeploy-bench-") as scratch:
        exported = chosen.models.resolve() if chosen.models else Path(scratch) / "exported"
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "fleetdeploy.lab.models", str(exported)], check=True, cwd=ROOT
        )
        for name in chosen.names or BENCHMARKS:
            work = Path(scratch) / name
            work.mkdir(exist_ok=True)
            results.append(importlib.import_module(f"bench_{name}").measure(exported, work, rounds=chosen.rounds))
            sys.stdout.write(results[-1].text() + "\n")
            sys.stdout.flush()
    if chosen.json:
        write_json(chosen.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
