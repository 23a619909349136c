"""Three runs on real hosts, as an operator types them: a first deploy, a rolling update, and one that is taken back."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from recording import Holds, Recording, moments
from report.terminal.screen import Screen, settings

from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.models import BROKEN
from tests.fleet.faults.test_slow import slow
from tests.fleet.load import load
from tests.fleet.project import INVENTORY, PLAYBOOK, Project

COMMAND = "fleetdeploy deploy -i inventories/lab"
DIRECTORY, MACHINE, USER = "/srv/models", "deploy1", "ops"
"""Where the operator seems to be, on which machine, and who that is."""
COPY_BYTES, RATE = 64 * 1024**2, "120mbit"
"""Of each version, over a link of that rate: a copy of some seconds."""
PROMPT = "$ "


def record(work: Path) -> Iterator[Recording]:
    """One after the other on the same three hosts."""
    lab = Lab("recordings")
    lab.up(hosts=3, owner_pid=os.getpid())
    try:
        project = _project(lab, work)
        with _shell(work) as screen, ExitStack() as links:
            for name in ("gpu1", "gpu2", "gpu3"):
                links.enter_context(slow(lab, name, RATE))
            yield _recorded(
                screen, project, "first-deploy", "The first deploy of a model to three new hosts.",
                [
                    ("While the model is copied to all three", _copies),
                    ("The first host starts its server", lambda rows: _row(rows, "gpu1  activate")),
                    ("The second host proves what it serves", lambda rows: _row(rows, "gpu2  verify")),
                ],
            )  # fmt: skip
            with load(project):
                project.want(version=2)
                yield _recorded(
                    screen, project, "rolling-update",
                    "Version 2 of the model, host by host, while requests come in through the balancer.",
                    [
                        ("Version 2 is copied while version 1 serves", _copies),
                        ("The first host proves version 2, two others serve", lambda rows: _row(rows, "gpu1  verify")),
                        ("Between two waves", lambda rows: _row(rows, "soaking") and _row(rows, "gpu1  done")),
                        ("The last host", lambda rows: _row(rows, "gpu3  verify")),
                    ],
                )  # fmt: skip
                project.want(version=BROKEN[1])
                yield _recorded(
                    screen, project, "failure-with-revert",
                    "Version 3 loads and fails every request. The first host finds out and goes back, alone.",
                    [
                        ("Version 3 is copied while version 2 serves", _copies),
                        ("The first host goes back", lambda rows: _row(rows, "↺ gpu1") and _row(rows, "FAILED")),
                    ],
                )  # fmt: skip
    finally:
        lab.down()


def _project(lab: Lab, work: Path) -> Project:
    """Its copies take a while, and so do its waves."""
    project = Project(lab, work, state=work / "state" / "fleetdeploy")
    project.edit("soak: 0s", "soak: 4s", file=PLAYBOOK)
    project.edit("min_healthy_time: 0s", "min_healthy_time: 3s", file=PLAYBOOK)
    for number in (1, 2, 3):
        extra = work / INVENTORY / f"models/ranker/{number}/assets.extra"
        extra.mkdir(exist_ok=True)
        (extra / "embeddings").write_bytes(os.urandom(COPY_BYTES))
    return project


@contextmanager
def _shell(work: Path) -> Iterator[Screen]:
    """A shell in the project, which stands elsewhere and on another machine than it does: what is recorded names both.
    Only the shell sees it so.
    """
    inside = f"""
        hostname {MACHINE} && mount -t tmpfs none /srv && mkdir {DIRECTORY} && mount --bind "$PROJECT" {DIRECTORY} &&
        cd {DIRECTORY} && stty -echoctl && exec sh -i
    """
    variables = {
        "PROJECT": str(work), "PS1": PROMPT, "USER": USER, "LOGNAME": USER, "XDG_STATE_HOME": f"{DIRECTORY}/state",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }  # fmt: skip
    given = " ".join(f"{name}={shlex.quote(value)}" for name, value in variables.items())
    screen = Screen(work / "tmux")
    screen.open(f"{settings()} {given} unshare --mount --uts --propagation private sh -c {shlex.quote(inside)}")
    try:
        screen.when(lambda rows: rows == [PROMPT.rstrip()])
        yield screen
    finally:
        screen.close()


def _recorded(
    screen: Screen, project: Project, name: str, about: str, wanted: Sequence[tuple[str, Holds]]
) -> Recording:
    screen.tmux("send-keys", "clear", "Enter")
    screen.when(lambda rows: rows == [PROMPT.rstrip()])
    screen.tmux("clear-history")
    screen.tmux("send-keys", COMMAND, "Enter")
    found = list(moments(screen, wanted, over=_is_over, last="The end"))
    return Recording(name, about, found, _report(project))


def _copies(rows: list[str]) -> bool:
    """Whether at least two copies are far enough to tell how long they go on."""
    return sum("left" in row for row in rows) > 1


def _is_over(rows: list[str]) -> bool:
    return rows[-1] == PROMPT.rstrip() and len(rows) > 1


def _row(rows: list[str], *words: str) -> bool:
    """Whether a row has all of these."""
    return any(all(word in row for word in words) for row in rows)


def _report(project: Project) -> str:
    """Of the newest run."""
    argv = [sys.executable, "-m", "fleetdeploy", "runs", "report", "--state-dir", str(project.state), "-o", "-"]
    return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
