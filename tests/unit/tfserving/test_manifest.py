"""Manifests of version directories."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetdeploy.domain.service import ManifestFile
from fleetdeploy.errors import ArtefactRefused
from fleetdeploy.tfserving import manifest
from fleetdeploy.tfserving.manifest import FileKey

Version = Callable[..., Path]


def test_every_file_is_listed_in_order(version: Version) -> None:
    """The manifest lists every regular file, sorted by path, with size and SHA-256."""
    directory = version(assets=("words.txt",))
    found = manifest.read_manifest(directory)
    paths = [item.path for item in found.files]
    assert paths == sorted(paths)
    assert set(paths) == {
        "assets/words.txt",
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    }
    words = found.files[0]
    assert words == ManifestFile("assets/words.txt", 5, hashlib.sha256(b"word\n").hexdigest())
    assert manifest.verify(directory, found) == ()


def test_cache_spares_reading(version: Version) -> None:
    """A file whose key is cached is not read again; one that changed has another key."""
    directory = version()
    cache: dict[FileKey, str] = {}
    first = manifest.read_manifest(directory, cache)
    assert len(cache) == len(first.files)
    for key in cache:
        cache[key] = "0" * 64
    assert {item.sha256 for item in manifest.read_manifest(directory, cache).files} == {"0" * 64}
    (directory / "saved_model.pb").write_bytes(b"another content")
    changed = {item.path: item.sha256 for item in manifest.read_manifest(directory, cache).files}
    assert changed["saved_model.pb"] == hashlib.sha256(b"another content").hexdigest()


def test_a_content_with_its_old_times_is_another_one(version: Version) -> None:
    """A file of the same size whose modification time was set back is read again: its ctime tells."""
    directory, cache = version(assets=("words.txt",)), dict[FileKey, str]()
    words = directory / "assets" / "words.txt"
    first, before = manifest.read_manifest(directory, cache), words.stat()
    while words.stat().st_ctime_ns == before.st_ctime_ns:  # until the file system's clock has gone on
        words.write_text("drow\n")
        os.utime(words, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert words.stat().st_mtime_ns == before.st_mtime_ns
    assert manifest.read_manifest(directory, cache).files[0] != first.files[0]


class Lasting:
    """Knows nothing, and tells of each file that is hashed."""

    def __init__(self) -> None:
        self.kept = list[FileKey]()

    def get(self, _: FileKey) -> None:
        return None

    def __setitem__(self, key: FileKey, _: str) -> None:
        self.kept.append(key)


@pytest.mark.parametrize("change", ["link", "content"])
def test_what_happens_to_a_file_that_is_being_read(
    version: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """One that changes is refused; one that gets another name is not, but its hash is not kept."""
    directory, fstat, hashes = version(), os.fstat, Lasting()
    changed = directory / "saved_model.pb"

    def late(descriptor: int) -> os.stat_result:
        if os.path.samestat(fstat(descriptor), changed.stat()):
            before = changed.stat()
            while changed.stat().st_ctime_ns == before.st_ctime_ns:
                if change == "content":
                    changed.write_bytes(b"x" * (before.st_size + 1))
                else:
                    (tmp_path / "again").unlink(missing_ok=True)
                    (tmp_path / "again").hardlink_to(changed)
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", late)
    if change == "content":
        with pytest.raises(ArtefactRefused, match="changed while it was read"):
            manifest.read_manifest(directory, hashes)
        return
    found = manifest.read_manifest(directory, hashes)
    assert len(hashes.kept) == len(found.files) - 1


@pytest.mark.parametrize(
    "name", ["line\nend", "-dash", "back\\slash", "tab\t", "e\u0301", "sep\u2028", os.fsdecode(b"\xff")], ids=repr
)
def test_odd_names_are_refused(version: Version, name: str) -> None:
    """A name that could be read as something else on its way to a host is refused, also that of a directory."""
    directory = version()
    (directory / "assets" / name).mkdir()
    (directory / "assets" / name / "file").touch()
    with pytest.raises(ArtefactRefused) as caught:
        manifest.read_manifest(directory)
    (problem,) = caught.value.problems
    assert "the name" in problem.message
    assert problem.where.isprintable()


def test_links_and_emptiness_are_refused(tmp_path: Path) -> None:
    """A symbolic link, also one to a directory or in place of the version itself, and an empty version are refused."""
    (tmp_path / "1").mkdir()
    with pytest.raises(ArtefactRefused, match="holds no files"):
        manifest.read_manifest(tmp_path / "1")
    (tmp_path / "1" / "variables").symlink_to(tmp_path)
    (tmp_path / "2").symlink_to(tmp_path / "1")
    for number in ("1", "2"):
        with pytest.raises(ArtefactRefused, match="symbolic link"):
            manifest.read_manifest(tmp_path / number)


def test_hard_links_are_welcome(version: Version, tmp_path: Path) -> None:
    """A file with several names is as good as any: unchanged assets are often hard links."""
    directory = version(assets=("words.txt",))
    (tmp_path / "again").hardlink_to(directory / "assets" / "words.txt")
    assert manifest.verify(directory, manifest.read_manifest(directory)) == ()


def test_every_difference_is_named(version: Version) -> None:
    """Missing, extra, resized and changed files are each told by name."""
    directory = version(assets=("a", "b", "c"))
    recorded = manifest.read_manifest(directory)
    (directory / "assets" / "a").unlink()
    (directory / "assets" / "b").write_text("longer than it was")
    (directory / "assets" / "c").write_text("drow\n")
    (directory / "assets" / "d").touch()
    found = {problem.where.rpartition("/")[2]: problem.message for problem in manifest.verify(directory, recorded)}
    assert found == {
        "a": "is in the manifest but missing",
        "b": "has 18 bytes, the manifest says 5",
        "c": "has other content than the manifest says",
        "d": "is not in the manifest",
    }


def test_swapped_files_are_found(version: Version) -> None:
    """Two files of equal size that changed places do not pass."""
    directory = version(assets=("a", "b"))
    (directory / "assets" / "a").write_text("1234\n")
    recorded = manifest.read_manifest(directory)
    (directory / "assets" / "a").rename(directory / "assets" / "x")
    (directory / "assets" / "b").rename(directory / "assets" / "a")
    (directory / "assets" / "x").rename(directory / "assets" / "b")
    assert len(manifest.verify(directory, recorded)) == 2


def test_link_in_place_of_a_file_is_not_followed(version: Version, tmp_path: Path) -> None:
    """A file that became a link to its own content does not pass."""
    directory = version(assets=("a",))
    recorded = manifest.read_manifest(directory)
    (directory / "assets" / "a").rename(tmp_path / "elsewhere")
    (directory / "assets" / "a").symlink_to(tmp_path / "elsewhere")
    assert any("symbolic link" in problem.message for problem in manifest.verify(directory, recorded))
