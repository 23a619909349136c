"""What runs on a host ends with the channel that it was started through, however that channel ends."""

from __future__ import annotations

import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from fleetdeploy.domain.inventory import Host
from fleetdeploy.errors import DeadlineExceeded, HostError, RemoteCommandFailed, Unreachable
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.fleet import SshFleet
from fleetdeploy.remote.ssh import guard
from tests.fleet.faults.means import held_in_rsync, rounds
from tests.fleet.remote.deploy_user import USER, deploy_user, lab_host, lab_user
from tests.fleet.remote.private_sshd import PrivateSshd
from tests.fleet.remote.staging_files import FILES, version

LONG_S = 600.0
END_S = 30.0
ROOT = Path(__file__).parents[3]
BASE = PurePosixPath("/srv/ends-tests")
CONTROLLER = """
import pickle, sys
from pathlib import Path, PurePosixPath
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.remote.staging_files import FILES, stage_item, version
what, word = sys.argv[1:]
session = SshFleet().session(pickle.load(sys.stdin.buffer))
if what == "copy":
    model = ModelWish("ranker", Path(word), VersionsWish((7,)))
    wish = ServiceWish("ranking", "x:1", Ports(1, 2), "127.0.0.1", (model,), base_dir=PurePosixPath("/srv/ends-tests"))
    session.files(wish).stage(stage_item(version(Path(word).parent, 7, FILES)))
else:
    session.command(["sh", "-c", word], deadline_s=600)
"""
"""A process of its own that reaches a host, which a test can kill."""

Hosts = Callable[[str], Host]


@pytest.fixture(scope="module")
def hosts(lab: Lab) -> Iterator[Hosts]:
    """gpu1 as root, as a plain user, and as a user who becomes root."""
    with deploy_user(lab, ["gpu1"]):
        yield lambda kind: {
            "root": lab_host(lab, "gpu1"),
            "user": lab_host(lab, "gpu1", user=USER),
            "become": lab_user(lab, "gpu1"),
        }[kind]


class Group:
    """A command that starts three processes, of which none reads or writes, and what is left of them on gpu1."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._pids = "/tmp/ends-tests"
        lab.run_on("gpu1", ["rm", "-f", self._pids, f"{self._pids}.new"])

    def script(self, first: str = ":") -> str:
        pids = f"{self._pids}.new"
        return (
            f"{first}; sleep 300 & echo $! >{pids}; sleep 300 & echo $$ $! $PPID >>{pids}; mv {pids} {self._pids}; wait"
        )

    def started(self) -> list[str]:
        found = self._lab.run_on("gpu1", ["cat", self._pids], check=False).stdout.split()
        return [pid for pid in found if self._lives(pid)]

    def await_start(self) -> None:
        wait_until(lambda: len(self.started()) == 4, "the group runs", deadline_s=END_S)

    def await_end(self) -> None:
        wait_until(lambda: not self.started(), "the group has ended", deadline_s=END_S)

    def _lives(self, pid: str) -> bool:
        stat = self._lab.run_on("gpu1", ["cat", f"/proc/{pid}/stat"], check=False).stdout
        return bool(stat) and stat.rpartition(")")[2].split()[0] not in "ZX"


@pytest.fixture
def group(lab: Lab) -> Iterator[Group]:
    made = Group(lab)
    yield made
    for pid in made.started():
        lab.run_on("gpu1", ["kill", "-9", pid], check=False)


@pytest.fixture
def no_own_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's own deadline for a command comes too late to help."""

    def late(argv: Sequence[str], *, mark: str, limit_s: float) -> list[str]:
        return guard.guarded(argv, mark=mark, limit_s=limit_s + LONG_S)

    monkeypatch.setattr("fleetdeploy.remote.ssh.connection.guarded", late)


@contextmanager
def controller(host: Host, what: str, word: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a command or stages a version until it is killed, at the end of the block at the latest."""
    child = subprocess.Popen([sys.executable, "-c", CONTROLLER, what, word], stdin=subprocess.PIPE, cwd=ROOT)
    try:
        assert child.stdin is not None
        pickle.dump(host, child.stdin)
        child.stdin.close()
        yield child
    finally:
        child.kill()
        child.wait(END_S)


@pytest.mark.parametrize("kind", rounds(["become", "root", "user"], in_ci=1))
def test_a_group_ends_with_its_deadline(
    hosts: Hosts, group: Group, fleet: SshFleet, kind: str, no_own_deadline: None
) -> None:
    """When our deadline has come nothing of the command is left, and the connection lives on."""
    link = fleet.session(hosts(kind)).connection
    with pytest.raises(DeadlineExceeded) as late:
        link.run(["sh", "-c", group.script()], deadline_s=3)
    assert late.value.where == "gpu1"
    group.await_end()
    assert link.run(["echo", "on"], deadline_s=20).text == "on\n"


@pytest.mark.parametrize("kind", ["root", "user", "become"])
def test_a_group_ends_when_it_says_too_much(hosts: Hosts, group: Group, fleet: SshFleet, kind: str) -> None:
    """A command whose output is cut off is ended, although it writes no more and its deadline is far."""
    link = fleet.session(hosts(kind)).connection
    with pytest.raises(RemoteCommandFailed, match="more than 1000 bytes"):
        link.run(["sh", "-c", f"{group.script('head -c 5000 /dev/zero >&2')}"], deadline_s=LONG_S, cap_bytes=1000)
    group.await_end()


def test_a_signal_through_the_channel_is_enough_where_sshd_passes_it_on(
    hosts: Hosts, group: Group, fleet: SshFleet, no_own_deadline: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user's own command is ended by what is sent through its channel, without another command."""
    link = fleet.session(hosts("user")).connection
    monkeypatch.setattr(link, "_sweep", lambda _mark: pytest.fail("another command was run"))
    with pytest.raises(DeadlineExceeded):
        link.run(["sh", "-c", group.script("trap : TERM; trap '' HUP")], deadline_s=3)
    group.await_end()


@pytest.mark.parametrize("kind", rounds(["become", "root", "user"], in_ci=1))
def test_a_group_ends_with_its_controller(lab: Lab, hosts: Hosts, group: Group, kind: str) -> None:
    """A controller that is killed outright leaves nothing running behind its connections."""
    with controller(hosts(kind), "run", group.script()) as killed:
        group.await_start()
        killed.kill()
    group.await_end()


@pytest.mark.parametrize("kind", rounds(["become", "root", "user"], in_ci=1))
def test_a_group_ends_on_a_host_without_setpriv(lab: Lab, hosts: Hosts, group: Group, kind: str) -> None:
    """Where the kernel cannot be asked to tell of a parent's death, a long command is watched instead."""
    lab.run_on("gpu1", ["mv", "/usr/bin/setpriv", "/usr/bin/setpriv.away"])
    try:
        with controller(hosts(kind), "run", group.script()) as killed:
            group.await_start()
            killed.kill()
        group.await_end()
    finally:
        lab.run_on("gpu1", ["mv", "/usr/bin/setpriv.away", "/usr/bin/setpriv"])


@pytest.mark.fault("F5")
@pytest.mark.parametrize("kind", ["root", "user", "become"])
def test_a_group_ends_with_its_sshd(lab: Lab, hosts: Hosts, group: Group, fleet: SshFleet, kind: str) -> None:
    """When the session's sshd dies the call says that the connection was lost, and the command ends as well."""
    session = fleet.session(hosts(kind))
    caught: list[BaseException] = []

    def call() -> None:
        try:
            session.command(["sh", "-c", group.script()], deadline_s=LONG_S)
        except HostError as error:
            caught.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    group.await_start()
    lab.run_on("gpu1", ["sh", "-c", _KILL_SSHD, "x", group.started()[0]])
    thread.join(END_S)
    group.await_end()
    assert [type(error) for error in caught] == [Unreachable]
    assert session.connection.run(["echo", "on"], deadline_s=20).text == "on\n"


_KILL_SSHD = """
pid=$1
while read -r name </proc/$pid/comm && [ "$name" != sshd ] && [ "$name" != dropbear ]; do
  pid=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$pid/status)
done
[ "$pid" -gt 1 ] && kill -9 "$pid"
"""
"""Ends the nearest sshd above a process."""


def test_what_left_its_session_is_not_ended(sshd: PrivateSshd, fleet: SshFleet, tmp_path: Path) -> None:
    """A daemon that a command has started, and that made a session of its own, stays when the command is ended."""
    link = fleet.session(sshd.host()).connection
    pid = tmp_path / "pid"
    script = f"setsid sh -c 'echo $$ >{pid}; exec sleep 300' </dev/null >/dev/null 2>&1 & head -c 5000 /dev/zero; wait"
    try:
        with pytest.raises(RemoteCommandFailed):
            link.run(["sh", "-c", f"{script}; sleep 300"], deadline_s=LONG_S, cap_bytes=1000)
        wait_until(lambda: pid.exists() and pid.read_text(), "the daemon wrote its pid", deadline_s=END_S)
        assert Path(f"/proc/{pid.read_text().strip()}").exists()
    finally:
        subprocess.run(["kill", "-9", *pid.read_text().split()], check=False)


@pytest.mark.parametrize("kind", rounds(["become", "root"], in_ci=1))
def test_a_copy_ends_with_its_controller(lab: Lab, hosts: Hosts, tmp_path: Path, kind: str) -> None:
    """The host's end of a copy goes when the controller is killed."""
    source = version(tmp_path / "src", 7, FILES)
    try:
        with held_in_rsync(lab, "gpu1") as copy, controller(hosts(kind), "copy", str(source.directory)) as killed:
            copy.wait()
            assert receivers(lab)
            killed.kill()
            wait_until(lambda: not receivers(lab), "the copy has ended", deadline_s=END_S)
    finally:
        lab.run_on("gpu1", ["rm", "-rf", str(BASE)])


def receivers(lab: Lab) -> list[str]:
    """The host's ends of copies."""
    return lab.run_on("gpu1", ["pgrep", "-f", "rsync --server"], check=False).stdout.split()
