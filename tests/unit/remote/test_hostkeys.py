"""Which host keys are accepted, and which are refused loudly."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.errors import HostKeyRefused
from fleetdeploy.remote.ssh.hostkeys import HostKey, KnownHosts


def key(seed: str, kind: str = "ssh-ed25519") -> HostKey:
    body = hashlib.sha256(seed.encode()).digest()
    return HostKey(kind, len(kind).to_bytes(4, "big") + kind.encode() + (32).to_bytes(4, "big") + body)


def known(text: str) -> KnownHosts:
    return KnownHosts(text, source="known_hosts")


def hashed(name: str) -> str:
    salt = b"0123456789abcdefghij"
    digest = hmac.new(salt, name.encode(), "sha1").digest()
    return f"|1|{base64.b64encode(salt).decode()}|{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("names", "port"),
    [
        ("gpu1.example.net", 22),
        ("GPU1.example.net", 22),
        ("other,gpu1.example.net,10.0.0.1", 22),
        ("*.example.net", 22),
        ("gpu?.example.net", 22),
        ("[gpu1.example.net]:2222", 2222),
        ("gpu1.example.net", 2222),
        (hashed("gpu1.example.net"), 22),
        (hashed("[gpu1.example.net]:2222"), 2222),
    ],
)
def test_a_pinned_key_is_accepted(names: str, port: int) -> None:
    """A key is accepted under every form of a name that OpenSSH writes or understands."""
    pinned = known(f"{names} {key('a').line} a comment\n").pinned("gpu1", "gpu1.example.net", port=port)
    pinned.check(key("a"))


@pytest.mark.parametrize(
    "line",
    [
        "gpu2.example.net {}",
        "[gpu1.example.net]:2222 {}",
        "*.example.net,!gpu1.example.net {}",
        "gpu1xexample.net {}",
        "gpu[0-9].example.net {}",
        hashed("gpu2.example.net") + " {}",
        "|1|not base64|x {}",
        "gpu1.example.net ssh-ed25519 AAAA",
        "gpu1.example.net ssh-rsa " + base64.b64encode(key("a").blob).decode(),
        "@unknown-marker gpu1.example.net {}",
        "# gpu1.example.net {}",
        "gpu1.example.net",
    ],
)
def test_a_line_for_another_name_or_of_another_form_pins_nothing(line: str) -> None:
    """What does not name the host exactly, or cannot be read, never lets a key in."""
    with pytest.raises(HostKeyRefused, match=r"no key is pinned for gpu1\.example\.net"):
        known(line.format(key("a").line)).pinned("gpu1", "gpu1.example.net", port=22)


def test_a_changed_key_is_refused_with_both_fingerprints() -> None:
    """The message of a changed key shows the fingerprint that came and the one that is pinned."""
    pinned = known(f"h {key('a').line}\n").pinned("gpu1", "h", port=22)
    with pytest.raises(HostKeyRefused) as refused:
        pinned.check(key("b"))
    assert key("a").fingerprint in refused.value.message
    assert key("b").fingerprint in refused.value.message
    assert refused.value.where == "gpu1"
    assert refused.value.exit_code == 2


def test_a_fingerprint_is_what_ssh_keygen_prints() -> None:
    """The fingerprint is unpadded base64 of SHA-256, so that a person can compare it with the host's own."""
    digest = base64.b64encode(hashlib.sha256(key("a").blob).digest()).decode().rstrip("=")
    assert key("a").fingerprint == f"ssh-ed25519 SHA256:{digest}"


def test_a_revoked_key_is_refused_though_it_is_pinned() -> None:
    """A @revoked line blocks its key for every host, whatever names stand on it."""
    text = f"h {key('a').line}\n@revoked somewhere-else {key('a').line}\n"
    with pytest.raises(HostKeyRefused, match="revoked key"):
        known(text).pinned("gpu1", "h", port=22).check(key("a"))


def test_a_revoked_line_that_cannot_be_read_stops_everything() -> None:
    """A broken @revoked line is an error with its place, for what it revokes would go unnoticed."""
    with pytest.raises(HostKeyRefused) as refused:
        known(f"h {key('a').line}\n@revoked * ssh-ed25519 broken!\n")
    assert refused.value.where == "known_hosts:2"


def test_a_certificate_authority_is_refused_as_unsupported() -> None:
    """A @cert-authority line that names the host is refused, and one for other hosts is not."""
    text = f"@cert-authority *.example.net {key('ca').line}\nh {key('a').line}\n"
    with pytest.raises(HostKeyRefused, match="cert-authority") as refused:
        known(text).pinned("gpu1", "gpu1.example.net", port=22)
    assert refused.value.where == "known_hosts:1"
    known(text).pinned("gpu1", "h", port=22).check(key("a"))


def test_an_alias_takes_the_place_of_the_address() -> None:
    """With HostKeyAlias the alias alone is looked up, as OpenSSH does."""
    found = known(f"gpu1 {key('a').line}\n127.0.0.1 {key('b').line}\n")
    found.pinned("gpu1", "127.0.0.1", port=2222, alias="gpu1").check(key("a"))
    with pytest.raises(HostKeyRefused):
        found.pinned("gpu1", "127.0.0.1", port=2222, alias="gpu1").check(key("b"))


def test_the_pinned_type_is_asked_for_first() -> None:
    """Of a host with several keys the pinned one is asked for, with both SHA-2 forms of an RSA key."""
    offered = ("ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-512", "rsa-sha2-256")
    rsa = known(f"h {key('a', 'ssh-rsa').line}\n").pinned("h", "h", port=22)
    assert rsa.algorithms(offered) == ("rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519", "ecdsa-sha2-nistp256")


def test_no_known_hosts_at_all_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """There is no trust on first use: without a file, which is named, nothing is connected to."""
    files = [tmp_path / "a b", tmp_path / "b"]
    with pytest.raises(HostKeyRefused, match="no known_hosts file") as refused:
        KnownHosts.load(files).pinned("gpu1", "h", port=2222)
    assert str(files[0]) in refused.value.message
    assert str(files[1]) in refused.value.message
    assert f"`ssh-keyscan -p 2222 h >> '{files[0]}'`" in refused.value.hint


@pytest.mark.parametrize(
    ("how", "command"),
    [
        ({}, "ssh-keyscan -p 22 h >> FILE"),
        ({"through": "gate"}, "ssh gate ssh-keyscan -p 22 h >> FILE"),
        ({"alias": "gpu1"}, "ssh-keyscan -p 22 h | sed 's/^[^# ][^ ]*/gpu1/' >> FILE"),
    ],
)
def test_what_is_to_be_typed_pins_the_key(tmp_path: Path, how: dict[str, str], command: str) -> None:
    """The refusal has one command, and what that appends to the file is what is looked up, under an alias as well."""
    path = tmp_path / "known_hosts"
    path.write_text("other " + key("b").line + "\n")
    with pytest.raises(HostKeyRefused) as refused:
        KnownHosts.load([path]).pinned("gpu1", "h", port=22, **how)  # type: ignore[arg-type]
    typed = re.search("`(.*?)`", refused.value.hint)
    assert typed is not None
    assert typed[1] == command.replace("FILE", str(path))
    assert "fleetdeploy_known_hosts" in refused.value.hint
    program = tmp_path / "ssh-keyscan"
    program.write_text(f"#!/bin/sh\necho '# h:22 SSH-2.0'\necho 'h {key('a').line}'\n")
    program.chmod(0o755)
    (tmp_path / "ssh").write_text('#!/bin/sh\nshift\nexec "$@"\n')
    (tmp_path / "ssh").chmod(0o755)
    subprocess.run(["sh", "-c", typed[1]], env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}, check=True)
    KnownHosts.load([path]).pinned("gpu1", "h", port=22, **how).check(key("a"))  # type: ignore[arg-type]


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused_with_our_error(text: str) -> None:
    """No text makes the parser fail with anything but our own error, and no garbage accepts a key."""
    try:
        pinned = known(text).pinned("gpu1", "h", port=22)
    except HostKeyRefused:
        return
    with pytest.raises(HostKeyRefused):
        pinned.check(key("nobody"))
