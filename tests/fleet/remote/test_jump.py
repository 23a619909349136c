"""Hosts that only another host of the lab can reach: the jump host, on both SSH paths and from the command line."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.observed import Present
from fleetdeploy.domain.service import ModelWish, Ports, ServiceWish, VersionsWish
from fleetdeploy.errors import HostKeyRefused, Unreachable
from fleetdeploy.lab.fleet import Lab
from fleetdeploy.remote.fleet import SshFleet
from fleetdeploy.remote.ssh.config import TARGET
from tests.fleet.onlooker import serves
from tests.fleet.project import Project
from tests.fleet.remote.deploy_user import USER, deploy_user, lab_host
from tests.fleet.remote.private_sshd import make_key
from tests.fleet.remote.staging_files import FILES, stage_item, version

BASE = PurePosixPath("/srv/jump-tests")
_FIREWALL = "INPUT -p tcp --dport 22 ! --source {} -j REJECT --reject-with tcp-reset"


@pytest.fixture
def behind(lab: Lab) -> Iterator[Lab]:
    """The lab with gpu2 open for gpu1 alone, and gpu3 for gpu2 alone."""
    rules = {"gpu2": _FIREWALL.format(lab.host("gpu1").address), "gpu3": _FIREWALL.format(lab.host("gpu2").address)}
    try:
        for name, rule in rules.items():
            lab.run_on(name, ["iptables", "-I", *rule.split()])
        yield lab
    finally:
        for name, rule in rules.items():
            lab.run_on(name, ["iptables", "-D", *rule.split()], check=False)
            lab.run_on(name, ["rm", "-rf", str(BASE)])


@pytest.fixture
def config(lab: Lab, tmp_path: Path) -> Path:
    """An ssh_config that knows the jump hosts, and says of gpu3 by which way it is reached."""
    at = lab.host("gpu1")
    path = tmp_path / "ssh_config"
    path.write_text(
        f"Host gate\n  HostName {at.door_address}\n  Port {at.ssh_port}\n"
        f"Host third\n  HostName {lab.host('gpu3').address}\n  ProxyJump gate,{lab.host('gpu2').address}\n"
        f'Host *\n  User root\n  IdentityFile "{lab.paths.client_key}"\n  ForwardAgent yes\n'
        f'  UserKnownHostsFile "{lab.paths.known_hosts}"\n  BatchMode yes\n'
    )
    return path


@pytest.fixture
def wish(lab: Lab, tmp_path: Path) -> ServiceWish:
    model = ModelWish("ranker", tmp_path / "src", VersionsWish((7,)))
    return ServiceWish("ranking", lab.images[0], Ports(8500, 8501), "10.77.0.0/16", (model,), base_dir=BASE)


def inside(lab: Lab, name: str, **changes: object) -> Host:
    """A host by its address within the fleet, as its jump host reaches it."""
    return lab_host(lab, name, **{"address": lab.host(name).address, "port": 22, **changes})


def works(fleet: SshFleet, host: Host, wish: ServiceWish, lab: Lab) -> None:
    """Commands, Docker, a port, and rsync all reach this very host."""
    session = fleet.session(host)
    assert session.connection.run(["hostname"], deadline_s=20).text == f"{host.name}\n"
    assert isinstance(session.observe([wish]).docker, Present)
    assert session.containers().inspect("nobody-has-this-name") is None
    session.files(wish).stage(stage_item(version(wish.models[0].source, 7, FILES)))
    assert lab.run_on(host.name, ["cat", f"{wish.directory}/models/ranker/7/saved_model.pb"]).stdout == "graph"


def test_the_inventorys_jump_host_is_followed(behind: Lab, config: Path, fleet: SshFleet, wish: ServiceWish) -> None:
    """A host that is closed to us is reached through the jump host, by commands and by rsync, and not without it."""
    with pytest.raises(Unreachable):
        fleet.session(lab_host(behind, "gpu2"))
    other = SshFleet(connect_timeout_s=10)
    try:
        works(other, inside(behind, "gpu2", ssh_config=config, proxy_jump="gate"), wish, behind)
    finally:
        other.close()


def test_several_jump_hosts_in_their_order(behind: Lab, config: Path, fleet: SshFleet, wish: ServiceWish) -> None:
    """Of -J first,second the first is connected to first: it alone is open to us, and the host to the second alone."""
    jump = f"gate,root@{behind.host('gpu2').address}:22"
    works(fleet, inside(behind, "gpu3", ssh_config=config, proxy_jump=jump), wish, behind)


def test_the_jump_hosts_of_ssh_config_in_their_order(
    behind: Lab, config: Path, fleet: SshFleet, wish: ServiceWish
) -> None:
    """ProxyJump of ssh_config means the same, as it does to ssh itself."""
    works(fleet, lab_host(behind, "gpu3", address="third", port=None, ssh_config=config), wish, behind)
    argv = ["ssh", "-F", str(config), "third", "hostname"]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout == "gpu3\n"


def test_the_user_behind_the_jump_host_becomes_root(
    behind: Lab, config: Path, fleet: SshFleet, wish: ServiceWish
) -> None:
    """Jump host and sudo go together: the jump host's user is its own, the host's user becomes root."""
    with deploy_user(behind, ["gpu2"]):
        host = inside(behind, "gpu2", ssh_config=config, proxy_jump="gate", user=USER, become=True)
        works(fleet, host, wish, behind)


def test_a_jump_hosts_changed_key_is_refused_by_both_paths(
    behind: Lab, config: Path, fleet: SshFleet, tmp_path: Path
) -> None:
    """A jump host that shows another key than the pinned one is not logged in to, by paramiko or by rsync's ssh."""
    known, wrong = behind.paths.known_hosts.read_text().splitlines(), make_key(tmp_path / "wrong", "ed25519")
    spoilt = tmp_path / "known_hosts"
    spoilt.write_text("".join(f"{line.split()[0]} {wrong}\n" if ",gpu1 " in line else f"{line}\n" for line in known))
    host = inside(behind, "gpu2", ssh_config=config, proxy_jump="gate")
    with pytest.raises(HostKeyRefused, match="changed") as refused:
        fleet.session(inside(behind, "gpu2", ssh_config=config, proxy_jump="gate", known_hosts=spoilt))
    assert refused.value.where == "gpu2's jump host gate"
    other = SshFleet(connect_timeout_s=10)
    try:
        written = other.session(host)._ssh_config()
        pinned = written.with_name("known_hosts")
        lines = pinned.read_text().splitlines()
        pinned.write_text("".join(f"{'fleetdeploy-1 ' + wrong if '-1 ' in line else line}\n" for line in lines))
        argv = ["ssh", "-F", str(written), TARGET, "true"]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    finally:
        other.close()
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


@pytest.mark.parametrize(
    ("jump", "message"),
    [
        ("127.0.0.1:1", "connecting to the jump host 127.0.0.1"),
        ("gate,10.77.0.12:1", "connecting to the jump host 10.77.0.12"),
        ("gate", "connecting through the jump host gate"),
    ],
)
def test_the_machine_that_does_not_answer_is_named(
    jump: str, message: str, behind: Lab, config: Path, fleet: SshFleet, tmp_path: Path
) -> None:
    """Of several machines on the way, the error names the one at which it ended."""
    known = tmp_path / "known_hosts"
    text = behind.paths.known_hosts.read_text()
    key = text.splitlines()[0].split(" ", 1)[1]
    known.write_text(f"{text}[127.0.0.1]:1,10.77.0.12,[10.77.0.12]:1 {key}\n")
    with pytest.raises(Unreachable, match=message) as refused:
        fleet.session(inside(behind, "gpu3", ssh_config=config, proxy_jump=jump, known_hosts=known))
    assert refused.value.where == "gpu3"


def test_no_agent_is_forwarded(behind: Lab, config: Path, fleet: SshFleet) -> None:
    """Neither host nor jump host can use our agent's keys, although ssh_config offers them to every host."""
    session = fleet.session(inside(behind, "gpu2", ssh_config=config, proxy_jump="gate"))
    asked = ["sh", "-c", "echo agent=${SSH_AUTH_SOCK:-none}"]
    assert session.connection.run(asked, deadline_s=20).text == "agent=none\n"
    argv = ["ssh", "-F", str(session._ssh_config())]
    for alias in (TARGET, "fleetdeploy-1"):
        done = subprocess.run([*argv, "-G", alias], capture_output=True, text=True, timeout=20, check=True)
        assert "forwardagent no" in done.stdout


def test_a_deploy_through_jump_hosts(behind: Lab, config: Path, project: Project) -> None:
    """An inventory that names jump hosts as Ansible's does is deployed, and every host serves."""
    folder = project.root / "inventories/lab/host_vars"
    folder.mkdir()
    gate = f"-F {config} -J gate"
    for name, jumps in (("gpu2", gate), ("gpu3", f"-F {config} -o ProxyJump=gate,{behind.host('gpu2').address}")):
        (folder / f"{name}.yml").write_text(
            f'ansible_host: {behind.host(name).address}\nansible_port: 22\nansible_ssh_common_args: "{jumps}"\n'
        )
    project.deploy("playbooks/at_once.yml")
    serves(behind, 1)
    project.run("status", "--exit-code")
