"""What the stand-in's container image consists of, taken from this machine: a plan of files, nothing written yet.

Nothing is downloaded. The interpreter is the one that runs this code; the packages are those it imports.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fleetdeploy.errors import LabError

APP: Final = "opt/standin"
PYTHON: Final = "usr/bin/python3"
TENSORFLOW_LIBRARIES: Final = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
LITE_LIBRARIES: Final = (
    "lite/python/_pywrap_tensorflow_interpreter_wrapper.so",
    "lite/python/libpywrap_tflite_common.so",
)
"""TensorFlow Lite's interpreter, which the server loads with its first model of that kind."""

_TOOLS: Final = ("sh", "cat", "ls", "sleep", "id", "env", "head", "tail", "grep")
"""For a look inside with `docker exec`; those that this machine lacks are left out."""
_EMPTY_DIRECTORIES: Final = {"dev": 0o755, "proc": 0o755, "sys": 0o755, "run": 0o755, "models": 0o755, "tmp": 0o1777}
_NOT_FROM_STDLIB: Final = {
    "site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "turtledemo", "turtle.py", "ensurepip",
    "lib2to3", "pydoc_data", "__pycache__", "venv", "distutils",
}  # fmt: skip
_NOT_FROM_NUMPY: Final = {
    "tests", "testing", "typing", "f2py", "distutils", "doc", "random", "polynomial", "fft", "include", "_pyinstaller",
    "conftest.py", "__pycache__",
}  # fmt: skip
"""What `import numpy` does not touch."""
_NOT_FROM_DYNLOAD: Final = ("_tkinter", "_test", "_ctypes_test", "_xxtest", "xx", "_dbm", "_gdbm", "nis", "readline")
_OWN_RULES: Final = {"numpy"}
_TIMEOUT_S: Final = 120
_REQUIREMENTS: Final = "install the requirements of the lab, which include tensorflow-cpu and numpy"

_ETC: Final = {
    "etc/passwd": "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    # Names are never asked of a DNS server: none can be reached from a lab host, and each try would cost seconds.
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_SERVER: Final = f"""#!/bin/sh
# fleetdeploy's stand-in for TensorFlow Serving's model server.
PYTHONPATH=/{APP} exec /{PYTHON} -sSB -m fleetdeploy.lab.modelserver "$@"
"""
_ENTRYPOINT: Final = """#!/bin/bash
# Bash stays as process 1, as in TensorFlow Serving's image: it ignores SIGTERM, so that `docker stop` has to wait.
/usr/bin/tensorflow_model_server --port=8500 --rest_api_port=8501 "--model_name=${MODEL_NAME}" \\
    "--model_base_path=${MODEL_BASE_PATH}/${MODEL_NAME}" "$@"
"""

_TRACE: Final = """
import json, sys
import fleetdeploy.lab.modelserver.__main__
from fleetdeploy.tfserving import stubs
for name in stubs.PACKAGES:
    stubs.load(name)
print(json.dumps({name: module.__file__ for name, module in sys.modules.items() if getattr(module, "__file__", None)}))
"""


@dataclass
class RootFs:
    """Files of the image by their path in it (without a leading slash)."""

    files: dict[str, Path] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    """Small files written by hand; those in usr/bin are executable."""
    links: dict[str, str] = field(default_factory=dict)
    """Symbolic links."""
    directories: dict[str, int] = field(default_factory=dict)
    """Empty directories with their modes."""


def plan_rootfs() -> RootFs:
    """List everything that goes into the image. Raises LabError where a part of it is missing on this machine."""
    plan = RootFs(texts=dict(_ETC), directories=dict(_EMPTY_DIRECTORIES))
    plan.links |= {"bin": "usr/bin", "sbin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
    plan.texts["usr/bin/tensorflow_model_server"] = _SERVER
    plan.texts["usr/bin/tf_serving_entrypoint.sh"] = _ENTRYPOINT
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    plan.files[f"usr/bin/{version}"] = Path(sys.executable).resolve()
    plan.links[PYTHON] = version
    plan.files |= {f"usr/bin/{name}": path for name, path in programs().items()}
    plan.files |= {f"{APP}/tensorflow/{library}": path for library, path in tensorflow_libraries().items()}
    _add_numpy(plan)
    _add_stdlib(plan, version)
    _add_packages(plan)
    _add_shared_libraries(plan)
    return plan


def programs() -> Mapping[str, Path]:
    """Bash and other programs of this machine by their names.

    Raises LabError without bash: it is the image's first process.
    """
    found = {name: shutil.which(name, path="/usr/bin:/bin") for name in ("bash", *_TOOLS)}
    if found["bash"] is None:
        raise LabError("bash is not installed: the stand-in's image has it as its first process", hint="install bash")
    return {name: Path(path).resolve() for name, path in found.items() if path}


def _add_stdlib(plan: RootFs, version: str) -> None:
    stdlib = Path(sysconfig.get_path("stdlib"))
    for path in _walk(stdlib, skip=_NOT_FROM_STDLIB):
        inside = path.relative_to(stdlib)
        if inside.parts[0].startswith("config-") or path.suffix not in {".py", ".so"}:
            continue
        if inside.parts[0] == "lib-dynload" and (path.name.startswith(_NOT_FROM_DYNLOAD) or _unmet(path)):
            continue
        plan.files[f"usr/lib/{version}/{inside}"] = path


def _add_packages(plan: RootFs) -> None:
    """What the server imports: whole packages of gRPC and protobuf, single modules of everything else."""
    stdlib = Path(sysconfig.get_path("stdlib"))
    for name, file in _imported_modules().items():
        path = Path(file)
        top = name.partition(".")[0]
        if (
            top in _OWN_RULES
            or name.startswith("_distutils_hack")
            or (stdlib in path.parents and "site-packages" not in path.parts)
        ):
            continue
        if top in {"grpc", "google"}:
            root = next(parent for parent in path.parents if parent.name == top)
            for each in _walk(root, skip={"__pycache__", "tests"}):
                if top == "grpc" or "protobuf" in each.parts or "_upb" in each.parts:
                    plan.files[f"{APP}/{top}/{each.relative_to(root)}"] = each
        elif top == "fleetdeploy" and path.name == "__init__.py" and "modelserver" not in path.parts:
            plan.texts[f"{APP}/{name.replace('.', '/')}/__init__.py"] = ""  # none of the lab's or the deployer's code
        else:
            inside = name.replace(".", "/") + ("/__init__.py" if path.name == "__init__.py" else path.suffix)
            plan.files[f"{APP}/{inside}"] = path
    server = Path(__file__).parents[1] / "modelserver"
    for each in _walk(server, skip={"__pycache__"}):  # all of it: some modules are imported when they are needed
        if each.suffix == ".py":
            plan.files[f"{APP}/fleetdeploy/lab/modelserver/{each.relative_to(server)}"] = each


def _add_numpy(plan: RootFs) -> None:
    """NumPy, for TensorFlow Lite's interpreter, and the libraries that its wheel brings beside it."""
    spec = importlib.util.find_spec("numpy")
    if spec is None or not spec.submodule_search_locations:
        raise LabError("NumPy is not installed: TensorFlow Lite's interpreter needs it", hint=_REQUIREMENTS)
    package = Path(next(iter(spec.submodule_search_locations)))
    for path in _walk(package, skip=_NOT_FROM_NUMPY):
        if path.suffix in {".py", ".so"}:
            plan.files[f"{APP}/numpy/{path.relative_to(package)}"] = path
    beside = package.with_name("numpy.libs")
    for path in _walk(beside, skip=()) if beside.is_dir() else ():
        plan.files[f"{APP}/numpy.libs/{path.name}"] = path


def tensorflow_libraries() -> Mapping[str, Path]:
    """The libraries that the server loads, by their place in TensorFlow's directory. Raises LabError."""
    directory = tensorflow_directory()
    for library in LITE_LIBRARIES:
        if not (directory / library).is_file():
            raise LabError("TensorFlow Lite's interpreter is not installed", where=library, hint=_REQUIREMENTS)
    return {library: directory / library for library in (*TENSORFLOW_LIBRARIES, *LITE_LIBRARIES)}


def tensorflow_directory() -> Path:
    """Where the installed TensorFlow keeps its shared libraries. Raises LabError."""
    spec = importlib.util.find_spec("tensorflow")
    for place in (spec and spec.submodule_search_locations) or ():
        if all((Path(place) / library).is_file() for library in TENSORFLOW_LIBRARIES):
            return Path(place)
    raise LabError(
        "TensorFlow's shared libraries are not installed",
        hint=_REQUIREMENTS,
    )


def _imported_modules() -> dict[str, str]:
    """Modules a fresh interpreter has after importing the server and all stubs, with their files."""
    package_root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", _TRACE],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(package_root), *filter(None, sys.path)])},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    if done.returncode != 0:
        raise LabError("the stand-in server cannot be imported", detail=done.stderr[-2000:])
    modules: dict[str, str] = json.loads(done.stdout)
    return modules


def _walk(root: Path, *, skip: Iterable[str]) -> Iterator[Path]:
    """Regular files below a directory, in a fixed order."""
    skipped = set(skip)
    for path in sorted(root.iterdir()):
        if path.name in skipped:
            continue
        if path.is_dir():
            yield from _walk(path, skip=skipped)
        elif path.is_file():
            yield path


def _add_shared_libraries(plan: RootFs) -> None:
    """Everything ldd names, in the directory of libc, and the loader at the path that is built into binaries."""
    planned = {path.resolve() for path in plan.files.values()}  # libraries that lie beside what needs them
    binaries = [path for target, path in plan.files.items() if ".so" in path.name or target.startswith("usr/bin/")]
    found = {
        name: place
        for binary in binaries
        for name, place in _needed(binary).items()
        if place is not None and place.resolve() not in planned
    }
    libc = found.get("libc.so.6")
    if libc is None:
        raise LabError("the interpreter's C library was not found", hint="ldd must work for " + sys.executable)
    directory = "usr/lib/" + libc.parent.name if libc.parent.name not in {"lib", "lib64"} else f"usr/{libc.parent.name}"
    for name, place in found.items():
        target = f"usr/lib64/{place.name}" if name.startswith("/") else f"{directory}/{name}"
        plan.files[target] = place.resolve()
    names = libc.with_name("libnss_files.so.2")  # a part of libc itself since 2.34
    if names.exists():
        plan.files[f"{directory}/{names.name}"] = names.resolve()
    if not any(target.startswith("usr/lib64/") for target in plan.files):
        plan.directories["usr/lib64"] = 0o755


def _unmet(binary: Path) -> bool:
    """Whether a library that a binary needs is missing on this machine."""
    return None in _needed(binary).values()


def _needed(binary: Path) -> dict[str, Path | None]:
    """Shared libraries of a binary as ldd resolves them; the loader has its path for a name."""
    done = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    needed: dict[str, Path | None] = {}
    for line in done.stdout.splitlines():
        if match := re.match(r"\s*(\S+) => (/\S+)", line):
            needed[match[1]] = Path(match[2])
        elif match := re.match(r"\s*(\S+) => not found", line):
            needed[match[1]] = None
        elif match := re.match(r"\s*(/\S+) \(", line):
            needed[match[1]] = Path(match[1])
    return needed
