"""The scripts that start a command on a host and end what is left of it, under the shells that hosts have."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.ssh.guard import guarded, sweep

DEADLINE_S = 30.0
SHELLS = (["dash"], ["bash", "--posix"], ["busybox", "sh"])
WORDS = ["a b", "$HOME", "it's", "*", "", "x\ny"]
TOOLS = {
    "all": ("timeout", "setpriv", "true", "sleep"),
    "no setpriv": ("timeout", "true", "sleep"),
    "none": (),
}


def run(shell: list[str], argv: list[str], path: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    environment = os.environ if path is None else {"PATH": str(path)}
    words = [str(shutil.which(shell[0])), *shell[1:], *argv[1:]]
    return subprocess.run(words, capture_output=True, timeout=DEADLINE_S, check=False, env=environment, input=b"in")


@pytest.mark.parametrize("tools", TOOLS)
@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
@pytest.mark.parametrize("limit_s", [9, 900], ids=["short", "long"])
def test_a_command_is_what_it_would_be_without(shell: list[str], tools: str, limit_s: int, tmp_path: Path) -> None:
    """Words, input, output and status pass unchanged, whichever tools the host has, and nothing is added."""
    for tool in (*TOOLS[tools], "sh"):
        (tmp_path / tool).symlink_to(str(shutil.which(tool)))
    script = 'printf "<%s>" "$@"; read -r line; printf %s "$line"; echo no >&2; exit 7'
    command = [str(shutil.which("sh")), "-c", script, "x", *WORDS]
    done = run(shell, guarded(command, mark="ab12", limit_s=limit_s), tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (
        7, "".join(f"<{word}>" for word in WORDS).encode() + b"in", b"no\n",
    )  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS, ids=lambda words: words[0])
def test_what_is_marked_is_ended_and_nothing_else(shell: list[str], tmp_path: Path) -> None:
    """Processes of the command end, those that heed no SIGTERM too; what left the session stays, and so do others."""
    script = (
        f"trap '' TERM; sleep 300 & echo $! >>{tmp_path}/pids; setsid sleep 300 & "
        f"echo $! >{tmp_path}/stays; echo $$ >>{tmp_path}/pids; wait; wait"
    )
    marked, other = (
        subprocess.Popen(guarded(["sh", "-c", what], mark=mark, limit_s=300), start_new_session=True)
        for mark, what in (("ab12", script), ("ab13", "exec sleep 300"))
    )
    pids = tmp_path / "pids"
    try:
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2, "it runs", deadline_s=DEADLINE_S)
        stays = (tmp_path / "stays").read_text().strip()
        wait_until(lambda: os.getsid(int(stays)) == int(stays), "it has left the session", deadline_s=DEADLINE_S)
        assert run(shell, sweep("ab12")).returncode == 0
        marked.wait(DEADLINE_S)
        assert not [pid for pid in pids.read_text().split() if Path(f"/proc/{pid}/environ").exists() and lives(pid)]
        assert lives(stays)
        assert other.poll() is None
        assert run(shell, sweep("ab12")).returncode == 0
    finally:
        for process in (marked, other):
            process.kill()
            process.wait(DEADLINE_S)
        for pid in (*pids.read_text().split(), (tmp_path / "stays").read_text().strip()):
            subprocess.run(["kill", "-9", pid], check=False, capture_output=True)


def lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False
