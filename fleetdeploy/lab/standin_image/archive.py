"""Builds the stand-in's container image as a tar of its root file system, with nothing from a registry.

    recipe = image_recipe()
    if not cached(recipe.key):
        build_rootfs_tar(tar)
    docker import -c CHANGE ... tar NAME:1.0          # one -c for each of recipe.changes

A further tag with the same content and another `--version` is a layer without files: `derived_dockerfile`.
"""

import hashlib
import importlib.metadata
import io
import os
import py_compile
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fleetdeploy.errors import LabError
from fleetdeploy.lab.modelserver import VERSION
from fleetdeploy.lab.standin_image.rootfs import (
    APP,
    LITE_LIBRARIES,
    TENSORFLOW_LIBRARIES,
    RootFs,
    plan_rootfs,
    programs,
    tensorflow_libraries,
)

_LAYOUT: Final = 1
"""Raised when the tar changes in a way that the inputs of its key do not show."""
_STRIPPED: Final = frozenset({*TENSORFLOW_LIBRARIES, LITE_LIBRARIES[1]})
"""NumPy's libraries are left as they are: tools that bundled them moved things that `strip` does not expect moved."""
_PACKAGE: Final = Path(__file__).resolve().parents[2]
_TIMEOUT_S: Final = 300


@dataclass(frozen=True)
class ImageRecipe:
    """How to make an image of the tar."""

    key: str
    """Hash of everything that goes into the tar; equal keys mean equal images."""
    build: str
    """Shown by `--version`."""
    changes: tuple[str, ...]
    """Dockerfile instructions for `docker import --change`."""


def image_recipe(build: str = VERSION) -> ImageRecipe:
    """Describe the image without building it (milliseconds). Raises LabError where TensorFlow is not installed."""
    return ImageRecipe(
        key=_key(),
        build=build,
        changes=(
            'ENTRYPOINT ["/usr/bin/tf_serving_entrypoint.sh"]',
            "ENV PATH=/usr/bin",
            "ENV MODEL_NAME=model",
            "ENV MODEL_BASE_PATH=/models",
            "EXPOSE 8500",
            "EXPOSE 8501",
            *_build_changes(build),
        ),
    )


def derived_dockerfile(base: str, build: str) -> str:
    """Dockerfile of an image like `base` whose server says it is another build; adds no files.

    For `docker build --pull=false -`, fed on stdin.
    """
    return "\n".join([f"FROM {base}", *_build_changes(build), ""])


def _build_changes(build: str) -> tuple[str, ...]:
    return (
        f"ENV STANDIN_BUILD={build}",
        'LABEL org.opencontainers.image.title="tensorflow_model_server (stand-in)"',
        'LABEL org.opencontainers.image.description="Stand-in for TensorFlow Serving, made by fleetdeploy for its lab"',
        f"LABEL org.opencontainers.image.version={build}",
    )


def build_rootfs_tar(destination: Path) -> ImageRecipe:
    """Write the root file system as a tar to `destination` (about 700 MB, some 10 s) and return its recipe.

    The file appears complete or not at all. Raises LabError.
    """
    recipe = image_recipe()
    plan = plan_rootfs()
    with tempfile.TemporaryDirectory(dir=destination.parent, prefix=".rootfs-") as scratch:
        partial = Path(scratch) / "rootfs.tar"
        for library, path in tensorflow_libraries().items():
            if library in _STRIPPED:
                plan.files[f"{APP}/tensorflow/{library}"] = _stripped(path, Path(scratch))
        with tarfile.open(partial, "w", format=tarfile.GNU_FORMAT) as tar:
            _write(tar, plan, Path(scratch))
        partial.replace(destination)
    return recipe


def _write(tar: tarfile.TarFile, plan: RootFs, scratch: Path) -> None:
    byte_code = _byte_code(plan, scratch)
    parents = {str(parent) for target in _targets(plan, byte_code) for parent in Path(target).parents} - {"."}
    for directory in sorted(parents | set(plan.directories)):
        entry = tarfile.TarInfo(directory)
        entry.type, entry.mode = tarfile.DIRTYPE, plan.directories.get(directory, 0o755)
        tar.addfile(entry)
    for target, link in sorted(plan.links.items()):
        entry = tarfile.TarInfo(target)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, link, 0o777
        tar.addfile(entry)
    for target, text in sorted(plan.texts.items()):
        entry = tarfile.TarInfo(target)
        entry.mode, entry.size = (0o755 if target.startswith("usr/bin/") else 0o644), len(text.encode())
        tar.addfile(entry, io.BytesIO(text.encode()))
    for target, path in sorted({**plan.files, **byte_code}.items()):
        entry = tarfile.TarInfo(target)
        status = path.stat()
        runs = target.startswith("usr/bin/") or ".so" in Path(target).name
        entry.mode, entry.size, entry.mtime = (0o755 if runs else 0o644), status.st_size, int(status.st_mtime)
        with path.open("rb") as content:
            tar.addfile(entry, content)


def _targets(plan: RootFs, byte_code: dict[str, Path]) -> list[str]:
    return [*plan.files, *plan.texts, *plan.links, *byte_code]


def _byte_code(plan: RootFs, scratch: Path) -> dict[str, Path]:
    """Compile every module, by target path: the image's file system is read-only, so nothing could be kept there later.

    Unchecked, so that no time stamp matters.
    """
    compiled: dict[str, Path] = {}
    tag = sys.implementation.cache_tag
    for number, (target, path) in enumerate(sorted(plan.files.items())):
        if path.suffix != ".py":
            continue
        output = scratch / f"{number}.pyc"
        try:
            py_compile.compile(
                str(path),
                cfile=str(output),
                dfile=f"/{target}",
                doraise=True,
                quiet=1,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            continue  # a few of the standard library's files are not meant to compile
        inside = Path(target)
        compiled[str(inside.parent / "__pycache__" / f"{inside.stem}.{tag}.pyc")] = output
    return compiled


def _stripped(library: Path, scratch: Path) -> Path:
    """The library without its symbol table (a quarter of its size), or as it is where there is no `strip`."""
    strip = shutil.which("strip")
    if strip is None:
        return library
    output = scratch / library.name
    done = subprocess.run(
        [strip, "--strip-unneeded", "-o", str(output), str(library)],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise LabError(f"{library.name} cannot be stripped", where=str(library), detail=done.stderr[-2000:])
    return output


def _key(package: Path = _PACKAGE) -> str:
    """Hash over the stand-in's code, the interpreter, and what comes from packages and from this machine."""
    digest = hashlib.sha256(f"{_LAYOUT} {sys.version} {Path(sys.executable).resolve()}".encode())
    for distribution in ("grpcio", "protobuf", "tensorflow-serving-api", "numpy"):
        digest.update(f"{distribution} {importlib.metadata.version(distribution)}\n".encode())
    for name, path in {**tensorflow_libraries(), **programs()}.items():
        status = path.stat()
        digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    digest.update(str(bool(shutil.which("strip"))).encode())
    rooms = (package / "lab" / "modelserver", package / "lab" / "standin_image")
    sources = [file for room in rooms for file in sorted(room.rglob("*.py"))]
    for source in [*sources, package / "tfserving" / "stubs.py"]:
        digest.update(os.fsencode(source.relative_to(package)) + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()
