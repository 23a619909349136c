"""TensorFlow's C API through ctypes: the loader and the runtime the real server links, without Python's TensorFlow.

A tensor is passed around as the address of a `TF_Tensor`; who gets one frees it with `delete_tensor`.
See tensorflow/c/c_api.h and tensorflow/c/tf_tensor.h.
"""

import ctypes
import importlib.util
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

from fleetdeploy.lab.modelserver.status import Code, StatusError

TENSORFLOW_DIRECTORY: Final = "STANDIN_TENSORFLOW_DIR"
"""Environment variable naming the directory of `libtensorflow_cc.so.2`, where it is not the installed wheel's."""

_FLOAT: Final = 1


class Output(ctypes.Structure):
    """`TF_Output`: one output of one operation."""

    _fields_ = (("operation", c_void_p), ("index", c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", c_void_p), ("length", c_size_t), ("deallocator", c_void_p))


_FUNCTIONS: Final[dict[str, tuple[Any, list[Any]]]] = {
    "TF_Version": (c_char_p, []),
    "TF_NewStatus": (c_void_p, []),
    "TF_DeleteStatus": (None, [c_void_p]),
    "TF_GetCode": (c_int, [c_void_p]),
    "TF_Message": (c_char_p, [c_void_p]),
    "TF_NewBuffer": (POINTER(_Buffer), []),
    "TF_NewBufferFromString": (POINTER(_Buffer), [c_char_p, c_size_t]),
    "TF_DeleteBuffer": (None, [POINTER(_Buffer)]),
    "TF_NewGraph": (c_void_p, []),
    "TF_DeleteGraph": (None, [c_void_p]),
    "TF_GraphOperationByName": (c_void_p, [c_void_p, c_char_p]),
    "TF_OperationNumOutputs": (c_int, [c_void_p]),
    "TF_NewSessionOptions": (c_void_p, []),
    "TF_DeleteSessionOptions": (None, [c_void_p]),
    "TF_SetConfig": (None, [c_void_p, c_char_p, c_size_t, c_void_p]),
    "TF_LoadSessionFromSavedModel": (
        c_void_p,
        [c_void_p, POINTER(_Buffer), c_char_p, POINTER(c_char_p), c_int, c_void_p, POINTER(_Buffer), c_void_p],
    ),
    "TF_CloseSession": (None, [c_void_p, c_void_p]),
    "TF_DeleteSession": (None, [c_void_p, c_void_p]),
    "TF_SessionRun": (
        None,
        [
            c_void_p, POINTER(_Buffer), POINTER(Output), POINTER(c_void_p), c_int,
            POINTER(Output), POINTER(c_void_p), c_int, c_void_p, c_int, c_void_p, c_void_p,
        ],
    ),
    "TF_AllocateTensor": (c_void_p, [c_int, POINTER(c_int64), c_int, c_size_t]),
    "TF_TensorFromProto": (None, [POINTER(_Buffer), c_void_p, c_void_p]),
    "TF_DeleteTensor": (None, [c_void_p]),
    "TF_TensorType": (c_int, [c_void_p]),
    "TF_NumDims": (c_int, [c_void_p]),
    "TF_Dim": (c_int64, [c_void_p, c_int]),
    "TF_TensorByteSize": (c_size_t, [c_void_p]),
    "TF_TensorData": (c_void_p, [c_void_p]),
    "TF_TensorElementCount": (c_int64, [c_void_p]),
    "TF_StringGetDataPointer": (c_void_p, [c_void_p]),
    "TF_StringGetSize": (c_size_t, [c_void_p]),
}  # fmt: skip

_STRING_BYTES: Final = 24  # sizeof(TF_TString)


def tensorflow_directory() -> Path:
    """Directory of TensorFlow's shared libraries. Raises NOT_FOUND where it is not installed."""
    named = os.environ.get(TENSORFLOW_DIRECTORY)
    if named:
        return Path(named)
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        raise StatusError(Code.NOT_FOUND, "TensorFlow is not installed: no libtensorflow_cc.so.2 to load models with")
    return Path(next(iter(spec.submodule_search_locations)))


def _bind(library: ctypes.CDLL) -> SimpleNamespace:
    """The functions of `_FUNCTIONS`, typed, as attributes."""
    bound = SimpleNamespace()
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
        setattr(bound, name, function)
    return bound


class TensorFlow:
    """The loaded shared libraries. Every method raises StatusError with the runtime's own code and text."""

    def __init__(self) -> None:
        """Load them. Raises NOT_FOUND."""
        directory = tensorflow_directory()
        try:
            ctypes.CDLL(str(directory / "libtensorflow_framework.so.2"), mode=ctypes.RTLD_GLOBAL)
            self.c = _bind(ctypes.CDLL(str(directory / "libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL))
        except OSError as problem:
            raise StatusError(Code.NOT_FOUND, str(problem)) from problem

    @property
    def version(self) -> str:
        """Version of the TensorFlow library, such as `2.21.0`."""
        return str(self.c.TF_Version().decode())

    @contextmanager
    def checked(self) -> Iterator[int]:
        """A TF_Status for one call; leaving the block raises what the call put into it."""
        status: int = self.c.TF_NewStatus()
        try:
            yield status
            code = self.c.TF_GetCode(status)
            if code:
                raise StatusError(Code(code), self.c.TF_Message(status).decode(errors="replace"))
        finally:
            self.c.TF_DeleteStatus(status)

    def load_saved_model(self, directory: str, tags: Sequence[str], *, config: bytes) -> "Session":
        """Load the meta graph whose tag set is exactly `tags`; `config` is a serialized ConfigProto."""
        c = self.c
        options, graph, meta_graph = c.TF_NewSessionOptions(), c.TF_NewGraph(), c.TF_NewBuffer()
        encoded = (c_char_p * len(tags))(*(tag.encode() for tag in tags))
        try:
            with self.checked() as status:
                c.TF_SetConfig(options, config, len(config), status)
            with self.checked() as status:
                handle = c.TF_LoadSessionFromSavedModel(
                    options, None, os.fsencode(directory), encoded, len(tags), graph, meta_graph, status
                )
            contents = meta_graph.contents
            return Session(self, handle, graph=graph, meta_graph_def=ctypes.string_at(contents.data, contents.length))
        except StatusError:
            c.TF_DeleteGraph(graph)
            raise
        finally:
            c.TF_DeleteBuffer(meta_graph)
            c.TF_DeleteSessionOptions(options)

    def tensor_from_proto(self, serialized: bytes) -> int:
        """Build a tensor from a serialized TensorProto; the caller frees it."""
        c = self.c
        buffer = c.TF_NewBufferFromString(serialized, len(serialized))
        tensor: int = c.TF_AllocateTensor(_FLOAT, None, 0, 4)  # overwritten by what the proto holds
        try:
            with self.checked() as status:
                c.TF_TensorFromProto(buffer, tensor, status)
        except StatusError:
            c.TF_DeleteTensor(tensor)
            raise
        finally:
            c.TF_DeleteBuffer(buffer)
        return tensor

    def delete_tensor(self, tensor: int) -> None:
        """Free a tensor."""
        self.c.TF_DeleteTensor(tensor)

    def tensor_type(self, tensor: int) -> int:
        """DataType number of a tensor."""
        return int(self.c.TF_TensorType(tensor))

    def tensor_shape(self, tensor: int) -> list[int]:
        """Sizes of a tensor's dimensions, empty for a scalar."""
        return [int(self.c.TF_Dim(tensor, index)) for index in range(self.c.TF_NumDims(tensor))]

    def tensor_bytes(self, tensor: int) -> bytes:
        """Copy of a tensor's memory; of no use for strings."""
        if not self.c.TF_TensorElementCount(tensor):  # one that was parsed has no memory at all, not even a size
            return b""
        return ctypes.string_at(self.c.TF_TensorData(tensor), self.c.TF_TensorByteSize(tensor))

    def tensor_strings(self, tensor: int) -> list[bytes]:
        """Elements of a tensor of strings."""
        count = self.c.TF_TensorElementCount(tensor)
        start = self.c.TF_TensorData(tensor) if count else 0
        pointer, size = self.c.TF_StringGetDataPointer, self.c.TF_StringGetSize
        places = range(start, start + count * _STRING_BYTES, _STRING_BYTES)
        return [ctypes.string_at(pointer(place), size(place)) for place in places]


class Session:
    """A loaded SavedModel: its session, its graph, and the MetaGraphDef it was built from (serialized)."""

    def __init__(self, api: TensorFlow, handle: int, *, graph: int, meta_graph_def: bytes) -> None:
        self._api = api
        self._handle = handle
        self._graph = graph
        self.meta_graph_def = meta_graph_def

    def output(self, tensor_name: str) -> Output | None:
        """Find a tensor, named `operation:index` as in a signature; None where the graph has none of that name."""
        operation, _, index = tensor_name.partition(":")
        c = self._api.c
        found = c.TF_GraphOperationByName(self._graph, operation.encode())
        if not found or not (index or "0").isdigit() or int(index or 0) >= c.TF_OperationNumOutputs(found):
            return None
        return Output(found, int(index or 0))

    def run(
        self, feeds: Sequence[tuple[Output, int]], fetches: Sequence[Output], *, run_options: bytes | None = None
    ) -> list[int]:
        """Run the graph once.

        `feeds` are places and the tensors to put there, `run_options` is a serialized RunOptions. Returns one new
        tensor per fetch, which the caller frees.
        """
        c = self._api.c
        feed_places = (Output * len(feeds))(*(place for place, _ in feeds))
        feed_tensors = (c_void_p * len(feeds))(*(tensor for _, tensor in feeds))
        fetch_places = (Output * len(fetches))(*fetches)
        fetch_tensors = (c_void_p * len(fetches))()
        options = c.TF_NewBufferFromString(run_options, len(run_options)) if run_options else None
        try:
            with self._api.checked() as status:
                c.TF_SessionRun(
                    self._handle, options, feed_places, feed_tensors, len(feeds),
                    fetch_places, fetch_tensors, len(fetches), None, 0, None, status,
                )  # fmt: skip
        finally:
            if options is not None:
                c.TF_DeleteBuffer(options)
        return list(fetch_tensors)

    def close(self) -> None:
        """Free everything; no run may be in progress."""
        c = self._api.c
        with self._api.checked() as status:
            c.TF_CloseSession(self._handle, status)
        with self._api.checked() as status:
            c.TF_DeleteSession(self._handle, status)
        c.TF_DeleteGraph(self._graph)
