"""Errors of paramiko and of sockets become our own."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import socket
from typing import Any

import paramiko
import pytest
from paramiko.ssh_exception import NoValidConnectionsError

from fleetdeploy.errors import DeadlineExceeded, HostError, HostKeyRefused, Unreachable
from fleetdeploy.remote.ssh.failures import FOREIGN, is_early_drop, is_unexplained, rule_for, translate, translated


def paramiko_errors() -> list[type[BaseException]]:
    found: set[type[BaseException]] = set()
    for entry in pkgutil.iter_modules(paramiko.__path__, "paramiko."):
        if entry.name in {"paramiko._winapi", "paramiko.win_pageant", "paramiko.win_openssh"}:
            continue
        module = importlib.import_module(entry.name)
        found |= {
            value
            for _, value in inspect.getmembers(module, inspect.isclass)
            if issubclass(value, BaseException) and value.__module__.startswith("paramiko.")
        }
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", paramiko_errors(), ids=lambda kind: kind.__name__)
def test_no_error_of_paramiko_is_unmapped(kind: type[BaseException]) -> None:
    """Every exception class that paramiko defines has a row of its own or of a base, with a hint, and is caught."""
    rule = rule_for(kind)
    assert rule is not None
    assert issubclass(rule[0], HostError)
    assert rule[1]
    assert rule[2]
    assert issubclass(kind, FOREIGN)


def test_the_walk_sees_paramikos_errors() -> None:
    """The walk above is not empty by accident."""
    assert {"SSHException", "ChannelException", "BadHostKeyException", "NoValidConnectionsError"} <= {
        kind.__name__ for kind in paramiko_errors()
    }


@pytest.mark.parametrize(
    ("error", "ours", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), Unreachable, "connection refused"),
        (socket.gaierror(-2, "Name or service not known"), Unreachable, "does not resolve"),
        (TimeoutError(), Unreachable, "no answer in time"),
        (EOFError(), Unreachable, "closed the connection"),
        (FileNotFoundError(2, "No such file", "/keys/id"), Unreachable, "/keys/id"),
        (paramiko.AuthenticationException("no"), Unreachable, "refused the login"),
        (paramiko.PasswordRequiredException("x"), Unreachable, "passphrase"),
        (paramiko.ChannelException(2, "Connect failed"), Unreachable, "Connect failed (code 2)"),
        (paramiko.buffered_pipe.PipeTimeout(), DeadlineExceeded, "no answer"),
    ],
)
def test_an_error_says_what_happened_where_and_what_to_do(
    error: BaseException, ours: type[HostError], said: str
) -> None:
    """A translated error names the host, what was being done, what went wrong and a next step."""
    found = translate(error, host="gpu1", doing="connecting")
    assert type(found) is ours
    assert said in found.message
    assert "while connecting" in found.message
    assert found.where == "gpu1"
    assert found.hint


@pytest.mark.parametrize(
    ("tried", "doing", "said"),
    [
        ({("10.0.0.7", 2222): ConnectionRefusedError(111, "Connection refused")}, "connecting",
         "nothing answers at 10.0.0.7 port 2222 (connection refused)"),
        ({("::1", 22, 0, 0): ConnectionRefusedError(111, "Connection refused"),
          ("127.0.0.1", 22): OSError(113, "No route to host")}, "connecting to gw",
         "nothing answers at 127.0.0.1 and ::1 port 22 (no route to host, connection refused) while connecting to gw"),
    ],
)  # fmt: skip
def test_a_port_on_which_nothing_listens(tried: dict[Any, OSError], doing: str, said: str) -> None:
    """It is told with address, port and reason, without numbers of the operating system."""
    error = translate(NoValidConnectionsError(tried), host="gpu1", doing=doing)
    assert (error.message, error.hint) == (said, "is the host up, and is sshd listening on that port?")
    plain = translate(ConnectionRefusedError(111, "Connection refused"), host="gpu1", doing="connecting")
    assert plain.message == "connection refused while connecting"
    assert translate(FileNotFoundError(2, "No such file or directory", "/keys/id"), host="gpu1", doing="x").message == (
        "a file that is named does not exist while x: No such file or directory: /keys/id"
    )


def test_our_own_error_passes_unchanged() -> None:
    """What is already ours is not wrapped a second time."""
    with pytest.raises(HostKeyRefused, match=r"^gpu1: changed$"), translated("gpu1", "connecting"):
        raise HostKeyRefused("changed", where="gpu1")


def test_only_a_drop_before_the_banner_is_tried_again() -> None:
    """A refused login or key is never retried; a connection that sshd dropped at once is."""
    assert is_early_drop(paramiko.SSHException("Error reading SSH protocol banner"))
    assert is_early_drop(ConnectionResetError())
    assert not is_early_drop(paramiko.AuthenticationException("banner"))
    assert not is_early_drop(paramiko.SSHException("No existing session"))
    assert not is_early_drop(ConnectionRefusedError())


def test_a_host_that_is_off_is_asked_about() -> None:
    """Whatever accepts a connection in place of a host and says nothing leads to the question whether it is up."""
    stuck = translate(paramiko.SSHException("No existing session"), host="gpu1", doing="connecting")
    assert stuck.message == "sshd took the connection and did not answer while connecting"
    error = translate(paramiko.SSHException("Error reading SSH protocol banner"), host="gpu1", doing="connecting")
    assert isinstance(error, Unreachable)
    assert error.message == "no greeting from sshd while connecting"
    assert "is the host up" in error.hint
    assert "is the host up" in translate(EOFError(), host="gpu1", doing="connecting").hint


def test_a_refusal_without_its_reason_is_known_as_one() -> None:
    """It is no word about the link: asked once more, the other end says why."""
    assert is_unexplained(paramiko.SSHException("Unable to open channel."))
    assert not is_unexplained(paramiko.SSHException("Timeout opening channel."))
    assert not is_unexplained(paramiko.ChannelException(3, "Unknown channel type"))
