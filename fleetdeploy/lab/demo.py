"""The demo: the main job as an operator does it, each command run as typed, every expectation checked.

It works on a copy of the project's ``inventories/lab``, ``playbooks`` and ``templates`` in a directory of its own, and
edits that copy between deploys as an operator would. Load runs from the first deploy to the end; a request that fails
fails the demo.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fleetdeploy.errors import LabError
from fleetdeploy.lab.fleet import Lab, leftovers
from fleetdeploy.lab.processes import ProcessId
from fleetdeploy.lab.state import LabRecord
from fleetdeploy.lab.waiting import wait_until

NAME = "demo"
INVENTORY = Path("inventories/lab")
SERVICES = INVENTORY / "group_vars/gpu.yml"
MODELS = ("ranker", "embedder")
RANKER = "versions: {}\n        golden: golden/ranker.jsonl"
ACCEPT = "accept_incomplete: true\n        "
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
RATE = 40
"""Requests a second by each protocol: thousands in all, and little enough for two cores that also run the fleet."""


class ExpectationFailed(Exception):
    """Something did not go as it shall; the message says what."""


class _Interrupted(BaseException):
    """SIGINT or SIGTERM arrived."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Demo:
    """One run of the demo."""

    def __init__(self, *, project: Path, hosts: int) -> None:
        self._project = project
        self._hosts = hosts
        self._lab = Lab(NAME)
        self._work = Path()
        self._started = time.monotonic()

    def run(self) -> int:
        """Run it all, clean up whatever happens, and print the last line. Returns the exit status.

        :raises LabError: another demo runs; it is left alone.
        """
        self._refuse_second()
        before = {number: signal.signal(number, _interrupted) for number in _SIGNALS}
        try:
            return self._run()
        except _Interrupted as interrupt:
            left = leftovers(NAME)
            rest = f"left behind: {', '.join(left)}" if left else "its lab and all its files are removed"
            # The command that was running may just have said how to go on with it; here there is nothing to go on with.
            print(f"demo interrupted: {rest}; to see it whole, start it again", flush=True)
            return 128 + interrupt.number
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        report: dict[str, object] = {}
        trouble = ""
        try:
            with ExitStack() as stack:
                self._prepare(stack)
                report = self._story()
        except (ExpectationFailed, LabError) as error:
            trouble = str(error)
        left = leftovers(NAME)
        if left:
            trouble = trouble or f"left behind: {', '.join(left)}"
        if not trouble and (report["failed"] or not report["requests"]):
            trouble = f"{report['failed']} of {report['requests']} requests failed: {report['errors']}"
        if trouble:
            print(f"demo FAILED: {trouble}", flush=True)
            return 1
        print(
            f"demo ok: requests={report['requests']} failed={report['failed']} "
            f"p50={report['p50_ms']}ms p99={report['p99_ms']}ms",
            flush=True,
        )
        return 0

    # The story

    def _story(self) -> dict[str, object]:
        self._say("first deploy: two models on every host")
        self._deploy(expect=0)
        containers = self._containers()
        with self._load() as report:
            self._say("the same again: nothing to do")
            self._expect_no_change()
            self._say("a new version with other answers: hot reload, host by host")
            self._edit(RANKER.format("[1]"), RANKER.format("[2]"))
            self._fleetdeploy("plan", expect=0)
            self._deploy(expect=0)
            if self._containers() != containers:
                raise ExpectationFailed("a reload made new containers")
            self._say("a new image: container replacement, host by host")
            self._edit("image: fleetdeploy/standin:1.0", "image: fleetdeploy/standin:1.1")
            self._deploy(expect=0)
            if set(self._containers().values()) & set(containers.values()):
                raise ExpectationFailed("a new image kept an old container")
            self._broken_version()
            self._fleetdeploy("status", expect=0)
        return json.loads(report.read_text())  # type: ignore[no-any-return]

    def _broken_version(self) -> None:
        self._say("a version without its variables/: AVAILABLE, and wrong; the golden request decides")
        before = self._containers()
        good, broken = RANKER.format("[2]"), f"{ACCEPT}{RANKER.format('[3]')}"
        self._edit(good, broken)
        self._deploy(expect=3)
        self._edit(broken, good)
        if self._containers() != before:
            raise ExpectationFailed("the revert of a reload made new containers")
        self._say("the edit taken back, as in git: what was never proven is removed, and nothing else is done")
        self._deploy(expect=0)
        if self._containers() != before:
            raise ExpectationFailed("to tidy up made new containers")
        self._expect_no_change()

    def _expect_no_change(self) -> None:
        result = self._fleetdeploy("deploy", "--json", expect=0, show=False)
        hosts = json.loads(result)["hosts"]
        changed = [name for name, host in hosts.items() if host["state"] != "ok"]
        if changed:
            raise ExpectationFailed(f"a deploy with nothing to do changed {', '.join(changed)}")

    # The means

    def _refuse_second(self) -> None:
        record = LabRecord.load(self._lab.paths.record)
        owner = ProcessId.of(record.owner_pid) if record and record.owner_pid else None
        if owner and owner.alive() and owner.pid != os.getpid():
            raise LabError(
                f"a demo is running already, in process {owner.pid}",
                hint=f"wait for its end, or end it: kill {owner.pid}; its lab goes with it",
            )

    def _prepare(self, stack: ExitStack) -> None:
        self._say(f"a lab of {self._hosts} GPU hosts and a balancer, on this machine")
        self._lab.down()
        self._work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fdlab-demo-")))
        for folder in ("playbooks", "templates"):
            shutil.copytree(self._project / folder, self._work / folder)
        shutil.copytree(self._project / INVENTORY / "group_vars", self._work / INVENTORY / "group_vars")
        exported = self._lab.paths.cache / "models"
        export = subprocess.Popen(
            [sys.executable, "-m", "fleetdeploy.lab.models", str(exported)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        stack.callback(_end, export)
        stack.callback(self._lab.down)
        self._lab.up(hosts=self._hosts, owner_pid=os.getpid())
        self._lab.write_inventory(self._work / INVENTORY / "hosts.yml")
        self._say("two models exported with TensorFlow, three versions of one of them")
        _, errors = export.communicate(timeout=300)
        if export.returncode:
            raise ExpectationFailed(f"the models could not be exported: {errors[-2000:]}")
        for folder in ("models", "golden"):
            shutil.copytree(exported / folder, self._work / INVENTORY / folder)

    @contextmanager
    def _load(self) -> Iterator[Path]:
        """Steady requests through the balancer; yields where the report is once the block has ended."""
        report = self._work / "load.json"
        balancer = self._lab.hosts["lb"].address
        argv = [*self._lab.nsenter_argv(), sys.executable, "-m", "fleetdeploy.lab.load", "--report", str(report)]
        argv += ["--grpc", f"{balancer}:8500", "--rest", f"{balancer}:8501", "--rate", str(RATE)]
        for model in MODELS:
            argv += ["--model", model, "--golden", str(self._work / INVENTORY / f"golden/{model}.jsonl")]
        self._say(f"steady load through HAProxy from here to the end: {RATE} gRPC and {RATE} REST requests a second")
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=None)
        try:
            wait_until(report.exists, "the load generator reports", deadline_s=30)
            yield report
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def _deploy(self, *, expect: int) -> None:
        self._fleetdeploy("deploy", expect=expect)

    def _fleetdeploy(self, *words: str, expect: int, show: bool = True) -> str:
        argv = [*words, "-i", str(INVENTORY)]
        print(f"$ fleetdeploy {' '.join(argv)}", flush=True)
        result = subprocess.run(
            [sys.executable, "-m", "fleetdeploy", *argv, "--state-dir", str(self._work / "state")]
            if words[0] == "deploy"
            else [sys.executable, "-m", "fleetdeploy", *argv],
            cwd=self._work, stdout=subprocess.PIPE, stderr=None, text=True, timeout=300, check=False,
        )  # fmt: skip
        if show and result.stdout:
            print(result.stdout, end="", flush=True)
        if result.returncode != expect:
            raise ExpectationFailed(f"`fleetdeploy {' '.join(argv)}` ended with {result.returncode}, not {expect}")
        return result.stdout

    def _edit(self, before: str, after: str) -> None:
        """Change the one place of the services file that reads ``before``."""
        path = self._work / SERVICES
        text = path.read_text(encoding="utf-8")
        if text.count(before) != 1:
            raise ExpectationFailed(f"{SERVICES} does not have {before!r} exactly once")
        path.write_text(text.replace(before, after), encoding="utf-8")

    def _containers(self) -> dict[str, str]:
        """The id of each host's serving container."""
        argv = ["docker", "ps", "--quiet", "--no-trunc", "--filter", "label=fleetdeploy.service"]
        names = [name for name, host in self._lab.hosts.items() if host.role == "gpu"]
        return {name: self._lab.ssh(name, argv).stdout.strip() for name in names}

    def _say(self, text: str) -> None:
        print(f"\n== {time.monotonic() - self._started:5.1f} s  {text}", flush=True)


def _interrupted(number: int, _frame: object) -> None:
    # What follows is the removal of the lab. It has deadlines of its own, and a second signal must not cut it short.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise _Interrupted(number)


def _end(process: subprocess.Popen[str]) -> None:
    """End the export, giving it time to remove its own files."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
