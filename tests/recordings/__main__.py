"""Make docs/recordings anew: `python tests/recordings [lab] [simulated] [--out DIR]`; the lab needs root."""

import argparse
import getpass
import os
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "unit")]
KINDS = {"lab": "on_lab", "simulated": "on_simulation"}


def main() -> int:
    """Write a text file and a page for each run; 0 when all could be made."""
    parser = argparse.ArgumentParser(prog="python tests/recordings", description="Record runs, for docs/recordings.")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "recordings", metavar="DIR")
    chosen = parser.parse_args()
    if unknown := set(chosen.kinds) - set(KINDS):
        parser.error(f"no such recordings: {', '.join(sorted(unknown))}")
    chosen.out.mkdir(parents=True, exist_ok=True)
    for kind in chosen.kinds or KINDS:
        with tempfile.TemporaryDirectory(prefix="fleetdeploy-recordings-") as work:
            unwanted = (work, str(ROOT), str(Path.home()) + "/", os.uname().nodename, f"{getpass.getuser()}@")
            for recording in __import__(KINDS[kind]).record(Path(work)):
                recording.write(chosen.out, unwanted=unwanted)
                sys.stdout.write(f"{chosen.out / recording.name}.txt and .html\n")
                sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
