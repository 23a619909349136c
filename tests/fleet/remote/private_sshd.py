"""An sshd of our own on this machine's loopback, for what a lab host's sshd does not do: other keys, other limits."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.lab.waiting import wait_until


class PrivateSshd:
    """Runs as the present user (root), with its own host keys and one client key, until closed."""

    def __init__(self, directory: Path, *, settings: str = "", kinds: Sequence[str] = ("ed25519",)) -> None:
        self.directory = directory
        self.log = directory / "log"
        directory.mkdir(mode=0o700, exist_ok=True)
        self.keys = {kind: make_key(directory / f"host_{kind}", kind) for kind in kinds}
        self.client_key = directory / "client"
        (directory / "authorized").write_text(make_key(self.client_key, "ed25519") + "\n")
        self.port = _free_port()
        config = directory / "sshd_config"
        config.write_text(
            f"{settings}ListenAddress 127.0.0.1\nPort {self.port}\n"  # of two values sshd takes the first
            + "".join(f"HostKey {directory}/host_{kind}\n" for kind in kinds)
            + f"PidFile none\nAuthorizedKeysFile {directory}/authorized\nStrictModes no\nUsePAM no\nUseDNS no\n"
            + "PermitRootLogin prohibit-password\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
            # A developer's ~/.bashrc is not part of what is tested: bash reads it only at the first level.
            + "SetEnv SHLVL=5\n"
        )
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with self.log.open("wb") as log:
            argv = ["/usr/sbin/sshd", "-D", "-e", "-f", str(config)]
            self._process = subprocess.Popen(argv, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(lambda: "Server listening" in self.log.read_text(), "sshd to listen", deadline_s=10)

    def host(self, *pinned: str, ssh_config: Path | None = None, port: int | None = None) -> Host:
        """This sshd as a host of an inventory; ``pinned`` are public keys, all of its own when none is given."""
        known_hosts = self.directory / f"known_hosts{abs(hash(pinned))}"
        lines = [f"[127.0.0.1]:{self.port} {key}\n" for key in pinned or self.keys.values()]
        known_hosts.write_text("".join(lines))
        address = "127.0.0.1" if ssh_config is None else "target"
        link = Connection(address, port or (self.port if ssh_config is None else None), "root", self.client_key,
                          known_hosts, ssh_config)  # fmt: skip
        return Host("gpu1", link)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def make_key(path: Path, kind: str) -> str:
    """Make a key pair and return the public half: type and base64."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(path)], check=True, timeout=60)
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
