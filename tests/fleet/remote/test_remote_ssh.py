"""SSH connections against a real sshd: trust, deadlines, limits, forwarding."""

from __future__ import annotations

import concurrent.futures
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetdeploy.domain.inventory import Host
from fleetdeploy.domain.service import (
    ServiceWish,
)
from fleetdeploy.errors import DeadlineExceeded, HostKeyRefused, RemoteCommandFailed, Unreachable
from fleetdeploy.remote.fleet import SshFleet
from fleetdeploy.remote.ssh.config import TARGET, write_ssh_config
from tests.fleet.remote.private_sshd import PrivateSshd, make_key
from tests.fleet.remote.staging_files import FILES, stage_item, version


def test_a_command_is_its_words_and_its_status_is_a_value(sshd: PrivateSshd, fleet: SshFleet) -> None:
    """Words reach the host as they are, whatever is in them, and a status other than 0 raises only when asked."""
    link = fleet.session(sshd.host()).connection
    words = ["a b", "$HOME", "`id`", "it's", "*", "", "x\ny", "\\", "é"]
    assert link.run(["printf", "<%s>", *words], deadline_s=10).text == "".join(f"<{word}>" for word in words)
    assert link.run(["cat"], stdin=b"\0\xff" * 2_000_000, deadline_s=20).stdout == b"\0\xff" * 2_000_000
    assert link.run(["sh", "-c", "echo no >&2; exit 3"], deadline_s=10).status == 3
    with pytest.raises(RemoteCommandFailed, match="status 3") as failed:
        link.run(["sh", "-c", "echo no >&2; exit 3"], deadline_s=10, check=True)
    assert failed.value.detail == "no"


def test_a_deadline_ends_the_remote_process_as_well(sshd: PrivateSshd, fleet: SshFleet, tmp_path: Path) -> None:
    """After a deadline nothing goes on on the host, although the process never reads or writes."""
    link = fleet.session(sshd.host()).connection
    script = f"echo $$ > {tmp_path}/pid; exec sleep 300"
    for deadline_s in (1, 10, 60):  # until it got as far as its id, which may take a while on a busy machine
        with pytest.raises(DeadlineExceeded):
            link.run(["sh", "-c", script], deadline_s=deadline_s)
        if (tmp_path / "pid").exists() and (tmp_path / "pid").read_text():
            break
    process = Path("/proc") / (tmp_path / "pid").read_text().strip()
    end = time.monotonic() + 60
    while process.exists() and "sleep" in (process / "cmdline").read_text():
        assert time.monotonic() < end, "the remote process outlived its deadline"
        time.sleep(0.1)


def test_endless_output_is_cut_off(sshd: PrivateSshd, fleet: SshFleet) -> None:
    """A host cannot fill our memory: output beyond the cap ends the command with an error."""
    with pytest.raises(RemoteCommandFailed, match="more than 100000 bytes"):
        fleet.session(sshd.host()).connection.run(["cat", "/dev/zero"], deadline_s=30, cap_bytes=100_000)


def test_a_changed_key_is_refused_before_any_authentication(
    tmp_path: Path, fleet: SshFleet, request: pytest.FixtureRequest
) -> None:
    """Against another key than the pinned one, both SSH paths refuse, and no login is even tried."""
    server = PrivateSshd(tmp_path / "sshd", settings="LogLevel DEBUG1\n")
    request.addfinalizer(server.close)
    wrong = make_key(tmp_path / "wrong", "ed25519")
    with pytest.raises(HostKeyRefused, match="changed") as refused:
        fleet.session(server.host(wrong))
    assert refused.value.message.count("SHA256:") == 2
    other = SshFleet()
    right = other.session(server.host()).connection.route()
    other.close()
    logins = server.log.read_text().count("userauth-request")
    assert logins > 0
    pinned = server.directory / "wrong_config"
    pinned.mkdir(mode=0o700)
    config = write_ssh_config(pinned, right, connect_timeout_s=5)
    (pinned / "known_hosts").write_text(f"{TARGET} {wrong}\n")
    argv = ["ssh", "-F", str(config), TARGET, "true"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr
    assert server.log.read_text().count("userauth-request") == logins


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_one_pinned_key_of_several_is_enough_on_both_paths(sshd: PrivateSshd, fleet: SshFleet, kind: str) -> None:
    """A host with several keys is accepted when any one of them is pinned, by paramiko and by OpenSSH alike."""
    session = fleet.session(sshd.host(sshd.keys[kind]))
    assert session.connection.run(["true"], deadline_s=10).status == 0
    argv = ["ssh", "-F", str(session._ssh_config()), TARGET, "echo ok"]
    assert subprocess.run(argv, capture_output=True, text=True, timeout=30, check=True).stdout == "ok\n"


def test_no_weak_algorithm_is_offered(tmp_path: Path, fleet: SshFleet, request: pytest.FixtureRequest) -> None:
    """A server that knows nothing but CBC or SHA-1 MACs is not talked to."""
    server = PrivateSshd(tmp_path / "sshd", settings="Ciphers aes128-cbc\nMACs hmac-sha1\n")
    request.addfinalizer(server.close)
    with pytest.raises(Unreachable, match="no algorithm in common"):
        fleet.session(server.host())


def test_a_gateway_is_checked_and_used_by_both_paths(
    sshd: PrivateSshd, fleet: SshFleet, service: ServiceWish, tmp_path: Path
) -> None:
    """ProxyJump of ssh_config works for commands and for rsync, with the gateway's key pinned as well."""
    config = tmp_path / "ssh_config"
    config.write_text(
        f"Host target\n  HostName 127.0.0.1\n  Port {sshd.port}\n  ProxyJump gate\n"
        f"Host gate\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User root\n  IdentityFile {sshd.client_key}\n"
    )
    session = fleet.session(sshd.host(ssh_config=config))
    assert len(session.connection.route()) == 2
    session.files(service).stage(stage_item(version(tmp_path / "src", 7, FILES)))
    assert (Path(service.directory) / "models/ranker/7/saved_model.pb").read_bytes() == b"graph"


def test_many_connections_at_once_all_succeed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """sshd's MaxStartups drops connections that come at once; fewer are started, and dropped ones try again."""
    server = PrivateSshd(tmp_path / "sshd", settings="MaxStartups 4:100:4\n")
    request.addfinalizer(server.close)
    fleet = SshFleet(connect_timeout_s=10, handshakes=6)
    hosts = [Host(f"gpu{number}", server.host().connection) for number in range(16)]
    try:
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            done = list(pool.map(lambda host: fleet.session(host).connection.run(["true"], deadline_s=20), hosts))
    finally:
        fleet.close()
    assert [result.status for result in done] == [0] * 16


def test_a_lost_connection_is_made_again_for_the_next_command(sshd: PrivateSshd, fleet: SshFleet) -> None:
    """A command whose link is lost is an error and is not repeated; the next one connects again."""
    link = fleet.session(sshd.host()).connection
    with pytest.raises(Unreachable, match="lost while a command ran"):
        link.run(["sh", "-c", "kill -9 $(ps -o ppid= -p $(ps -o ppid= -p $$)); sleep 5"], deadline_s=20)
    assert link.run(["echo", "again"], deadline_s=10).text == "again\n"


def echo_server(path: Path) -> Callable[[], None]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(65536):
                connection.sendall(data)

    thread = threading.Thread(target=serve)
    thread.start()

    def close() -> None:
        thread.join(10)
        listener.close()

    return close


def test_a_unix_socket_of_the_host_is_reached(sshd: PrivateSshd, fleet: SshFleet, tmp_path: Path) -> None:
    """A channel to a UNIX socket carries bytes both ways, with the pinned paramiko."""
    close = echo_server(tmp_path / "s")
    channel = fleet.session(sshd.host()).connection.open_unix_channel(str(tmp_path / "s"))
    channel.settimeout(10)
    sent = bytes(range(256)) * 4000
    sender = threading.Thread(target=channel.sendall, args=(sent,))
    sender.start()
    got = bytearray()
    while len(got) < len(sent):
        got += channel.recv(65536)
    sender.join(10)
    channel.close()
    close()
    assert bytes(got) == sent


def test_a_socket_that_is_not_there_or_forbidden_is_refused(
    tmp_path: Path, sshd: PrivateSshd, fleet: SshFleet, request: pytest.FixtureRequest
) -> None:
    """A missing socket and a host that forbids forwarding to sockets are errors, and the connection lives on."""
    server = PrivateSshd(tmp_path / "sshd", settings="AllowStreamLocalForwarding no\n")
    request.addfinalizer(server.close)
    for host in (sshd.host(), Host("gpu2", server.host().connection)):
        link = fleet.session(host).connection
        with pytest.raises(Unreachable, match="refused a channel"):
            link.open_unix_channel(str(tmp_path / "none"))
        assert link.run(["true"], deadline_s=10).status == 0
