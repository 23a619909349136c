"""The YAML reader: places, raw text, anchors, limits."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
import yaml as pyyaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleetdeploy.config.syntax import yaml
from fleetdeploy.config.syntax.nodes import MapNode, Placed, Scalar, find, from_python, key_origin_of, origin_of
from fleetdeploy.domain.origin import Origin
from fleetdeploy.errors import InputError

SAMPLE = """\
all:
  vars: {port: 8500, name: "a b"}
  hosts:
    - h1
    - h2
"""


def scalar(text: str) -> Scalar:
    node = find(yaml.loads(f"key: {text}", file="f"), ("key",))
    assert isinstance(node, Scalar)
    return node


def test_every_value_knows_its_place() -> None:
    """A value and a key can be asked by path for file, line and column, counted from 1."""
    root = yaml.loads(SAMPLE, file="f.yml")
    assert str(origin_of(root, ("all", "vars", "port"))) == "f.yml:2:16"
    assert str(key_origin_of(root, ("all", "vars", "name"))) == "f.yml:2:22"
    assert str(origin_of(root, ("all", "hosts", 1))) == "f.yml:5:7"
    assert str(origin_of(root, ("all", "hosts", 7, "x"))) == "f.yml:4:5"


def test_plain_tree() -> None:
    """The tree without places is what Ansible's reader would make of the file."""
    assert yaml.loads(SAMPLE, file="f").plain() == pyyaml.safe_load(SAMPLE)


@pytest.mark.parametrize(
    ("text", "value", "surprising"),
    [
        ("7", 7, False),
        ("-7", -7, False),
        ("012", 10, True),
        ("1_000", 1000, True),
        ("0x1F", 31, True),
        ("0b11", 3, True),
        ("22:22", 1342, True),
        ("+7", 7, True),
        ("1.10", 1.1, False),
        ("NO", False, False),
        ("2026-11-22", dt.date(2026, 11, 22), False),
        ('"012"', "012", False),
        ("!!str 012", "012", False),
        ("~", None, False),
        ("1e3", "1e3", False),
    ],
)
def test_scalars_keep_their_text(text: str, value: object, surprising: bool) -> None:
    """A scalar has the value that YAML 1.1 gives it, keeps its text, and tells when the two differ as numbers."""
    node = scalar(text)
    assert (node.value, node.surprising) == (value, surprising)
    assert node.raw == {'"012"': "012", "!!str 012": "012"}.get(text, text)


def test_merge_keys() -> None:
    """``<<`` works as Ansible users know it: own keys win, then the first of several merged mappings."""
    text = "a: &a {k: 1, j: 2}\nb: &b {k: 5, m: 6}\nc: {k: 9, <<: *a}\nd: {<<: [*b, *a]}\n"
    plain = yaml.loads(text, file="f").plain()
    assert plain["c"] == {"k": 9, "j": 2}
    assert plain["d"] == {"k": 5, "j": 2, "m": 6}
    assert plain == pyyaml.safe_load(text)


def test_quoted_merge_key_is_a_key() -> None:
    """A quoted ``<<`` is an ordinary key."""
    assert yaml.loads('"<<": 3', file="f").plain() == {"<<": 3}


def test_anchors_that_multiply_are_refused() -> None:
    """A few lines of anchors cannot become millions of values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for previous, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{previous}'] * 9)}]")
    with pytest.raises(InputError, match="more than 500,000 values"):
        yaml.loads("\n".join(lines), file="bomb.yml")


def test_all_problems_at_once() -> None:
    """Problems of content and the syntax error behind them are told together."""
    with pytest.raises(InputError) as caught:
        yaml.loads("a: 1\na: 2\nb: !x y\nc: [\n", file="f")
    assert [problem.where for problem in caught.value.problems] == ["f:2:1", "f:3:4", "f:4:4"]


def test_missing_file(tmp_path: Path) -> None:
    """A missing file is named as it was given."""
    with pytest.raises(InputError, match="no such inventory") as caught:
        yaml.load(Path("nowhere/hosts.yml"), what="inventory")
    assert caught.value.where == "nowhere/hosts.yml"
    with pytest.raises(InputError, match="not a regular file"):
        yaml.load(tmp_path)


def test_unreadable_file(tmp_path: Path) -> None:
    """What the operating system says about a path is passed on."""
    loop = tmp_path / "loop.yml"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="cannot be read"):
        yaml.load(loop)


def test_size_limit(tmp_path: Path) -> None:
    """A file of more than 16 MiB is refused without being parsed."""
    big = tmp_path / "big.yml"
    with big.open("wb") as stream:
        stream.truncate(16 * 1024 * 1024 + 1)
    with pytest.raises(InputError, match="larger than the limit of 16 MiB"):
        yaml.load(big)


def test_not_utf8(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are named with their line and column."""
    path = tmp_path / "latin.yml"
    path.write_bytes(b"a: 1\nn\xc3\xa4me: caf\xe9\n")
    with pytest.raises(InputError, match="byte 0xe9") as caught:
        yaml.load(path)
    assert caught.value.where == f"{path}:2:10"


def test_byte_order_mark(tmp_path: Path) -> None:
    """A UTF-8 byte order mark, as some editors write it, is not part of the first key."""
    path = tmp_path / "bom.yml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert yaml.load(path).plain() == {"a": 1}


@pytest.mark.parametrize("code", [0x00, 0x01, 0x7F])
def test_control_characters(code: int) -> None:
    """A control character is refused by its number, with its place."""
    with pytest.raises(InputError, match=f"U\\+{code:04X}") as caught:
        yaml.loads(f"a: 1\nb: x{chr(code)}\n", file="f")
    assert caught.value.where == "f:2:5"


def test_vault_file() -> None:
    """A file that is encrypted as a whole is refused for that, not for its syntax."""
    with pytest.raises(InputError, match="encrypted with Ansible Vault"):
        yaml.loads("$ANSIBLE_VAULT;1.1;AES256\n616263\n", file="f")


@pytest.mark.parametrize("text", ["a: [1", 'a: "x', "a:\n\tb: 1", "a: b: c", "a: @x", "a: {{ x }}"])
def test_pure_parser(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without libyaml the same mistakes are refused at the same line."""
    with pytest.raises(InputError) as fast:
        yaml.loads(text, file="f")
    monkeypatch.setattr(yaml, "_LOADER", pyyaml.SafeLoader)
    with pytest.raises(InputError) as pure:
        yaml.loads(text, file="f")
    line = [error.value.problems[0].where.split(":")[1] for error in (fast, pure)]
    assert line[0] == line[1]
    assert fast.value.problems[0].hint == pure.value.problems[0].hint


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@`\t\n ,?<0.~\0é", max_size=40))
@example("? ")
@example("- - -\n -")
@example("a: &a\n  b: *a")
@example("<<: [*a]")
def test_any_text(text: str) -> None:
    """Whatever the text, the reader returns a tree or raises InputError with a place."""
    found = ()
    try:
        yaml.loads(text, file="f").plain()
    except InputError as error:
        found = error.problems
    assert all(problem.where.startswith("f") for problem in found)


def test_values_without_a_file() -> None:
    """Values that come from elsewhere get one origin; nodes among them keep theirs."""
    inner = yaml.loads("x: 012", file="f")
    root = from_python({"a": [1, True], "b": inner}, Origin("--extra-vars"))
    assert isinstance(root, MapNode)
    assert str(origin_of(root, ("a", 1))) == "--extra-vars"
    assert str(origin_of(root, ("b", "x"))) == "f:1:4"
    placed = Placed(root)
    assert placed == {"a": [1, True], "b": {"x": 10}}
    assert placed.node is root
