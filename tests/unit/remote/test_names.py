"""A host without a pinned key whose name has no address: the name is what is wrong."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import NoReturn

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import HostKeyRefused, Unreachable
from fleetdeploy.remote.ssh.link import make_link
from fleetdeploy.remote.ssh.names import why_not

UNKNOWN = "Name or service not known"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that were looked up; none has an address but ``known``."""
    names: list[str] = []

    def look_up(name: str, *_: object) -> list[object]:
        names.append(name)
        if name != "known":
            raise socket.gaierror(socket.EAI_NONAME, UNKNOWN)
        return []

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    return names


def refusal(
    tmp_path: Path, address: str, *, name: str = "gpu1", jump: str | None = None, config: str = ""
) -> Unreachable:
    """What becomes of a link to a host without any pinned key."""
    (tmp_path / "known_hosts").touch()
    (tmp_path / "ssh_config").write_text(config)
    to = Connection(address, None, "ops", None, tmp_path / "known_hosts", tmp_path / "ssh_config", proxy_jump=jump)
    with pytest.raises(Unreachable) as refused:
        make_link(Host(name, to), timeout_s=5)
    return refused.value


@pytest.mark.usefixtures("asked")
def test_a_name_with_a_slip_is_no_matter_of_keys(tmp_path: Path) -> None:
    """That it does not resolve is the error; where the name is from is the advice, and not ssh-keyscan. It is refused
    as what has no key is, and not passed over as a host that is away.
    """
    error = refusal(tmp_path, "gpu1.nosuch")
    assert isinstance(error, HostKeyRefused)
    assert (error.where, error.message) == ("gpu1", f"the name gpu1.nosuch does not resolve: {UNKNOWN}")
    assert error.hint == "mend ansible_host, or HostName in ssh_config"
    own = refusal(tmp_path, "gpux", name="gpux")
    assert own.hint == "is it spelt so? it is a name in the inventory: set ansible_host where gpux is none of DNS"


def test_a_name_that_resolves_lacks_a_key(tmp_path: Path, asked: list[str]) -> None:
    """Then the key is what is missing."""
    error = refusal(tmp_path, "known")
    assert isinstance(error, HostKeyRefused)
    assert "no key is pinned for known" in error.message
    assert asked == ["known"]


def test_what_a_gateway_resolves_is_not_looked_up_here(tmp_path: Path, asked: list[str]) -> None:
    """Behind a jump host or a ProxyCommand a name need not be known here."""
    assert isinstance(refusal(tmp_path, "inside", jump="gate"), HostKeyRefused)
    assert isinstance(refusal(tmp_path, "inside", config="Host inside\n ProxyCommand nc gate 22\n"), HostKeyRefused)
    assert asked == []


def test_a_jump_host_with_a_slip_is_named(tmp_path: Path) -> None:
    """It is the one that is looked up."""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
    (tmp_path / "known_hosts").write_text(f"inside {key}\n")
    with pytest.MonkeyPatch.context() as patch:

        def nobody(*_: object) -> NoReturn:
            raise socket.gaierror(socket.EAI_NONAME, UNKNOWN)

        patch.setattr("socket.getaddrinfo", nobody)
        error = refusal(tmp_path, "inside", jump="gate")
    assert (error.where, error.message) == ("gpu1's jump host gate", f"the name gate does not resolve: {UNKNOWN}")


def test_a_resolver_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is known then, and the key is told as before."""
    over = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: over.wait(30))
    try:
        assert why_not("gpu1", within_s=0.01) == ""
    finally:
        over.set()


def test_what_cannot_be_a_name_does_not_resolve() -> None:
    """A label that is too long is told as one, by Python's own codec."""
    assert why_not("x" * 70)
