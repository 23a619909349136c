"""Hosts on which the SSH user is nobody in particular and sudo makes root of it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from importlib import resources
from pathlib import Path, PurePosixPath

import pytest

from fleetdeploy.domain.inventory import BalancerWish, Host
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.errors import BalancerFailed, RemoteCommandFailed
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.lab.waiting import wait_until
from fleetdeploy.remote.fleet import SshFleet
from tests.fleet.load import load, nothing_failed
from tests.fleet.onlooker import SshdLog, machines, on, serves
from tests.fleet.project import DIRECTORY, Project
from tests.fleet.remote.deploy_user import ANYTHING, USER, deploy_user, lab_host, lab_user, rule
from tests.fleet.remote.staging_files import FILES, stage_item, version

BASE = PurePosixPath("/srv/become-tests")
LINE = f"{USER} ALL=(root) NOPASSWD: ALL"


@pytest.fixture(scope="module")
def lab_with_user(lab: Lab) -> Iterator[Lab]:
    """The lab, with the user on every host."""
    with deploy_user(lab, list(lab.hosts)):
        yield lab


@pytest.fixture
def user_host(lab_with_user: Lab) -> Iterator[Host]:
    """gpu1 as the user sees it; its sudo rule is whole again afterwards, and its files are gone."""
    yield lab_user(lab_with_user, "gpu1")
    rule(lab_with_user, "gpu1", ANYTHING)
    lab_with_user.run_on("gpu1", ["rm", "-rf", str(BASE)])


@pytest.fixture
def wish(lab: Lab, tmp_path: Path) -> ServiceWish:
    model = ModelWish("ranker", tmp_path / "src", VersionsWish((7,)))
    return ServiceWish("ranking", lab.images[0], Ports(8500, 8501), "10.77.0.0/16", (model,), base_dir=BASE)


def test_a_deploy_as_a_user_who_becomes_root(lab_with_user: Lab, project: Project) -> None:
    """A user without any right but sudo deploys: files are root's, models are served, traffic goes and comes back."""
    project.edit(
        "    ansible_user: root\n",
        f"    ansible_user: {USER}\n    ansible_become: true\n    ansible_become_method: sudo\n",
        file=Path("inventories/lab/hosts.yml"),
    )
    project.deploy("playbooks/at_once.yml")
    serves(lab_with_user, 1)
    project.run("status", "--exit-code")
    for host in machines(lab_with_user):
        assert set(on(lab_with_user, host, "find", DIRECTORY, "-printf", "%u\n").split()) == {"root"}
    project.want(version=2)
    with load(project) as report:
        project.deploy()
    nothing_failed(report)
    serves(lab_with_user, 2)
    wait_until(lambda: nothing_left(lab_with_user), "no command of ours is left on any host", deadline_s=20)


def nothing_left(lab: Lab) -> bool:
    script = "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    running = "".join(on(lab, host, "sh", "-c", script) for host in lab.hosts)
    assert "sshd" in running
    return "dial-stdio" not in running and "sudo -n" not in running


def test_the_probe_stays_one_command(
    user_host: Host, fleet: SshFleet, wish: ServiceWish, lab: Lab, told_logs: None
) -> None:
    """Asking a host everything costs one command as root, as it does without sudo."""
    session = fleet.session(user_host)
    log = SshdLog(lab, "gpu1")
    seen = session.observe([wish])
    assert isinstance(seen.docker, Present)
    assert log.read().commands == 1


def test_without_become_the_same_user_may_nothing(
    user_host: Host, fleet: SshFleet, wish: ServiceWish, lab: Lab
) -> None:
    """It is sudo that lets the user in: without it neither Docker nor the service's directory can be reached."""
    session = fleet.session(lab_host(lab, "gpu1", user=USER))
    assert not isinstance(session.observe([wish]).docker, Present)
    with pytest.raises(RemoteCommandFailed, match="cannot make"):
        session.files(wish).write_config("text\n")


@pytest.mark.parametrize(
    ("sudoers", "message", "hint"),
    [
        (f"{USER} ALL=(root) ALL", f"sudo asks {USER} for a password", LINE),
        ("", f"sudo asks {USER} for a password", LINE),
        (f"{USER} ALL=(root) NOPASSWD: /usr/bin/id", f"sudo asks {USER} for a password", LINE),
        (f"{USER} ALL=(daemon) NOPASSWD: ALL", f"sudo asks {USER} for a password", LINE),
        (f"{ANYTHING}\nDefaults:{USER} requiretty", "wants a terminal", f"Defaults:{USER} !requiretty"),
    ],
    ids=["password", "no rule", "other command", "not as root", "requiretty"],
)
def test_what_sudo_refuses_is_told(
    sudoers: str, message: str, hint: str, user_host: Host, fleet: SshFleet, wish: ServiceWish, lab: Lab
) -> None:
    """On every path a sudo that refuses is an error at once, with the host and the line its sudoers lacks."""
    rule(lab, "gpu1", sudoers)
    session = fleet.session(user_host)
    with pytest.raises(RemoteCommandFailed, match=message) as refused:
        session.observe([wish])
    assert refused.value.where == "gpu1"
    assert hint in refused.value.hint
    assert "sudo: " in refused.value.detail
    with pytest.raises(RemoteCommandFailed, match=message):
        session.files(wish).write_config("text\n")
    with pytest.raises(RemoteCommandFailed, match=message) as failed:
        session.containers().inspect("fleetdeploy-ranking")
    assert hint in failed.value.hint


def test_a_host_without_sudo_is_told(user_host: Host, fleet: SshFleet, wish: ServiceWish, lab: Lab) -> None:
    """A host on which sudo is not installed says so, and not that a file of ours is missing."""
    lab.run_on("gpu1", ["mv", "/usr/bin/sudo", "/usr/bin/sudo.away"])
    try:
        with pytest.raises(RemoteCommandFailed, match="has no sudo") as refused:
            fleet.session(user_host).observe([wish])
    finally:
        lab.run_on("gpu1", ["mv", "/usr/bin/sudo.away", "/usr/bin/sudo"])
    assert "install sudo" in refused.value.hint


def test_a_rule_for_the_shell_is_enough_to_copy(user_host: Host, fleet: SshFleet, wish: ServiceWish, lab: Lab) -> None:
    """rsync's receiving end is started by the shell that everything is, so no rule has to name it."""
    rule(lab, "gpu1", f"{USER} ALL=(root) NOPASSWD: /bin/sh, /usr/bin/sh")
    fleet.session(user_host).files(wish).stage(stage_item(version(wish.models[0].source, 7, FILES)))
    assert lab.run_on("gpu1", ["cat", f"{wish.directory}/models/ranker/7/saved_model.pb"]).stdout == "graph"


def test_a_commands_own_failure_is_not_sudos(user_host: Host, fleet: SshFleet) -> None:
    """A command that fails with sudo's status and sudo's very words is still a command that failed."""
    link = fleet.session(user_host).connection
    done = link.run(["sh", "-c", "echo sudo: a password is required >&2; exit 1"], deadline_s=20)
    assert (done.status, done.error_text) == (1, "sudo: a password is required")
    assert link.run(["id", "-u"], deadline_s=20).text == "0\n"
    assert link.run(["sh", "-c", "echo $HOME"], deadline_s=20).text == "/root\n"


def test_a_balancers_socket_is_roots(lab_with_user: Lab, fleet: SshFleet) -> None:
    """A socket that the user may not open is asked as root; one that is not there is an error that says so."""
    host = lab_user(lab_with_user, "lb")
    made = SshFleet(hosts={"lb": host})
    try:
        wish = BalancerWish("haproxy", "lb", "/run/haproxy/admin.sock", "gpu1", {"ranking": ("ranking_rest",)})
        assert made.balancer(wish).members(["ranking_rest"])
        missing = BalancerWish("haproxy", "lb", "/run/none.sock", "gpu1", {"ranking": ("ranking_rest",)})
        with pytest.raises(BalancerFailed, match=r"reached as root.*No such file"):
            made.balancer(missing).members(["ranking_rest"])
        rule(lab_with_user, "lb", "")
        with pytest.raises(BalancerFailed, match="asks deploy for a password") as refused:
            made.balancer(wish).members(["ranking_rest"])
        assert LINE in refused.value.hint
    finally:
        made.close()
        rule(lab_with_user, "lb", ANYTHING)


@pytest.mark.parametrize("tool", ["python3", "perl", "none"])
def test_each_tool_asks_a_socket(tool: str, tmp_path: Path) -> None:
    """With either tool the question arrives and the whole reply comes back; with neither, that is said."""
    path = tmp_path / "s"
    (tmp_path / "bin").mkdir()
    if tool != "none":
        (tmp_path / "bin" / tool).symlink_to(sys.executable if tool == "python3" else str(shutil.which(tool)))
    reply = b"x" * 300_000
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        listener.settimeout(20)
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(100))
                connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        if tool != "none":
            thread.start()
        script = resources.files("fleetdeploy.remote.ssh").joinpath("socket.sh").read_text()
        done = subprocess.run(
            ["/bin/sh", "-c", script, "fleetdeploy", str(path)],
            input=b"show stat\n", capture_output=True, check=False, timeout=30, env={"PATH": str(tmp_path / "bin")},
        )  # fmt: skip
        missing = subprocess.run(
            ["/bin/sh", "-c", script, "fleetdeploy", f"{path}.none"],
            input=b"", capture_output=True, check=False, timeout=30, env={"PATH": str(tmp_path / "bin")},
        )  # fmt: skip
        assert missing.returncode == (46 if tool == "none" else 47)
        if tool == "none":
            assert done.returncode == 46
            return
        thread.join(10)
    assert (done.returncode, asked, done.stdout) == (0, [b"show stat\n"], reply), done.stderr
