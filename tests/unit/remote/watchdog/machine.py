"""A host in a directory: this machine's own shells run the verbs of ``watchdog.sh`` there, with a Docker of files."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish, spec_hash
from fleetdeploy.domain.watch import Watch
from fleetdeploy.errors import Unreachable
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.directory import watchdog
from fleetdeploy.remote.directory.verbs import UNLEASED, script_of
from fleetdeploy.remote.directory.watchdog import RemoteWatchdog, watch_from_line
from fleetdeploy.remote.ssh.channels import CommandResult

SHELLS = [argv for argv in (("dash",), ("busybox", "sh"), ("bash", "--posix")) if Path("/usr/bin", argv[0]).exists()]
RUN, NEW, OLD = "20260131T235900Z-0001", "20260131T235900Z-new", "20260130T235900Z-old"
DEADLINE_S = 60.0


# A container is a directory: its labels and whether it runs. Every command leaves a line in the log.
DOCKER = """#!/bin/sh
cd "$CONTAINERS" || exit 1
printf '%s\\n' "$*" >>log
[ ! -e broken ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
case $1 in
  inspect)
    for last; do :; done
    [ -d "$last" ] || { echo "Error: No such container: $last" >&2; exit 1; }
    cat "$last/labels"
    ;;
  stop) echo no >"$4/running" ;;
  rm) rm -r "$3" ;;
  rename) mv "$2" "$3" ;;
  start) [ ! -e fails ] || { echo "no such device" >&2; exit 1; }; echo yes >"$2/running" ;;
  restart) [ ! -e fails ] || { echo "no such device" >&2; exit 1; }; echo anew >"$4/running" ;;
esac
"""


class Machine:
    """A host in a directory: a service of ours, containers, and a server whose word is ``answer``."""

    def __init__(self, home: Path, shell: tuple[str, ...], port: int) -> None:
        self.home, self.shell = home, shell
        self.service, self.containers = home / "ranking", home / "containers"
        self.containers.mkdir(parents=True)
        programs = home / "bin"
        programs.mkdir()
        self.program("docker", DOCKER)
        # What is started as `sh` is the same shell.
        (programs / "sh").write_text(f'#!/bin/sh\nexec {" ".join(shell)} "$@"\n')
        (programs / "sh").chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CONTAINERS": str(self.containers),
        }
        self.token = UNLEASED
        self.release = Release(
            id=OLD, service="ranking", run="old", models={"ranker": (1, 2)}, labels={}, config_text="old\n\nend",
            container={"ports": {"8501": ["127.0.0.1", port]}},
        )  # fmt: skip
        self.wish = ServiceWish(
            "ranking", "image:1", Ports(1, 2), "127.0.0.1", (ModelWish("ranker", home, VersionsWish((7,))),),
            base_dir=PurePosixPath(home),
        )  # fmt: skip
        self.reachable = True
        self.connections = 0
        self.lose = 0
        self.host = Host("gpu1", Connection("gpu1"))
        for part in ("config", "releases"):
            (self.service / part).mkdir(parents=True)
        (self.service / ".fleetdeploy").touch()
        (self.service / "config/model.config").write_text("new\n")
        (self.service / f"releases/{OLD}.json").write_text("{}")
        (self.service / "releases/current").write_text(f"{NEW}\n")
        self.container("fleetdeploy-ranking", self.spec)

    def program(self, name: str, text: str) -> None:
        path = self.home / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    @property
    def spec(self) -> str:
        return spec_hash(self.release.container)

    def container(self, name: str, spec: str, *, service: str = "ranking") -> None:
        (self.containers / name).mkdir()
        (self.containers / name / "labels").write_text(f"{service}|{spec}\n")
        (self.containers / name / "running").write_text("yes\n")

    def runs(self) -> dict[str, str]:
        return {path.parent.name: path.read_text().strip() for path in self.containers.glob("*/running")}

    def spec_of(self, name: str) -> str:
        return (self.containers / name / "labels").read_text().strip().partition("|")[2]

    @property
    def connection(self) -> Any:
        return Connected(self)

    @property
    def dog(self) -> RemoteWatchdog:
        return RemoteWatchdog(self.connection, self.wish, token=lambda _: self.token)

    def arm(self, *, after_s: float, run: str = RUN) -> None:
        self.dog.arm(self.release, run=run, release=NEW, after_s=after_s)

    def kept(self) -> list[str]:
        """The files of the watchdog, without those that only carry it."""
        given = {"guard.sh", "lease.sh", "previous.config"}
        return sorted({path.name for path in (self.service / "watchdog").iterdir()} - given)

    def verdict(self) -> Watch:
        """Awaits it."""
        place = self.service / "watchdog/verdict"
        wait_until(
            lambda: place.exists() and not (self.service / "watchdog/firing").exists(),
            "a verdict",
            deadline_s=DEADLINE_S,
        )
        return watch_from_line(place.read_text().strip())

    def config(self) -> str:
        return (self.service / "config/model.config").read_text()

    def guards(self) -> list[int]:
        """What counts down or goes back here: leaders of a session, by their command line."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode("utf-8", "replace").split("\0")
                if os.getsid(int(path.parent.name)) != int(path.parent.name):
                    continue  # a command substitution of one
            except OSError:
                continue
            if f"{self.service}/watchdog/guard.sh" in words:
                found.append(int(path.parent.name))
        return found

    def none_left(self) -> None:
        wait_until(lambda: self.guards() == [], "nothing counts down any longer", deadline_s=DEADLINE_S)


class Connected:
    """As much of an SSH connection as a watchdog uses; commands run here, in a process group that ends with them."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.host = machine, machine.host

    def another(self, *, connect_timeout_s: float) -> Connected:
        assert 0 < connect_timeout_s <= watchdog.CALL_S
        self.machine.connections += 1
        return Connected(self.machine)

    def close(self) -> None:
        """Nothing is open."""

    def script(self, text: str, *args: str, stdin: bytes = b"", deadline_s: float) -> CommandResult:
        if not self.machine.reachable:
            raise Unreachable("no route to host", where="gpu1")
        done = subprocess.Popen(
            [*self.machine.shell, "-c", text, "fleetdeploy", *args],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.machine.environment,
            start_new_session=True,
        )  # fmt: skip
        out, errors = done.communicate(stdin, timeout=deadline_s)
        # As a connection that ends: everything that is still in the command's group goes.
        try:
            os.killpg(done.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        if self.machine.lose:
            self.machine.lose -= 1
            raise Unreachable("the connection was lost while a command ran", where="gpu1")
        return CommandResult(done.returncode, b"welcome\n" + out, errors)


def lease(one: Machine, run: str) -> tuple[str, str]:
    """Take the service's lease; the token of who has it."""
    nonce = secrets.token_hex(4)
    words = ["take", nonce, run, "user@machine", "-", "600", "-", str(one.service), "0"]
    done = subprocess.run(
        [*one.shell, "-c", script_of("lease.sh"), "fleetdeploy", *words],
        env=one.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = re.search(rf"{nonce} 0 taken (\d+)", done.stdout)
    assert found
    return run, found[1]


def held_by(pid: int) -> set[str]:
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(str(path.readlink()))
    return found
