"""Everything that a person asks about a model directory before it is shipped, without TensorFlow and without a host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import DecodeError

from fleetdeploy.domain.signatures import SignatureChange
from fleetdeploy.errors import InputError, Problem
from fleetdeploy.tfserving import risky_ops, saved_model, stubs
from fleetdeploy.tfserving.saved_model import SavedModelInfo
from fleetdeploy.tfserving.signature_changes import compare
from fleetdeploy.tfserving.signature_reader import GRAPH_FILE, serving_graph
from fleetdeploy.tfserving.version_names import is_version, versions_in

WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
LITE_FILE: Final = "model.tflite"
FINGERPRINT_FILE: Final = "fingerprint.pb"
_LITE_MAGIC: Final = b"TFL3"
"""Bytes 4 to 7 of every TensorFlow Lite model (the file identifier in tensorflow/lite/schema/schema.fbs)."""


@dataclass(frozen=True)
class Pin:
    """A device that nodes ask for by name: how many, and one of them."""

    nodes: int
    example: str


@dataclass(frozen=True)
class VersionInspection:
    """One version directory. ``number`` is None where the directory's name is no version number.

    ``variable_shards`` maps the count in the shards' names to the numbers that are there; ``risky`` maps operations
    to how they reach beyond the graph, ``ops`` counts all; ``fingerprint`` is empty without a readable one; ``lite``
    is whether ``model.tflite`` is there and is one, None without that file.
    """

    directory: Path
    number: int | None
    info: SavedModelInfo
    problems: tuple[Problem, ...]
    git_version: str = ""
    schema_version: int = 0
    ops: Mapping[str, int] = field(default_factory=dict)
    risky: Mapping[str, str] = field(default_factory=dict)
    devices: Mapping[str, Pin] = field(default_factory=dict)
    variable_shards: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    fingerprint: Mapping[str, str] = field(default_factory=dict)
    lite: bool | None = None

    @property
    def size_bytes(self) -> int:
        return sum(self.info.files.values())


@dataclass(frozen=True)
class Step:
    """How a version's signatures differ from those of the version before it."""

    before: int
    after: int
    changes: tuple[SignatureChange, ...]


@dataclass(frozen=True)
class ModelInspection:
    """A version directory, or all versions of a model. ``ignored`` names what the server would not take for one."""

    path: Path
    versions: tuple[VersionInspection, ...]
    steps: tuple[Step, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[Problem, ...]:
        return tuple(problem for version in self.versions for problem in version.problems)


def inspect_path(path: Path) -> ModelInspection:
    """A model directory (one that holds versions) or a version directory.

    Raises InputError for a path that is neither; what is wrong inside a version is in the result.
    """
    try:
        names = sorted(child.name for child in path.iterdir())
        numbers = versions_in(path)
    except NotADirectoryError:
        hint = f"name the directory: {path.parent}" if path.name in (GRAPH_FILE, LITE_FILE) else "name a directory"
        raise InputError("is a file, not a model or version directory", where=str(path), hint=hint) from None
    except OSError as error:
        raise InputError(
            f"cannot be read: {error.strerror}", where=str(path), hint="check its owner and mode"
        ) from None
    if GRAPH_FILE in names or LITE_FILE in names or not numbers:
        if not numbers and not _looks_like_version(path, names):
            raise InputError(
                "holds no version directory and no SavedModel",
                where=str(path),
                hint=_below(path, names),
            )
        return ModelInspection(path, (inspect_version(path),))
    versions = tuple(inspect_version(path / str(number)) for number in numbers)
    ignored = tuple(name for name in names if not (is_version(name) and (path / name).is_dir()))
    return ModelInspection(path, versions, tuple(_steps(versions)), ignored)


def inspect_version(directory: Path) -> VersionInspection:
    """One version directory. Raises nothing for bad content."""
    name = directory.absolute().name
    number = int(name) if is_version(name) else None
    info, model = saved_model.read(directory)
    found = VersionInspection(
        directory,
        number,
        info,
        saved_model.problems(info),
        variable_shards={count: tuple(sorted(there)) for count, there in saved_model.shards_of(info.files).items()},
        fingerprint=_fingerprint(directory) if FINGERPRINT_FILE in info.files and not info.found else {},
        lite=_is_lite(directory / LITE_FILE) if LITE_FILE in info.files and not _linked(info) else None,
    )
    graph = serving_graph(list(model.meta_graphs)) if model is not None else None
    return found if model is None or graph is None else _with_graph(found, model, graph)


def _with_graph(found: VersionInspection, model: Any, graph: Any) -> VersionInspection:
    ops: Counter[str] = Counter()
    devices: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for node in _nodes(graph.graph_def):
        ops[node.op] += 1
        if node.device:
            devices[node.device] += 1
            examples.setdefault(node.device, node.name)
    return replace(
        found,
        git_version=graph.meta_info_def.tensorflow_git_version,
        schema_version=model.saved_model_schema_version,
        ops=dict(sorted(ops.items())),
        risky=risky_ops.reasons(ops),
        devices={name: Pin(count, examples[name]) for name, count in sorted(devices.items())},
    )


def _nodes(graph: Any) -> Iterator[Any]:
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _looks_like_version(path: Path, names: list[str]) -> bool:
    known = {GRAPH_FILE, "saved_model.pbtxt", "variables", "assets", FINGERPRINT_FILE, LITE_FILE}
    return is_version(path.absolute().name) or not known.isdisjoint(names)


def _below(path: Path, names: list[str]) -> str:
    """Which directories inside would have been right."""
    try:
        models = [name for name in names if (path / name).is_dir() and versions_in(path / name)]
    except OSError:
        models = []
    if models:
        return f"name one of the models in it: {', '.join(models[:8])}"
    return "a model directory holds versions (MODEL/7), a version directory holds saved_model.pb"


def _linked(info: SavedModelInfo) -> bool:
    """Whether the tree itself is bad, so that nothing in it is opened."""
    return bool(info.found) and not all(problem.where.endswith(GRAPH_FILE) for problem in info.found)


def _is_lite(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            return stream.read(8)[4:] == _LITE_MAGIC
    except OSError:
        return False


def _fingerprint(directory: Path) -> dict[str, str]:
    """Each hash as 16 hexadecimal digits (tensorflow/core/protobuf/fingerprint.proto)."""
    try:
        found = stubs.fingerprint_pb2.FingerprintDef.FromString((directory / FINGERPRINT_FILE).read_bytes())
    except (DecodeError, OSError):
        return {}
    hashes = (
        "saved_model_checksum",
        "graph_def_program_hash",
        "signature_def_hash",
        "saved_object_graph_hash",
        "checkpoint_hash",
    )
    return {**{name: f"{getattr(found, name):016x}" for name in hashes}, **({"uuid": found.uuid} if found.uuid else {})}


def _steps(versions: tuple[VersionInspection, ...]) -> Iterator[Step]:
    """Between versions that follow each other and could both be read."""
    readable = [version for version in versions if version.info.parsed]
    for before, after in pairwise(readable):
        changes = compare(before.info.signatures, after.info.signatures)
        if changes and before.number is not None and after.number is not None:
            yield Step(before.number, after.number, changes)
