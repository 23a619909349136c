"""Layout checks of version directories."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from fleetdeploy.domain.signatures import TensorSpec
from fleetdeploy.errors import ArtefactRefused
from fleetdeploy.tfserving import saved_model
from fleetdeploy.tfserving.saved_model import IncompleteVariables

Version = Callable[..., Path]


def problem_of(directory: Path) -> str:
    (found,) = saved_model.problems(saved_model.inspect(directory))
    return str(found)


def test_complete_version_has_no_problems(version: Version) -> None:
    """A complete version passes, and its signatures, assets and TensorFlow version are read."""
    info = saved_model.check(version(assets=("words.txt",)))
    assert info.signatures["serving_default"].inputs == {"x": TensorSpec("x", "float32", (None, 8))}
    assert info.signatures["serving_default"].outputs == {"y": TensorSpec("y", "int64", None)}
    assert list(info.signatures) == ["serving_default"]
    assert (info.assets, info.has_variables, info.tensorflow_version) == (("words.txt",), True, "2.21.0")
    assert info.tag_sets == (("serve",),)


def test_graph_without_variables_needs_none(version: Version) -> None:
    """A graph that has no variable is complete without variables/."""
    assert not saved_model.check(version(variables=False)).has_variables


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "is missing"), (b"", "is empty"), (b"\x0a\xff\xff", "does not parse")],
)
def test_bad_graph_file_is_named(version: Version, content: bytes | None, said: str) -> None:
    """A saved_model.pb that is missing, empty or cut off is refused with the expected layout."""
    directory = version()
    (directory / "saved_model.pb").unlink()
    if content is not None:
        (directory / "saved_model.pb").write_bytes(content)
    found = problem_of(directory)
    assert said in found
    assert "saved_model.pb" in found
    assert "variables/variables.index" in found


def test_text_form_alone_is_refused(version: Version) -> None:
    """saved_model.pbtxt without the binary form is refused by its name."""
    directory = version()
    (directory / "saved_model.pb").rename(directory / "saved_model.pbtxt")
    assert "saved_model.pbtxt is there" in problem_of(directory)


def test_graph_beyond_protobuf_is_refused_unread(version: Version) -> None:
    """A saved_model.pb of 3 GiB is refused by its size."""
    directory = version()
    os.truncate(directory / "saved_model.pb", 3 << 30)  # sparse
    assert "more than protobuf can read" in problem_of(directory)


def test_missing_directory_is_refused(tmp_path: Path) -> None:
    """A directory that is not there, is a file or holds nothing is refused."""
    assert "cannot be read" in problem_of(tmp_path / "none")
    (tmp_path / "file").touch()
    assert "not a directory" in problem_of(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "holds no files" in problem_of(tmp_path / "empty")


@pytest.mark.parametrize("tags", [(), ("serve", "gpu"), ("train",)])
def test_tag_set_must_be_serve_alone(version: Version, tags: tuple[str, ...]) -> None:
    """Only the tag set {serve} is what the server asks for; a larger set does not match."""
    assert "has no graph tagged {serve}" in problem_of(version(tags=tags))


def test_version_without_signature_is_refused(version: Version) -> None:
    """A graph with internal signatures only cannot answer a request."""
    assert "has no signature" in problem_of(version(signature=""))


@pytest.mark.parametrize("in_function", [False, True])
def test_missing_variables_are_their_own_kind(version: Version, in_function: bool) -> None:
    """A graph with variables but no index, which a server would load and then fail with, can be let through by name."""
    directory = version(in_function=in_function)
    for file in (directory / "variables").iterdir():
        file.unlink()
    (directory / "variables").rmdir()
    (found,) = saved_model.problems(saved_model.inspect(directory))
    assert isinstance(found, IncompleteVariables)
    assert "variables.index: is missing" in str(found)
    with pytest.raises(ArtefactRefused):
        saved_model.check(directory)
    saved_model.check(directory, variables=False)


@pytest.mark.parametrize(
    ("lost", "said"),
    [
        (("variables.data-00001-of-00003",), "variables.data-00001-of-00003: is missing (shard 2 of 3)"),
        (tuple(f"variables.data-{n:05d}-of-00003" for n in range(3)), "there is an index without data"),
    ],
)
def test_missing_shards_are_named(version: Version, lost: tuple[str, ...], said: str) -> None:
    """Each shard that its set's count promises and that is not there is named."""
    directory = version(shards=3)
    for name in lost:
        (directory / "variables" / name).unlink()
    assert said in problem_of(directory)


def test_mixed_shards_and_cut_index_are_told(version: Version) -> None:
    """Shards of two exports in one directory, and an index that was cut off, are both reported."""
    directory = version()
    (directory / "variables" / "variables.data-00000-of-00002").write_bytes(b"1")
    (directory / "variables" / "variables.data-00001-of-00002").write_bytes(b"1")
    (directory / "variables" / "variables.index").write_bytes(b"abc")
    found = [problem.message for problem in saved_model.problems(saved_model.inspect(directory))]
    assert found == ["is cut off or damaged", "shards of different sets are there (of 1 and 2)"]


def test_missing_asset_is_named(version: Version) -> None:
    """An asset that the graph names must be there."""
    directory = version(assets=("words.txt",))
    (directory / "assets" / "words.txt").unlink()
    (directory / "assets" / "other.txt").touch()
    assert "assets/words.txt: is named as an asset but missing" in problem_of(directory)


def test_asset_outside_is_refused(tmp_path: Path, version: Version) -> None:
    """A graph that names an asset by a path out of assets/ is refused."""
    (tmp_path / "1" / "assets").parent.mkdir(exist_ok=True)
    (tmp_path / "1").rmdir()
    directory = version(assets=("../up.txt",))
    assert "outside of assets/" in problem_of(directory)


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _setuid(path: Path) -> None:
    path.touch()
    path.chmod(0o4755)


def _socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_fifo, "is a named pipe"),
        (_link, "is a symbolic link"),
        (_setuid, "is a set-uid or set-gid file"),
        (_socket, "is a socket"),
    ],
)
def test_special_files_are_refused(version: Version, make: Callable[[Path], None], said: str) -> None:
    """A link, pipe, socket or set-uid file anywhere in the tree is refused by path and kind, and nothing is opened."""
    directory = version()
    make(directory / "assets" / "odd")
    found = problem_of(directory)
    assert said in found
    assert "assets/odd" in found
