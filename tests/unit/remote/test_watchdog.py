"""The verbs of ``watchdog.sh``, run by this machine's own shells in a directory of the test, with a Docker of files."""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any, cast

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.domain.observed import Release
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish, spec_hash
from fleetdeploy.domain.watch import Watch, WatchState
from fleetdeploy.errors import DeadlineExceeded, HostError, LeaseLost, RemoteCommandFailed, Unreachable
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


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    """Answers as TensorFlow Serving does, with what stands in ``states``."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            states = cast("Any", self.server).states
            rows = [f'{{\n   "version": "{number}",\n   "state": "{state}"\n  }}' for number, state in states.items()]
            body = ('{\n "model_version_status": [\n  ' + ",\n".join(rows) + "\n ]\n}\n").encode()
            self.send_response(200 if self.path == "/v1/models/ranker" else 404)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Silent."""

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    cast("Any", made).states = {"1": "AVAILABLE", "2": "AVAILABLE", "3": "END"}
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture(params=SHELLS, ids=lambda argv: argv[0])
def machine(request: pytest.FixtureRequest, tmp_path: Path, server: ThreadingHTTPServer) -> Iterator[Machine]:
    made = Machine(tmp_path / f"host-{secrets.token_hex(4)}", request.param, server.server_port)
    yield made
    for pid in made.guards():
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
def one(tmp_path: Path, server: ThreadingHTTPServer) -> Iterator[Machine]:
    """A machine with this machine's ``sh``."""
    made = Machine(tmp_path / "host", ("/bin/sh",), server.server_port)
    yield made
    for pid in made.guards():
        os.kill(pid, signal.SIGKILL)


def held_by(pid: int) -> set[str]:
    found = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            found.add(str(path.readlink()))
    return found


def test_nobody_confirms_and_the_container_that_was_kept_comes_back(machine: Machine) -> None:
    """When its time is over the host has the configuration, the container and the record of before, and says so."""
    (machine.containers / "fleetdeploy-ranking").rename(machine.containers / "fleetdeploy-ranking.previous")
    machine.container("fleetdeploy-ranking", "another")
    machine.arm(after_s=1)
    assert machine.verdict() == Watch(WatchState.RESTORED, RUN, NEW, "nobody confirmed it within 1 s")
    assert machine.config() == "old\n\nend"
    assert machine.runs() == {"fleetdeploy-ranking": "yes"}
    assert machine.spec_of("fleetdeploy-ranking") == machine.spec
    assert (machine.service / "releases/current").read_text() == f"{OLD}\n"
    machine.none_left()
    assert machine.kept() == ["verdict"]
    log = (machine.service / "audit.log").read_text()
    assert f"watchdog of run {RUN} over release {NEW}: restored" in log


def test_after_a_reload_the_process_is_started_anew(machine: Machine) -> None:
    """The container that runs the recorded spec stays, and reads the configuration of before."""
    machine.arm(after_s=1)
    assert machine.verdict().state is WatchState.RESTORED
    assert machine.runs() == {"fleetdeploy-ranking": "anew"}
    assert machine.config() == "old\n\nend"


def test_what_is_confirmed_stays(machine: Machine) -> None:
    """A confirm ends what counts down, changes nothing else, and may be said again when its answer was lost."""
    machine.arm(after_s=600)
    assert len(machine.guards()) == 1
    machine.lose = 1
    machine.dog.confirm(run=RUN, deadline_s=30)
    assert machine.connections == 2
    machine.none_left()
    assert (machine.verdict().state, machine.config()) == (WatchState.CONFIRMED, "new\n")
    assert machine.kept() == ["verdict"]
    assert machine.dog.disarm() == machine.verdict()


def test_what_is_disarmed_is_as_if_it_had_never_been(machine: Machine) -> None:
    """After a disarm nothing counts down, no verdict is left, and another disarm has nothing to do."""
    machine.arm(after_s=600)
    assert machine.dog.disarm() is None
    machine.none_left()
    assert machine.kept() == []
    assert machine.dog.disarm() is None
    with pytest.raises(HostError, match="came too late to be confirmed: the host knows of no watchdog"):
        machine.dog.confirm(run=RUN, deadline_s=5)


def test_it_survives_the_end_of_the_command_that_started_it(machine: Machine) -> None:
    """What counts down has a session and a group of its own, no mark of the command, and none of its descriptors."""
    machine.environment["FLEETDEPLOY_COMMAND"] = "mark.1"
    machine.arm(after_s=600)
    (guard,) = machine.guards()
    _, _, group, session, *_ = Path(f"/proc/{guard}/stat").read_text().rpartition(")")[2].split()
    assert (group, session) == (str(guard), str(guard))
    assert b"FLEETDEPLOY_COMMAND" not in Path(f"/proc/{guard}/environ").read_bytes()
    mine = {"/dev/null", f"{machine.service}/watchdog/guard.sh"}
    # Besides those, at times one end of a pipe to a command of its own.
    wait_until(lambda: held_by(guard) <= mine, "it holds nothing of ours", deadline_s=DEADLINE_S)
    os.kill(guard, signal.SIGHUP)
    assert machine.guards() == [guard]


def test_a_confirm_of_another_run_is_none(one: Machine) -> None:
    """Only the run that armed it can confirm."""
    one.arm(after_s=600)
    with pytest.raises(HostError, match="came too late"):
        one.dog.confirm(run="another", deadline_s=5)
    assert "armed" in one.kept()


def test_a_confirm_that_comes_too_late_says_so(one: Machine) -> None:
    """Once the host has gone back a confirm fails with the host's own verdict, and changes nothing."""
    one.arm(after_s=1)
    assert one.verdict().state is WatchState.RESTORED
    with pytest.raises(HostError, match=rf"its watchdog took release {NEW} of run {RUN} back: nobody confirmed"):
        one.dog.confirm(run=RUN, deadline_s=5)
    assert one.verdict().state is WatchState.RESTORED
    found = one.dog.disarm()
    assert found is not None
    assert found.state is WatchState.RESTORED


def test_a_host_that_lets_nobody_in_is_not_confirmed(one: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A confirm connects anew until its time is over, then fails; the watchdog goes on counting."""
    monkeypatch.setattr(watchdog, "TRY_AGAIN_S", 0.1)
    one.arm(after_s=600)
    one.reachable = False
    with pytest.raises(DeadlineExceeded, match="could not be confirmed over a new connection: no route to host"):
        one.dog.confirm(run=RUN, deadline_s=0.5)
    assert one.connections > 1
    one.reachable = True
    assert "armed" in one.kept()
    assert len(one.guards()) == 1


def test_a_disarm_waits_for_one_that_goes_back_already(one: Machine, server: ThreadingHTTPServer) -> None:
    """Two never go back at once: who comes while the watchdog is at it gets its verdict."""
    cast("Any", server).states = {"1": "AVAILABLE", "2": "LOADING"}
    one.arm(after_s=1)
    wait_until((one.containers / "log").exists, "it is at it", deadline_s=DEADLINE_S)
    found: list[Watch | None] = []

    def ask() -> None:
        found.append(one.dog.disarm())

    asking = threading.Thread(target=ask)
    asking.start()
    with pytest.raises(HostError, match="takes the release back now"):
        one.dog.confirm(run=RUN, deadline_s=5)
    assert asking.is_alive()
    cast("Any", server).states = {"1": "AVAILABLE", "2": "AVAILABLE"}
    asking.join(timeout=DEADLINE_S)
    assert [watch and watch.state for watch in found] == [WatchState.RESTORED]


@pytest.mark.parametrize("spoil", ["no docker", "no container", "start fails", "not served", "of somebody else"])
def test_what_cannot_be_restored_is_told(
    one: Machine, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch, spoil: str
) -> None:
    """A watchdog that does not get the release back gives up at its deadline, with the reason in its verdict."""
    monkeypatch.setattr(watchdog, "RESTORE_S", 2.0)
    reason = "Cannot connect to the Docker daemon"
    if spoil == "no docker":
        (one.containers / "broken").touch()
    elif spoil == "no container":
        (one.containers / "fleetdeploy-ranking/labels").write_text("ranking|another\n")
        reason = f"the container of release {OLD} is no longer on the host"
    elif spoil == "start fails":
        (one.containers / "fails").touch()
        reason = "docker restart: no such device"
    elif spoil == "not served":
        cast("Any", server).states = {"1": "AVAILABLE", "2": "END"}
        reason = "ranker 2 was not AVAILABLE again within 2 s"
    else:
        (one.containers / "fleetdeploy-ranking/labels").write_text(f"|{one.spec}\n")
        reason = "the container fleetdeploy-ranking is not the service's"
    one.arm(after_s=1)
    found = one.verdict()
    assert found.state is WatchState.FAILED
    assert reason in found.reason
    assert f"could not take release {NEW} of run {RUN} back: " in found.told
    if spoil == "of somebody else":
        assert one.runs() == {"fleetdeploy-ranking": "yes"}


@pytest.mark.parametrize("killed_at", ["inspect", "stop", "rm", "rename", "start"])
def test_one_that_is_killed_at_it_has_failed_and_may_be_done_again(one: Machine, killed_at: str) -> None:
    """Wherever it ends, who disarms hears that it failed, and to go back once more from the beginning does it."""
    (one.containers / "fleetdeploy-ranking").rename(one.containers / "fleetdeploy-ranking.previous")
    one.container("fleetdeploy-ranking", "another")
    killing = DOCKER.replace(
        "case $1 in", f'[ "$1" != {killed_at} ] || kill -s KILL -- "-$(cut -d" " -f2 ../pid)"\ncase $1 in'
    )
    one.program("docker", killing)
    one.arm(after_s=1)
    (guard,) = one.guards()
    (one.home / "pid").write_text(f"x {guard}\n")
    one.none_left()
    found = one.dog.disarm()
    assert found == Watch(WatchState.FAILED, RUN, NEW, "it was ended while it went back")
    one.program("docker", DOCKER)
    one.arm(after_s=1)
    assert one.verdict().state is WatchState.RESTORED
    assert one.runs()["fleetdeploy-ranking"] in {"yes", "anew"}
    assert one.spec_of("fleetdeploy-ranking") == one.spec


def test_a_new_arming_ends_the_one_before(one: Machine) -> None:
    """One service has one watchdog: what counted down before is ended, and its verdict is forgotten."""
    one.arm(after_s=600)
    (before,) = one.guards()
    one.arm(after_s=600, run="20260201T000000Z-0002")
    wait_until(lambda: len(one.guards()) == 1 and one.guards() != [before], "only the new one", deadline_s=DEADLINE_S)
    with pytest.raises(HostError, match="came too late"):
        one.dog.confirm(run=RUN, deadline_s=5)
    one.dog.confirm(run="20260201T000000Z-0002", deadline_s=5)


def test_a_host_without_setsid_and_systemd_is_refused(one: Machine) -> None:
    """What would end with its command must not pass for a watchdog: then nothing is armed, and the error says why."""
    for path in Path("/usr/bin").iterdir():
        if (
            path.name != "setsid"
            and not path.name.startswith("systemd")
            and not (one.home / "bin" / path.name).exists()
        ):
            (one.home / "bin" / path.name).symlink_to(path)
    one.environment["PATH"] = str(one.home / "bin")
    with pytest.raises(RemoteCommandFailed, match="neither systemd nor setsid on the host"):
        one.arm(after_s=600)


def test_half_of_what_it_needs_arms_nothing(one: Machine) -> None:
    """A link that breaks while the release before travels leaves no watchdog that would restore half of it."""

    class Short(Connected):
        def script(self, text: str, *args: str, stdin: bytes = b"", deadline_s: float) -> CommandResult:
            return super().script(text, *args, stdin=stdin[:-3], deadline_s=deadline_s)

    dog = RemoteWatchdog(cast("Any", Short(one)), one.wish)
    with pytest.raises(RemoteCommandFailed, match=r"only \d+ of \d+ bytes arrived"):
        dog.arm(one.release, run=RUN, release=NEW, after_s=600)
    assert "armed" not in one.kept()
    assert one.guards() == []


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


def test_it_takes_the_lease_before_it_goes_back(machine: Machine) -> None:
    """A controller that comes back with the number of before changes nothing more, and is told why."""
    machine.token = lease(machine, RUN)
    machine.arm(after_s=1)
    assert machine.verdict().state is WatchState.RESTORED
    with pytest.raises(LeaseLost, match=f"the host's watchdog broke the lease: release {NEW} went back"):
        machine.arm(after_s=600)
    assert int((machine.service / "lock/fence").read_text()) == int(machine.token[1]) + 1
    found = machine.dog.disarm()
    assert found is not None
    assert found.state is WatchState.RESTORED, "to read a verdict takes no lease"


def test_who_has_no_lease_neither_confirms_nor_disarms(one: Machine) -> None:
    """While another run holds the lease, what is armed stays armed for it to take over."""
    one.token = lease(one, RUN)
    one.arm(after_s=600)
    mine, one.token = one.token, ("another", "7")
    with pytest.raises(LeaseLost, match=f"run {RUN} of user@machine took over"):
        one.dog.disarm()
    with pytest.raises(LeaseLost):
        one.dog.confirm(run=RUN, deadline_s=5)
    assert "armed" in one.kept()
    one.token = mine
    one.dog.confirm(run=RUN, deadline_s=5)


def test_the_lease_of_a_newcomer_is_left_alone(one: Machine) -> None:
    """A run that has taken the lease over changes nothing before it has disarmed; it keeps its lease."""
    one.token = UNLEASED
    one.arm(after_s=1)
    newcomer = lease(one, "20260201T000000Z-0002")
    assert one.verdict().state is WatchState.RESTORED
    one.token = newcomer
    one.arm(after_s=600)
    assert one.dog.disarm() is None


@pytest.mark.parametrize(
    ("line", "state", "reason"),
    [
        (f"armed {RUN} {NEW} 2026-01-31T23:59:00Z", WatchState.ARMED, ""),
        (f"armed {RUN} {NEW} T the host was rebooted since", WatchState.ARMED, "the host was rebooted since"),
        (f"firing {RUN} {NEW} 2026-01-31T23:59:00Z", WatchState.ARMED, "it takes the release back now"),
        (f"failed {RUN} {NEW} T Docker:\x1b[31m no", WatchState.FAILED, "Docker:[31m no"),
    ],
)
def test_a_line_is_read(line: str, state: WatchState, reason: str) -> None:
    """Every word that a host leaves behind is understood, and safe to print."""
    assert watch_from_line(line) == Watch(state, RUN, NEW, reason)


@pytest.mark.parametrize("line", ["", "armed", "armed x", "gone RUN RELEASE T"])
def test_a_line_that_means_nothing_is_refused(line: str) -> None:
    """What is no verdict is an error, never a state."""
    with pytest.raises(ValueError, match="not"):
        watch_from_line(line)


def test_what_docker_warns_of_is_no_answer(machine: Machine) -> None:
    """A client that complains on stderr and answers all the same is understood."""
    warning = '#!/bin/sh\necho "WARNING: Error loading config file: permission denied" >&2\n'
    machine.program("docker", warning + DOCKER.split("\n", 1)[1])
    machine.arm(after_s=1)
    assert machine.verdict().state is WatchState.RESTORED
    assert machine.runs() == {"fleetdeploy-ranking": "anew"}


def test_a_timer_says_who_it_is_before_it_fires(one: Machine) -> None:
    """From the moment that nobody can disarm it any more, whoever asks finds it alive and awaits its verdict."""
    one.arm(after_s=600)
    kept = one.service / "watchdog"
    for guard in one.guards():
        os.kill(guard, signal.SIGKILL)
    one.none_left()
    (kept / "by").write_text("unit fleetdeploy-watch-ranking-x\n")
    # It stands still at its first rename of what is armed, and again after it.
    one.program(
        "mv", f'#!/bin/sh\n/usr/bin/mv "$@" || exit 1\ncase $1 in */armed) cp {kept}/by {one.home}/by-then ;; esac\n'
    )
    token = next(line.split()[1] for line in (kept / "armed").read_text().splitlines() if line.startswith("token"))
    fire = [*one.shell, str(kept / "guard.sh"), "fire", str(one.service), RUN, "0", token]
    with subprocess.Popen(fire, env=one.environment, start_new_session=True) as timer:
        assert one.verdict().state is WatchState.RESTORED
    assert (one.home / "by-then").read_text().startswith(f"process {timer.pid} ")


def test_a_short_time_may_be_over_before_arming_looked(one: Machine) -> None:
    """What fired and ended before the command that armed it looked again did start: it is no failure to arm."""
    verdict = one.service / "watchdog/verdict"
    # 0.1 is how long arming waits before it looks again.
    waits = f"until [ -e {verdict} ]; do /bin/sleep 0.05; done"
    one.program("sleep", f'#!/bin/sh\ncase $1 in 0.1) {waits} ;; *) exec /bin/sleep "$1" ;; esac\n')
    one.program("setsid", '#!/bin/sh\n/bin/sleep 0.3\nexec /usr/bin/setsid "$@"\n')
    one.arm(after_s=1)
    assert one.verdict().state is WatchState.RESTORED
