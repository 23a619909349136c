"""Which machines lie on the way to a host, and in which order."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleetdeploy.domain.inventory import Connection, Host
from fleetdeploy.errors import Unreachable
from fleetdeploy.remote.ssh.jumps import Jump, parse_jumps
from fleetdeploy.remote.ssh.link import hops, make_link, route

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"


class Way:
    """Makes links from an ssh_config; every key is pinned."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "known_hosts").write_text(f"* {KEY}\n")

    def link(self, config: str, *, address: str = "gpu1", jump: str | None = None, port: int | None = None) -> object:
        path = self.directory / "ssh_config"
        path.write_text(config)
        known = self.directory / "known_hosts"
        connection = Connection(address, port, "ops", None, known, path, proxy_jump=jump)
        return make_link(Host("gpu1", connection), timeout_s=5)

    def route(self, config: str, **how: object) -> list[str]:
        """The machines behind the host, the one that is connected to first last."""
        found = [f"{hop.user}@{hop.address}:{hop.port}" for hop in route(self.link(config, **how))]  # type: ignore[arg-type]
        return found[1:]


@pytest.fixture
def way(tmp_path: Path) -> Way:
    return Way(tmp_path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gate", (Jump("gate"),)),
        ("ops@gate:2222", (Jump("gate", "ops", 2222),)),
        ("a, b@c:1", (Jump("a"), Jump("c", "b", 1))),
        ("[fd00::1]:2222", (Jump("fd00::1", None, 2222),)),
        ("ssh://ops@gate:22", (Jump("gate", "ops", 22),)),
    ],
)
def test_a_jump_host_is_read_as_openssh_writes_it(text: str, expected: tuple[Jump, ...]) -> None:
    """User, port, brackets, commas and the ssh:// form are those of ssh(1)."""
    assert parse_jumps(text) == expected


@pytest.mark.parametrize("text", ["", "a,,b", "gate:0", "gate:70000", "a b", "@gate", "gate:x", "fd00::1"])
def test_what_is_no_jump_host_is_refused(text: str) -> None:
    """A text that names no jump host leads nowhere, rather than straight to the host."""
    with pytest.raises(Unreachable, match="not a jump host"):
        parse_jumps(text)


def test_the_first_jump_host_is_connected_to_first(way: Way) -> None:
    """The list is in the order of connecting, from the inventory and from ssh_config alike."""
    assert way.route("", jump="a@first,b@second:2222") == ["b@second:2222", "a@first:22"]
    assert way.route("Host gpu1\n ProxyJump a@first,b@second:2222\n") == ["b@second:2222", "a@first:22"]


def test_a_jump_host_is_looked_up_in_ssh_config(way: Way) -> None:
    """Address, user, port and keys of a jump host are those of its own entry; the host's user and key stay its own."""
    config = "Host gate\n HostName 10.0.0.1\n Port 2200\n User jumper\n IdentityFile /keys/gate\n"
    assert way.route(config, jump="gate") == ["jumper@10.0.0.1:2200"]
    assert way.route(config, jump="me@gate:1") == ["me@10.0.0.1:1"]
    keys = [hop.identity_files for hop in route(way.link(config, jump="gate"))]
    assert keys == [(), ("/keys/gate",)]


def test_the_inventory_stands_in_for_ssh_config(way: Way) -> None:
    """A jump host of the inventory takes the place of ssh_config's ProxyJump or ProxyCommand for this host."""
    assert way.route("Host gpu1\n ProxyJump other\n User me\n", jump="x@gate") == ["x@gate:22"]
    link = way.link("Host gpu1\n ProxyCommand nc %h %p\n", jump="x@gate")
    assert [hop.proxy_command for hop in route(link)] == ["", ""]


def test_a_jump_host_has_its_own_way(way: Way) -> None:
    """The first jump host may itself be behind another, or behind a command, by ssh_config."""
    config = "Host gate\n ProxyJump x@outer\n"
    assert way.route(config, jump="x@gate") == ["x@gate:22", "x@outer:22"]
    link = way.link("Host gate\n ProxyCommand nc %h %p\n", jump="gate")
    assert [hop.proxy_command for hop in route(link)] == ["", "nc gate 22"]


def test_none_is_no_jump_host(way: Way) -> None:
    """``none`` switches off what a wider pattern says; and what is specified first wins."""
    assert way.route("Host gpu1\n ProxyJump none\nHost *\n ProxyJump gate\n") == []
    assert way.route("Host *\n ProxyJump gate\n", jump="none") == []
    assert way.route("Host gpu1\n ProxyJump x@gate\nHost *\n ProxyCommand nc %h %p\n") == ["x@gate:22"]
    link = way.link("Host gpu1\n ProxyCommand nc %h %p\nHost *\n ProxyJump gate\n")
    assert [hop.proxy_command for hop in route(link)] == ["nc gpu1 22"]


def test_a_jump_host_for_all_is_not_behind_itself(way: Way) -> None:
    """``Host *`` with a ProxyJump names the jump host too, which is then connected to directly."""
    config = "Host *\n User u\n ProxyJump gate\n"
    assert way.route(config) == ["u@gate:22"]
    assert way.route(config, address="gate") == []


def test_a_circle_is_refused(way: Way) -> None:
    """Jump hosts that lead to each other are an error with their names, not an endless way."""
    with pytest.raises(Unreachable, match="circle: gpu1 -> a -> b -> a") as refused:
        way.link("Host a\n ProxyJump b\nHost b\n ProxyJump a\n", jump="a")
    assert refused.value.where == "gpu1"


def test_no_hop_forwards_the_agent(way: Way) -> None:
    """Whatever ssh_config says, no machine on the way can use our agent."""
    link = way.link("Host *\n ForwardAgent yes\n", jump="a,b")
    assert [hop.forward_agent for hop in hops(link)] == [False, False, False]


def test_every_hop_has_its_own_pinned_key(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    """A jump host whose key nobody pinned is refused, and named as the jump host of the host."""
    monkeypatch.setattr("socket.getaddrinfo", lambda *_: [])
    (way.directory / "known_hosts").write_text(f"gpu1 {KEY}\n")
    with pytest.raises(Unreachable) as refused:
        way.link("", jump="gate")
    assert refused.value.where == "gpu1's jump host gate"
