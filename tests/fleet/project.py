"""An operator's project directory on the lab: inventory, playbook, templates, models, and commands run in it."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fleetdeploy.lab import models
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from tests.simulation.contract import hold_journals, hold_output

if TYPE_CHECKING:
    from tests.fleet.load import SteadyLoad

REPOSITORY = Path(__file__).parents[2]
INVENTORY = Path("inventories/lab")
SERVICES = INVENTORY / "group_vars/gpu.yml"
PLAYBOOK = Path("playbooks/deploy.yml")
DIRECTORY = "/srv/fleetdeploy/ranking"
"""Where the service keeps its files on its hosts."""

CONTAINER = "fleetdeploy-ranking"
EMBEDDER = """
      embedder:
        source: models/embedder
        versions: [1]
        golden: golden/embedder.jsonl
"""
OF_RUNS = ("resume", "runs")
"""Commands that take no inventory: they know the run's own."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def text(self) -> str:
        """Both streams, as a person sees them on a terminal."""
        return self.stdout + self.stderr

    @property
    def last_line(self) -> str:
        return self.text.strip().splitlines()[-1]

    def states(self) -> dict[str, str]:
        """Each host's state by ``deploy --json``."""
        return {name: host["state"] for name, host in self.json["hosts"].items()}

    def __str__(self) -> str:
        return f"$ fleetdeploy {' '.join(self.argv)}\nexit code {self.code}\n{self.stdout}\n{self.stderr}"


@dataclass(frozen=True)
class Started:
    """A command that runs, its output in files."""

    process: subprocess.Popen[bytes]
    argv: tuple[str, ...]
    outputs: Path

    def said(self) -> str:
        """What it has written to standard error so far."""
        return (self.outputs / "stderr").read_text(encoding="utf-8")

    def shown(self) -> str:
        """What it has written to standard output so far."""
        return (self.outputs / "stdout").read_text(encoding="utf-8")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self, *, timeout_s: float = 120) -> Result:
        """Wait for its end; one that does not come in time is killed, and that is a failure."""
        try:
            self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=10)
            raise AssertionError(f"not ended within {timeout_s:g} s: {self.argv}\n{self.said()}") from None
        return Result(self.argv, self.process.returncode, self.shown(), self.said())

    def interrupt(self) -> Result:
        """Ctrl-C, and wait for the end."""
        self.signal(signal.SIGINT)
        return self.end()


def exported(lab: Lab) -> Path:
    """The lab's models and golden requests, exported into the cache that all labs share unless they are there."""
    place = lab.paths.cache / "models"
    if not models.is_exported(place):
        argv = [sys.executable, "-m", "fleetdeploy.lab.models", str(place)]
        subprocess.run(argv, check=True, timeout=300, stdout=subprocess.DEVNULL, cwd=REPOSITORY)
    return place


class Project:
    """A copy of the lab project in a directory of its own. Nothing is soaked or watched, one model: quick."""

    def __init__(self, lab: Lab, root: Path, *, state: Path | None = None) -> None:
        self.lab = lab
        self.root = root
        self.state = state or root / "state"
        self.environment: Mapping[str, str] = {}
        """What its commands find in their environment besides."""
        self.steady: SteadyLoad | None = None
        """The requests that run through the balancer for the whole test."""
        self._count = itertools.count(1)
        for folder in ("playbooks", "templates"):
            shutil.copytree(REPOSITORY / folder, root / folder)
        shutil.copytree(REPOSITORY / INVENTORY / "group_vars", root / INVENTORY / "group_vars")
        lab.write_inventory(root / INVENTORY / "hosts.yml")
        shutil.copytree(exported(lab) / "golden", root / INVENTORY / "golden")
        # Links cost nothing; a test that spoils a model removes files and never writes into one.
        shutil.copytree(exported(lab) / "models", root / INVENTORY / "models", copy_function=os.link)
        self.edit("soak: 2s", "soak: 0s", file=PLAYBOOK)
        self.edit("golden: true}", "golden: true, min_healthy_time: 0s}", file=PLAYBOOK)
        self.edit(EMBEDDER, "\n")
        at_once = (root / PLAYBOOK).read_text(encoding="utf-8").replace("serial: [1, 10%, 50%]", "serial: [100%]")
        (root / "playbooks/at_once.yml").write_text(at_once, encoding="utf-8")

    # What the operator edits

    def edit(self, before: str, after: str, *, file: Path = SERVICES) -> None:
        """Replace the one place of the file that reads ``before``."""
        path = self.root / file
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{file} does not have {before!r} exactly once:\n{text}"
        path.write_text(text.replace(before, after), encoding="utf-8")

    def want(self, *, version: int | None = None, image: str | None = None, flags: str | None = None) -> None:
        """Set the ranker's version (the broken one is let through to the hosts), the image's tag, the flags."""
        path = self.root / SERVICES
        text = path.read_text(encoding="utf-8")
        if version is not None:
            accept = "accept_incomplete: true, " if version == models.BROKEN[1] else ""
            model = f"ranker: {{{accept}source: models/ranker, versions: [{version}], golden: golden/ranker.jsonl}}\n"
            text = re.sub(r"ranker:(\n {8}.*)+\n|ranker: \{.*\n", model, text)
        if image is not None:
            text = re.sub(r"image: \S+", f"image: {image}", text)
        if flags is not None:
            text = re.sub(r"\n    flags: .*", "", text).replace("\n    models:", f"\n    flags: {flags}\n    models:")
        path.write_text(text, encoding="utf-8")

    # The command line

    @property
    def homes(self) -> Mapping[str, str]:
        """What a user of this project alone keeps."""
        return {"XDG_STATE_HOME": str(self.root / "home"), "XDG_CACHE_HOME": str(self.root / "cache")}

    def argv(self, *words: str) -> tuple[str, ...]:
        """The project's own options; what stands behind ``--`` is another command's."""
        at = words.index("--") if "--" in words else len(words)
        inventory = () if words[0] in OF_RUNS else ("-i", str(INVENTORY))
        return (*words[:at], *inventory, "--state-dir", str(self.state), *words[at:])

    def start(self, *words: str) -> Started:
        """Start a command and return at once."""
        argv = self.argv(*words)
        outputs = self.root / f"output-{next(self._count)}"
        outputs.mkdir()
        with (outputs / "stdout").open("wb") as stdout, (outputs / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-m", "fleetdeploy", *argv],
                cwd=self.root, env={**environment(), **self.homes, **self.environment},
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr,
            )  # fmt: skip
        return Started(process, argv, outputs)

    def run(self, *words: str, expect: int | None = 0, timeout_s: float = 120) -> Result:
        """Run a command to its end; ``expect`` is the exit code it must have, None for any."""
        result = self.start(*words).end(timeout_s=timeout_s)
        assert expect is None or result.code == expect, str(result)
        hold_output(words, result.stdout)
        hold_journals(self.state / "runs")
        return result

    def deploy(self, *words: str, expect: int | None = 0, timeout_s: float = 120) -> Result:
        return self.run("deploy", *words, expect=expect, timeout_s=timeout_s)

    def events(self) -> list[dict[str, Any]]:
        """The journal of the newest run; a line that is being written is left out."""
        journals = sorted((self.state / "runs").glob("*/events.jsonl"), key=lambda path: path.stat().st_mtime_ns)
        text = journals[-1].read_text(encoding="utf-8") if journals else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def deploy_until(self, *words: str, **event: object) -> Started:
        """Start a deploy and return once its journal holds an event with these fields."""
        before = self.runs()
        started = self.start("deploy", *words)

        def there() -> bool:
            assert started.process.poll() is None, f"ended before {event}: {started.end()}"
            return self.runs() > before and any(event.items() <= found.items() for found in self.events())

        wait_until(there, f"the deploy comes to {event}", deadline_s=60)
        return started

    def runs(self) -> int:
        """How many runs have a journal."""
        return len(list((self.state / "runs").glob("*/events.jsonl")))


def environment() -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": "0", "NO_COLOR": "1"}
