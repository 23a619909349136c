"""The plan of the stand-in's image and the tar that is made of it; what is in them is run by the fleet tests."""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fleetdeploy.errors import LabError
from fleetdeploy.lab.standin_image import archive, rootfs
from fleetdeploy.lab.standin_image.rootfs import RootFs

PACKAGE = Path(archive.__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the sources that go into the image."""
    for room in ("lab/modelserver", "lab/standin_image"):
        shutil.copytree(PACKAGE / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "tfserving").mkdir()
    shutil.copy(PACKAGE / "tfserving" / "stubs.py", tmp_path / "tfserving")
    return tmp_path


@pytest.mark.parametrize(
    "changed", ["lab/modelserver/apis/rest_server.py", "lab/standin_image/rootfs.py", "tfserving/stubs.py"]
)
def test_the_key_changes_with_every_source(package: Path, changed: str) -> None:
    """The key is that of the contents: the same for a copy, another one when any source is another."""
    before = archive._key(package)
    assert before == archive._key() == archive.image_recipe().key
    (package / changed).write_text((package / changed).read_text() + "\n# another line\n")
    assert archive._key(package) != before


def test_the_key_changes_with_a_new_module(package: Path) -> None:
    """A module that was not there before makes another image."""
    before = archive._key(package)
    (package / "lab" / "modelserver" / "new.py").touch()
    assert archive._key(package) != before


@pytest.mark.parametrize("library", [*rootfs.TENSORFLOW_LIBRARIES, *rootfs.LITE_LIBRARIES, "bash"])
def test_the_key_changes_with_what_comes_from_this_machine(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, library: str
) -> None:
    """Each of TensorFlow's libraries, and bash, are part of the key by size and time."""
    before = archive._key()
    (tmp_path / "another").write_bytes(b"another")
    source = "programs" if library == "bash" else "tensorflow_libraries"
    found = {**getattr(rootfs, source)(), library: tmp_path / "another"}
    monkeypatch.setattr(archive, source, lambda: found)
    assert archive._key() != before


def without(module: str) -> Callable[..., Any]:
    """find_spec on a machine that lacks a module."""
    real = importlib.util.find_spec
    return lambda name, *rest: None if name == module else real(name, *rest)


@pytest.mark.parametrize(
    ("module", "said"), [("tensorflow", "TensorFlow's shared libraries are not installed"), ("numpy", "NumPy is not")]
)
def test_a_missing_package_is_said(monkeypatch: pytest.MonkeyPatch, module: str, said: str) -> None:
    """Without TensorFlow or NumPy no image is planned, and the error says what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", without(module))
    with pytest.raises(LabError, match=said) as caught:
        rootfs.plan_rootfs()
    assert "requirements of the lab" in str(caught.value.hint)


def test_a_wheel_without_tensorflow_lite_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A TensorFlow that has no interpreter for TensorFlow Lite makes no image."""
    monkeypatch.setattr(rootfs, "tensorflow_directory", lambda: tmp_path)
    with pytest.raises(LabError, match="TensorFlow Lite's interpreter is not installed"):
        archive.image_recipe()


def test_missing_bash_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without bash, the image's first process, no image is planned; other programs may be missing."""
    monkeypatch.setattr(rootfs.shutil, "which", lambda name, **_: None if name == "bash" else sys.executable)
    with pytest.raises(LabError, match="bash is not installed"):
        rootfs.programs()
    monkeypatch.setattr(rootfs.shutil, "which", lambda name, **_: sys.executable if name == "bash" else None)
    assert list(rootfs.programs()) == ["bash"]


def test_libraries_keep_their_place_or_lie_with_libc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library that is planned beside its user is not planned twice; all others lie in the directory of libc."""
    system = tmp_path / "lib" / "some-linux"
    system.mkdir(parents=True)
    files = {name: system / name for name in ("libc.so.6", "libm.so.6", "ld.so")}
    files |= {"own.so": tmp_path / "own.so", "user.so": tmp_path / "user.so"}
    for path in files.values():
        path.touch()
    needed = {"libc.so.6": files["libc.so.6"], "libm.so.6": files["libm.so.6"], "own.so": files["own.so"]}
    monkeypatch.setattr(rootfs, "_needed", lambda _: {**needed, "/lib64/ld.so": files["ld.so"]})
    plan = RootFs(files={"opt/standin/user.so": files["user.so"], "opt/standin/beside/own.so": files["own.so"]})
    rootfs._add_shared_libraries(plan)
    assert sorted(plan.files) == [
        "opt/standin/beside/own.so",
        "opt/standin/user.so",
        "usr/lib/some-linux/libc.so.6",
        "usr/lib/some-linux/libm.so.6",
        "usr/lib64/ld.so",
    ]


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, tarfile.TarInfo]:
    """The entries of the tar that is made of a tiny plan."""
    module = tmp_path / "module.py"
    module.write_text("x = 1\n")
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    plan = RootFs(
        files={"opt/standin/deep/module.py": module, "usr/bin/program": program, "usr/lib/lib.so.1": program},
        texts={"etc/passwd": "root:x:0:0\n", "usr/bin/start": "#!/bin/bash\n"},
        links={"bin": "usr/bin"},
        directories={"tmp": 0o1777, "models": 0o755},
    )
    monkeypatch.setattr(archive, "plan_rootfs", lambda: plan)
    monkeypatch.setattr(archive, "tensorflow_libraries", lambda: {"libtensorflow_cc.so.2": program})
    monkeypatch.setattr(archive, "_stripped", lambda library, _: library)
    archive.build_rootfs_tar(tmp_path / "rootfs.tar")
    assert not list(tmp_path.glob(".rootfs-*"))
    with tarfile.open(tmp_path / "rootfs.tar") as tar:
        return {entry.name: entry for entry in tar.getmembers()}


def test_the_tar_has_every_directory_before_its_files(built: dict[str, tarfile.TarInfo]) -> None:
    """All directories come first, each after its parent, with the planned modes."""
    names = list(built)
    directories = [name for name in names if built[name].isdir()]
    assert names[: len(directories)] == directories == sorted(directories)
    assert {str(parent) for name in names for parent in Path(name).parents} - {"."} <= set(directories)
    assert (built["tmp"].mode, built["models"].mode) == (0o1777, 0o755)


def test_the_tar_has_programs_that_run(built: dict[str, tarfile.TarInfo]) -> None:
    """What lies in usr/bin and every library is executable, nothing else is; links are links."""
    files = {name for name, entry in built.items() if entry.isfile()}
    assert {name for name in files if built[name].mode == 0o755} == {
        "opt/standin/tensorflow/libtensorflow_cc.so.2",
        "usr/bin/program",
        "usr/bin/start",
        "usr/lib/lib.so.1",
    }
    assert built["bin"].issym()
    assert built["bin"].linkname == "usr/bin"


def test_the_tar_has_byte_code(built: dict[str, tarfile.TarInfo]) -> None:
    """Every module comes compiled: a read-only container could not keep what it compiles."""
    assert f"opt/standin/deep/__pycache__/module.{sys.implementation.cache_tag}.pyc" in built


def test_the_tar_belongs_to_root_alone(built: dict[str, tarfile.TarInfo]) -> None:
    """Whoever builds the image, its files are root's and nobody else may write to them."""
    assert {(entry.uid, entry.gid) for entry in built.values()} == {(0, 0)}
    assert [name for name, entry in built.items() if entry.mode & 0o022 and not entry.issym()] == ["tmp"]


def test_the_entrypoint_is_bash_without_exec() -> None:
    """The script is bash's and keeps its process, with quotes around whatever it is given."""
    script = rootfs._ENTRYPOINT
    assert script.startswith("#!/bin/bash\n")
    assert "exec " not in script
    assert script.rstrip().endswith('"$@"')


def test_a_later_build_changes_nothing_but_its_name() -> None:
    """Another build is a layer without files on the first one, and both have one key."""
    assert archive.image_recipe("2.0").key == archive.image_recipe("1.0").key
    dockerfile = archive.derived_dockerfile("some/image:1.0", "2.0").splitlines()
    assert dockerfile[0] == "FROM some/image:1.0"
    assert {line.split()[0] for line in dockerfile[1:]} == {"ENV", "LABEL"}
    assert "ENV STANDIN_BUILD=2.0" in dockerfile
