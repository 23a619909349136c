"""`sync` started by a real cron against real hosts."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fleetdeploy.lab.processes import log_tail
from fleetdeploy.lab.waiting import wait_until
from tests.fleet.load import steady_load
from tests.fleet.project import Project, environment

MINUTES_S = 150.0
"""Cron looks once a minute, and a first deploy takes its time."""


@contextmanager
def crond(project: Project, lines: str) -> Iterator[Path]:
    """A cron with these lines; the file is its log, in which the jobs' output stands as well."""
    spool, log = project.root / "spool", project.root / "cron.log"
    spool.mkdir()
    (spool / "root").write_text(lines)
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["busybox", "crond", "-f", "-l", "0", "-L", "/dev/stderr", "-c", str(spool)],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env={**environment(), "XDG_STATE_HOME": str(project.root / "home")},
        )  # fmt: skip
    try:
        yield log
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_cron_brings_the_fleet_to_what_is_wanted(project: Project) -> None:
    """The printed line, taken as it is: the fleet converges, the change is in the mail, and the next run has none."""
    words = ("sync", "playbooks/at_once.yml", "--textfile", str(project.root / "fd.prom"))
    lines = project.run(*words, "--print-unit", "cron", "--every", "1m").stdout
    mail = project.root / "mail"
    lines = "".join(f"{line} >>{mail} 2>&1\n" if line.startswith("*") else "" for line in lines.splitlines())
    assert lines.count("\n") == 1
    metrics = project.root / "fd.prom"
    with crond(project, lines) as log:
        wait_until(
            metrics.exists,
            "cron has run sync to its end",
            deadline_s=MINUTES_S,
            on_timeout=lambda: log_tail(log) + (mail.read_text() if mail.exists() else ""),
        )
    assert mail.read_text().rstrip().splitlines()[-1] == "OK: 3 of 3 hosts changed", mail.read_text()
    assert 'fleetdeploy_last_run_exit_code{command="sync"' in metrics.read_text()
    with steady_load(project):
        again = project.run(*words)
    assert (again.stdout, again.stderr) == ("", "")
