"""A question to a UNIX socket that only root may open, asked by a command: sshd opens sockets as the login user."""

from __future__ import annotations

from importlib import resources

from fleetdeploy.errors import BalancerFailed, BalancerSilent, HostError
from fleetdeploy.remote.ssh.connection import SshConnection

NO_TOOL, NOT_REACHED = 46, 47


def ask_as_root(connection: SshConnection, path: str, command: str, *, deadline_s: float) -> str:
    """Send one line to the socket and return the reply. Raises BalancerFailed, with sudo's reason if it was that."""
    script = resources.files("fleetdeploy.remote.ssh").joinpath("socket.sh").read_text(encoding="utf-8")
    host = connection.host.name
    try:
        done = connection.script(script, path, stdin=f"{command}\n".encode(), deadline_s=deadline_s)
    except HostError as error:
        raise BalancerSilent(
            f"the balancer's socket {path} cannot be asked as root: {error.message}", where=host, hint=error.hint
        ) from error
    if done.status == NO_TOOL:
        raise BalancerFailed(
            f"the balancer's socket {path} is not the SSH user's, and as root nothing can open it: {done.error_text}",
            where=host,
            hint="give the user a share in the socket (`stats socket ... group GROUP mode 660`), or install python3",
        )
    if done.status == NOT_REACHED:
        raise BalancerSilent(
            f"the balancer's socket {path} cannot be reached as root: {done.last_lines(1)}",
            where=host,
            hint="is the balancer running, and is that its socket?",
        )
    if done.status:
        raise BalancerSilent(
            f"no reply to {command!r} from {path}; whether it happened is not known: {done.last_lines(1)}",
            where=host,
            hint="is the balancer running? look at its own statistics",
        )
    return done.text
