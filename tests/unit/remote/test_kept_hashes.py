"""Hashes of models' files that are kept: when they count, who can read them, and how many there are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from simulation.clock import VirtualClock

from fleetdeploy.remote import kept_hashes, private_file
from fleetdeploy.remote.kept_hashes import SETTLED_S, KeptHashes
from fleetdeploy.tfserving.manifest import FileKey

NOW_S = VirtualClock().now_s()
OLD_NS = int((NOW_S - 3600) * 1e9)
KEY = FileKey(device=1, inode=2, size_bytes=3, mtime_ns=OLD_NS, ctime_ns=OLD_NS, path="/models/a b\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "hashes"


def command(file: Path, *keys: FileKey, digest: str = "ab" * 32) -> KeptHashes:
    """What one command asks for, and hashes where it is not known."""
    hashes = KeptHashes(file, VirtualClock())
    for key in keys:
        if hashes.get(key) is None:
            hashes[key] = digest
    hashes.keep()
    return hashes


def known(file: Path, *keys: FileKey) -> list[bool]:
    hashes = KeptHashes(file, VirtualClock())
    return [hashes.get(key) is not None for key in keys]


def test_the_next_command_knows_what_this_one_read(file: Path) -> None:
    """A file is hashed once, and any difference in what it is known by makes it another."""
    command(file, KEY)
    hashes = KeptHashes(file, VirtualClock())
    assert hashes.get(KEY) == "ab" * 32
    another = {name: value + ("x" if name == "path" else 1) for name, value in KEY._asdict().items()}
    others = [KEY._replace(**{name: value}) for name, value in another.items()]
    assert known(file, *others) == [False] * len(KEY)


@pytest.mark.parametrize("name", ["mtime_ns", "ctime_ns"])
@pytest.mark.parametrize(("age_s", "kept"), [(-1, False), (0, False), (SETTLED_S - 1, False), (SETTLED_S + 1, True)])
def test_what_has_just_changed_is_not_kept(file: Path, name: str, age_s: float, *, kept: bool) -> None:
    """Within one tick of its file system's clock it may change once more and look the same."""
    key = KEY._replace(**{name: int((NOW_S - age_s) * 1e9)})
    command(file, key)
    assert known(file, key) == [kept]


def test_the_time_before_hashing_counts(file: Path) -> None:
    """A file that was written shortly before a command began is not old because hashing all of them took long."""
    clock = VirtualClock()
    hashes, key = KeptHashes(file, clock), KEY._replace(ctime_ns=int((NOW_S - 1) * 1e9))
    clock.wait(600)
    hashes[key] = "ab" * 32
    hashes.keep()
    assert known(file, key) == [False]


def test_they_are_the_user_s_alone(file: Path) -> None:
    """Nobody else can read them, whatever the umask."""
    before = os.umask(0)
    try:
        command(file, KEY)
    finally:
        os.umask(before)
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def another_hash(file: Path) -> None:
    file.write_bytes(file.read_bytes().replace(b"abab", b"cdcd"))


def of_everybody(file: Path) -> None:
    file.chmod(0o622)


def no_text(file: Path) -> None:
    file.write_bytes(b"\xff\xfe\x00")


def a_directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


def a_link(file: Path) -> None:
    file.rename(file.with_name("real"))
    file.symlink_to("real")


def too_large(file: Path) -> None:
    private_file.write(file, "x" * (kept_hashes.MOST_BYTES + 1), at_s=NOW_S)


def foreign(file: Path) -> None:
    private_file.write(file, "something else\n\n", at_s=NOW_S)


@pytest.mark.parametrize(
    "spoil",
    [cut, another_hash, of_everybody, no_text, a_directory, a_link, too_large, foreign],
    ids=lambda it: it.__name__,
)
def test_one_that_is_not_as_it_was_written_counts_for_nothing(file: Path, spoil: Callable[[Path], None]) -> None:
    """It is passed over without a word, and what is learned now is kept where that can be."""
    command(file, KEY)
    spoil(file)
    assert known(file, KEY) == [False]
    command(file, KEY, digest="ef" * 32)
    if not file.is_dir():
        assert KeptHashes(file, VirtualClock()).get(KEY) == "ef" * 32


def test_where_nothing_can_be_written_a_command_goes_on(tmp_path: Path) -> None:
    """What cannot be kept is learned again the next time."""
    (tmp_path / "cache").write_text("")
    command(tmp_path / "cache" / "hashes", KEY)
    assert known(tmp_path / "cache" / "hashes", KEY) == [False]


def test_two_commands_at_once_keep_what_both_learned(file: Path) -> None:
    """Who writes last has read what the other one wrote meanwhile."""
    keys = [KEY._replace(inode=number) for number in (1, 2)]
    one, two = (KeptHashes(file, VirtualClock()) for _ in keys)
    for hashes, key in zip((one, two), keys, strict=True):
        hashes[key] = "ab" * 32
    one.keep()
    two.keep()
    assert known(file, *keys) == [True, True]


def test_a_command_that_learned_nothing_writes_nothing(file: Path) -> None:
    """What cron does every five minutes costs no write."""
    command(file, KEY)
    before = file.stat().st_ino
    command(file, KEY)
    assert file.stat().st_ino == before


def test_of_too_many_those_go_that_were_not_used_for_longest(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The cache does not grow for ever, and what fleets have now stays in it."""
    monkeypatch.setattr(kept_hashes, "MOST_FILES", 3)
    first, second, third, fourth, fifth = (KEY._replace(inode=number) for number in range(1, 6))
    command(file, first, second, third)
    command(file, first, fourth)
    assert known(file, first, second, third, fourth) == [True, False, True, True]
    command(file, fifth)
    assert known(file, first, third, fourth, fifth) == [True, False, True, True]
