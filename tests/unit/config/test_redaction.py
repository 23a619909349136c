"""What is left of a text when values overlap, and names that no value may stand in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleetdeploy.config.inventory.load import load_inventory
from fleetdeploy.config.secrets.passwords import PasswordFile, Passwords
from fleetdeploy.config.secrets.store import SecretStore
from fleetdeploy.domain.redaction import SHOWN, Redactor
from fleetdeploy.domain.secret import Secret
from fleetdeploy.errors import InputError

from .test_vault import BLOCK_1_1

INVENTORY = """\
rack1:
  hosts:
    gpu01.example.net:
  vars:
    token: !secret {env: TOKEN}
    services:
      ranking:
        image: serving:1
        gpus: none
        ports: {grpc: 8500, rest: 8501}
        bind: 10.0.0.0/8
        models: {bm25: {source: m, versions: [1], golden: none}}
"""
OUTSIDE = st.text("xyz ", max_size=6)
VALUES = st.lists(st.text("ab", min_size=4, max_size=9), min_size=1, max_size=4)


@given(VALUES, st.lists(st.tuples(OUTSIDE, st.text("ab", max_size=24)), max_size=4), OUTSIDE)
def test_values_that_overlap_vanish_entirely(values: list[str], parts: list[tuple[str, str]], end: str) -> None:
    """Every character that is a part of any value is gone, wherever values begin and end; all others stay."""
    text = "".join(outside + inside for outside, inside in parts) + end
    covered = {
        start + offset
        for value in values
        for start in range(len(text))
        if text.startswith(value, start)
        for offset in range(len(value))
    }
    kept = "".join(char for index, char in enumerate(text) if index not in covered)
    assert Redactor(values).text(text).replace(SHOWN, "") == kept


@pytest.mark.parametrize(
    ("values", "text", "clean"),
    [
        (["abcdef", "defghi"], "x abcdefghi y", f"x {SHOWN} y"),
        (["abcdef", "cdef"], "x abcdef cdef y", f"x {SHOWN} {SHOWN} y"),
        (["abcd", "efgh"], "abcdefgh", SHOWN * 2),
        (["abab"], "xababab", f"x{SHOWN}"),
        (["ab\tcd", "cd ef"], "x ab     cd ef y", f"x {SHOWN} y"),
    ],
)
def test_overlaps(values: list[str], text: str, clean: str) -> None:
    """One that begins in another, lies in another, follows another, overlaps itself, or has a tab in it."""
    assert Redactor(values).text(text) == clean
    assert json.loads(Redactor(values).json(json.dumps({"a": text}))) == {"a": clean}


def test_keys_that_are_words_stay() -> None:
    """A document keeps the keys that its readers look for; a key that is more than a word loses the value."""
    redactor = Redactor(["versions"])
    document = {"versions": {"x": "versions"}, "a/versions": 1, "versions_of": [{"versions": 2}]}
    clean = {"versions": {"x": SHOWN}, f"a/{SHOWN}": 1, "versions_of": [{"versions": 2}]}
    assert redactor.value(document) == clean
    for text in (json.dumps(document), json.dumps(document, indent=2), json.dumps(document, separators=(",", " : "))):
        assert json.loads(redactor.json(text)) == clean


def opened(path: Path, value: str) -> str:
    (path / "hosts.yml").write_text(INVENTORY)
    host = load_inventory([path / "hosts.yml"], secrets=SecretStore(environ={"TOKEN": value})).hosts[
        "gpu01.example.net"
    ]
    secret = host.variables["token"]
    assert isinstance(secret, Secret)
    return secret.reveal()


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("gpu01.example.net", "host"), ("gpu01", "host"), ("example", "host"), ("rack1", "group"),
        ("ranking", "service"), ("bm25", "model"), ("accept_incomplete", "key of the inventory"),
    ],
)  # fmt: skip
def test_a_value_that_stands_in_a_name_is_refused(tmp_path: Path, value: str, kind: str) -> None:
    """Taking it out would take the name out of every output; the message has the place and not the value."""
    with pytest.raises(InputError, match=f"a secret stands in the name of a {kind}") as caught:
        opened(tmp_path, value)
    assert caught.value.where == f"{tmp_path}/hosts.yml:5:12"
    assert value not in caught.value.message + caught.value.hint


def test_a_value_that_only_holds_a_name_is_none(tmp_path: Path) -> None:
    """A longer value leaves every name as it is."""
    assert opened(tmp_path, "gpu01.example.net/ranking") == "gpu01.example.net/ranking"


def test_a_vault_password_that_stands_in_a_name_is_refused(tmp_path: Path) -> None:
    """Whether it is used for a value once names are known, or was used before for a whole file."""
    (tmp_path / "password").write_text("gpu01")
    (tmp_path / "password").chmod(0o600)
    block = "".join(f"      {line}\n" for line in BLOCK_1_1.splitlines())
    (tmp_path / "hosts.yml").write_text(INVENTORY.replace("!secret {env: TOKEN}\n", f"!vault |\n{block}"))
    redactor = Redactor()
    store = SecretStore(passwords=Passwords([PasswordFile(tmp_path / "password")]), redactor=redactor)
    token = load_inventory([tmp_path / "hosts.yml"], secrets=store).hosts["gpu01.example.net"].variables["token"]
    assert isinstance(token, Secret)
    with pytest.raises(InputError, match="the vault password stands in the name of a host"):
        token.reveal()
    before = Redactor(["gpu01"])
    with pytest.raises(InputError, match="the vault password stands in the name of a host"):
        load_inventory([tmp_path / "hosts.yml"], secrets=SecretStore(redactor=before))
