"""What a version directory holds, read from its protobufs alone: no model code runs and no TensorFlow is imported.

The layout is that of TensorFlow's SavedModel (tensorflow/cc/saved_model/constants.h)::

    NUMBER/saved_model.pb
    NUMBER/variables/variables.index
    NUMBER/variables/variables.data-00000-of-00001
    NUMBER/assets/...
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from google.protobuf.message import DecodeError

from fleetdeploy.domain.signatures import Signature
from fleetdeploy.errors import ArtefactRefused, Problem
from fleetdeploy.tfserving import stubs
from fleetdeploy.tfserving.signature_reader import GRAPH_FILE, SERVING_TAGS, serving_graph, signatures_of, tags_of
from fleetdeploy.tfserving.tree import walk

INDEX_FILE: Final = "variables/variables.index"
MAX_GRAPH_BYTES: Final = (2 << 30) - 1
"""protobuf reads no larger message."""

_LAYOUT: Final = "expected saved_model.pb, variables/variables.index, variables/variables.data-00000-of-0000N, assets/"
_SHARD: Final = re.compile(r"variables/variables\.data-(\d{5})-of-(\d{5})")
_TABLE_MAGIC: Final = bytes.fromhex("57fb808b247547db")
"""The last eight bytes of every complete variables.index (an SSTable, tensorflow/core/lib/io/format.h)."""

_VARIABLE_OPS: Final = frozenset({"VarHandleOp", "_VarHandlesOp", "Variable", "VariableV2", "AutoReloadVariable"})


@dataclass(frozen=True)
class IncompleteVariables(Problem):
    """Variables are missing or incomplete. Without variables.index the server even loads the version, calls it
    AVAILABLE, and then fails every request. Every other problem is a plain one: the server cannot load the version.
    """


@dataclass(frozen=True)
class SavedModelInfo:
    """What was found. ``found`` holds what was already wrong while reading; :func:`problems` adds what follows from it.

    ``files`` maps relative paths to sizes in bytes. ``signatures`` and ``assets`` (file names under assets/) are those
    of the graph with the serving tags, or of the first one.
    """

    directory: Path
    files: Mapping[str, int]
    found: tuple[Problem, ...] = ()
    parsed: bool = False
    tag_sets: tuple[tuple[str, ...], ...] = ()
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    has_variables: bool = False
    assets: tuple[str, ...] = ()
    index_complete: bool = True
    tensorflow_version: str = ""


def inspect(directory: Path) -> SavedModelInfo:
    """Read a version directory. Raises nothing for bad content: that is in the result, for :func:`problems`."""
    return read(directory)[0]


def read(directory: Path) -> tuple[SavedModelInfo, Any | None]:
    """A version directory as :func:`inspect` tells it, and its whole SavedModel message where it has one."""
    tree = walk(directory)
    files = {path: status.st_size for path, status in tree.files.items()}
    if tree.problems:  # nothing in a tree with links in it is opened
        return SavedModelInfo(directory, files, tree.problems), None
    model, failure = _read_graph(directory, files)
    if model is None:
        where = str(directory / GRAPH_FILE)
        return SavedModelInfo(directory, files, (Problem(failure, where, _LAYOUT),)), None
    graphs = list(model.meta_graphs)
    chosen = serving_graph(graphs)
    info = SavedModelInfo(
        directory,
        files,
        parsed=True,
        tag_sets=tuple(tags_of(graph) for graph in graphs),
        signatures=signatures_of(chosen) if chosen is not None else {},
        has_variables=chosen is not None and not _VARIABLE_OPS.isdisjoint(_ops(chosen.graph_def)),
        assets=tuple(sorted({item.filename for item in chosen.asset_file_def})) if chosen is not None else (),
        index_complete=INDEX_FILE not in files or _ends_with_magic(directory / INDEX_FILE),
        tensorflow_version=chosen.meta_info_def.tensorflow_version if chosen is not None else "",
    )
    return info, model


def problems(info: SavedModelInfo) -> tuple[Problem, ...]:
    """Everything that keeps the version from being served; ``where`` is the file."""
    found = list(info.found)
    if info.parsed:
        found += _graph_problems(info)
        found += _asset_problems(info)
        found += _variable_problems(info)
    return tuple(found)


def check(directory: Path, *, variables: bool = True) -> SavedModelInfo:
    """Inspect a version directory and raise ArtefactRefused with everything that is wrong with it.

    With ``variables`` false, :class:`IncompleteVariables` problems are let through.
    """
    info = inspect(directory)
    found = [item for item in problems(info) if variables or not isinstance(item, IncompleteVariables)]
    if found:
        raise ArtefactRefused(problems=found)
    return info


def _read_graph(directory: Path, files: Mapping[str, int]) -> tuple[Any, str]:
    """The SavedModel message, or None and why there is none."""
    if GRAPH_FILE not in files:
        if "saved_model.pbtxt" in files:
            return None, "is missing; saved_model.pbtxt is there, but only the binary form is shipped"
        return None, "is missing"
    size = files[GRAPH_FILE]
    if size == 0:
        return None, "is empty"
    if size > MAX_GRAPH_BYTES:
        return None, f"has {size} bytes, more than protobuf can read (2 GiB)"
    try:
        return stubs.saved_model_pb2.SavedModel.FromString((directory / GRAPH_FILE).read_bytes()), ""
    except DecodeError:
        return None, "does not parse as a SavedModel; it is damaged or was cut off"
    except OSError as error:
        return None, f"cannot be read: {error.strerror}"


def _ops(graph: Any) -> Iterable[str]:
    for node in graph.node:
        yield node.op
    for function in graph.library.function:
        for node in function.node_def:
            yield node.op


def _ends_with_magic(file: Path) -> bool:
    try:
        with file.open("rb") as stream:
            stream.seek(-len(_TABLE_MAGIC), os.SEEK_END)
            return stream.read() == _TABLE_MAGIC
    except OSError:  # also for a file shorter than the magic
        return False


def _graph_problems(info: SavedModelInfo) -> Iterator[Problem]:
    where = str(info.directory / GRAPH_FILE)
    if not info.tag_sets:
        yield Problem("holds no graph", where, "export the model again")
        return
    if SERVING_TAGS not in info.tag_sets:
        tags = " and ".join("{" + ", ".join(tag_set) + "}" for tag_set in info.tag_sets)
        yield Problem(f"has no graph tagged {{serve}}, only {tags}", where, "export with the tag `serve` alone")
    if not info.signatures:
        hint = "export it with signatures, such as `serving_default`"
        yield Problem("has no signature, so no request can be answered", where, hint)


def _asset_problems(info: SavedModelInfo) -> Iterator[Problem]:
    for name in info.assets:
        where = str(info.directory / "assets" / name)
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts:
            yield Problem(f"names the asset {name!r}, outside of assets/", str(info.directory / GRAPH_FILE), _LAYOUT)
        elif f"assets/{name}" not in info.files:
            yield Problem("is named as an asset but missing", where, "export the model again, or copy it whole")


def _variable_problems(info: SavedModelInfo) -> Iterator[IncompleteVariables]:
    """See the loader's RunRestore (tensorflow/cc/saved_model/loader.cc): no index means that nothing is restored."""
    where = str(info.directory / INDEX_FILE)
    shards = shards_of(info.files)
    if INDEX_FILE not in info.files:
        if info.has_variables:
            text = "is missing, and the graph has variables: every request would fail"
            yield IncompleteVariables(text, where, _LAYOUT)
        return
    if not info.index_complete:
        yield IncompleteVariables("is cut off or damaged", where, "copy the version directory again")
    if not shards:
        shard = str(info.directory / "variables/variables.data-00000-of-0000N")
        yield IncompleteVariables("is missing: there is an index without data", shard, _LAYOUT)
    if len(shards) > 1:
        counts = " and ".join(str(count) for count in sorted(shards))
        text = f"shards of different sets are there (of {counts})"
        yield IncompleteVariables(text, where, "export the model again into an empty directory")
    for count, numbers in sorted(shards.items()):
        for number in sorted(set(range(count)) - numbers)[:10]:
            shard = f"variables/variables.data-{number:05d}-of-{count:05d}"
            text = f"is missing (shard {number + 1} of {count})"
            yield IncompleteVariables(text, str(info.directory / shard), "copy the version directory again")


def shards_of(files: Iterable[str]) -> dict[int, set[int]]:
    """The shard numbers that are there, by the count in their names."""
    shards: defaultdict[int, set[int]] = defaultdict(set)
    for path in files:
        match = _SHARD.fullmatch(path)
        if match:
            shards[int(match[2])].add(int(match[1]))
    return dict(shards)
