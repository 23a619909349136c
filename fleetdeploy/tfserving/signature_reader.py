"""Signatures out of a ``saved_model.pb``, also without reading the graph in it, which is most of the file.

The planner wants the signatures of every version that a host may serve. Parsing whole graphs for that would cost
seconds, so :func:`read` walks the outermost fields (protobuf's encoding guide, "Message Structure") and jumps over
those that hold graphs.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from google.protobuf.message import DecodeError

from fleetdeploy.domain.signatures import KnownSignatures, Signature, TensorSpec
from fleetdeploy.tfserving import dtypes, stubs

GRAPH_FILE: Final = "saved_model.pb"
SERVING_TAGS: Final = ("serve",)
"""The server's ``--saved_model_tags`` default; a tag set must be equal to it, not only contain it."""

_INTERNAL_SIGNATURES: Final = frozenset({"__saved_model_init_op", "__saved_model_train_op"})
_META_GRAPHS: Final = 2
"""SavedModel.meta_graphs (tensorflow/core/protobuf/saved_model.proto)."""

_KEPT: Final = frozenset({1, 5})
"""MetaGraphDef.meta_info_def and .signature_def (tensorflow/core/protobuf/meta_graph.proto)."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def read(directory: Path) -> KnownSignatures:
    """The signatures of a version directory's serving graph. Raises nothing: what is wrong is in the result."""
    file = directory / GRAPH_FILE
    try:
        # Not through a link, and not waiting for whoever writes into a pipe.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                return KnownSignatures(problem=f"{file} is not a regular file")
            graphs = list(_without_graphs(stream, status.st_size))
    except OSError as error:
        return KnownSignatures(problem=f"{file} cannot be read: {error.strerror}")
    except DecodeError:
        return KnownSignatures(problem=f"{file} does not parse as a SavedModel")
    chosen = serving_graph(graphs)
    if chosen is None:
        return KnownSignatures(problem=f"{file} holds no graph")
    return KnownSignatures(signatures_of(chosen), status.st_size)


def tags_of(meta_graph: Any) -> tuple[str, ...]:
    """The tag set of a graph, sorted."""
    return tuple(sorted(set(meta_graph.meta_info_def.tags)))


def serving_graph(meta_graphs: list[Any]) -> Any | None:
    """The graph with the serving tags, else the first one, else None."""
    return next((graph for graph in meta_graphs if tags_of(graph) == SERVING_TAGS), next(iter(meta_graphs), None))


def signatures_of(meta_graph: Any) -> dict[str, Signature]:
    """The signatures that requests can name, sorted."""
    return {
        name: Signature(
            _specs(definition.inputs),
            _specs(definition.outputs),
            method_name=definition.method_name,
            defaults=frozenset(definition.defaults),
        )
        for name, definition in sorted(meta_graph.signature_def.items())
        if name not in _INTERNAL_SIGNATURES
    }


def _specs(tensors: Mapping[str, Any]) -> dict[str, TensorSpec]:
    specs: dict[str, TensorSpec] = {}
    for name, tensor in sorted(tensors.items()):
        shape = tensor.tensor_shape
        sizes = tuple(dim.size if dim.size >= 0 else None for dim in shape.dim)
        specs[name] = TensorSpec(name, dtypes.name_of(tensor.dtype), None if shape.unknown_rank else sizes)
    return specs


def _without_graphs(stream: BinaryIO, size: int) -> Iterator[Any]:
    """Every MetaGraphDef of a SavedModel, with the fields of ``_KEPT`` alone."""
    for number, start, end in _fields(stream, 0, size):
        if number != _META_GRAPHS:
            continue
        kept = bytearray()
        for inner, first, last in _fields(stream, start, end):
            if inner in _KEPT:
                stream.seek(first)
                kept += _varint_bytes(inner << 3 | _BYTES) + _varint_bytes(last - first) + stream.read(last - first)
        yield stubs.meta_graph_pb2.MetaGraphDef.FromString(bytes(kept))


def _fields(stream: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of every length-delimited field between two places. Raises DecodeError."""
    place = start
    while place < end:
        stream.seek(place)
        tag = _varint(stream)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            _varint(stream)
            place = stream.tell()
        elif kind in (_FIXED64, _FIXED32):
            place = stream.tell() + (8 if kind == _FIXED64 else 4)
        elif kind == _BYTES:
            length = _varint(stream)
            first = stream.tell()
            place = first + length
            if place <= end:
                yield number, first, place
        else:
            raise DecodeError("a wire type that is not in use")
        if number == 0 or place > end:
            raise DecodeError("a field that ends behind its message")


def _varint(stream: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = stream.read(1)
        if not byte:
            break
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    raise DecodeError("a number that does not end")


def _varint_bytes(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
