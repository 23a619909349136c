"""A TensorFlow Lite model in memory: its signatures and a pool of interpreters.

Follows tensorflow_serving/servables/tensorflow/tflite_session.cc and tflite_interpreter_pool.cc. The interpreter is
the wheel's own, an extension module that is loaded by its file, so that Python's TensorFlow is not imported.
"""

import importlib
import importlib.util
import queue
import sys
import threading
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, Final

from google.protobuf.message import DecodeError

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.runtime import blocks, flatbuffer, tensors
from fleetdeploy.lab.modelserver.runtime.blocks import Block
from fleetdeploy.lab.modelserver.runtime.tensorflow_c import TensorFlow, tensorflow_directory
from fleetdeploy.lab.modelserver.servable import Feed
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs

_EXTENSION: Final = "_pywrap_tensorflow_interpreter_wrapper"
_BUILTIN_OPS_WITHOUT_DELEGATES: Final = 3
_ONE_THREAD: Final = 1
_PREDICT: Final = "tensorflow/serving/predict"
_DEFAULT_SIGNATURE: Final = "serving_default"

_DTYPES: Final = {
    "float32": 1, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "bytes_": 7, "complex64": 8, "int64": 9, "bool": 10,
}  # fmt: skip
"""NumPy's names to DataType numbers, for the types that the real server serves from TensorFlow Lite."""


class LiteRuntime:
    """NumPy and the interpreter's extension module, both loaded when a first model needs them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: tuple[ModuleType, ModuleType] | None = None

    def modules(self) -> tuple[Any, Any]:
        """NumPy and the extension. Raises NOT_FOUND where either is not installed."""
        with self._lock:
            if self._loaded is None:
                self._loaded = (_numpy(), _extension())
            return self._loaded


def _numpy() -> ModuleType:
    try:
        return importlib.import_module("numpy")
    except ImportError as problem:
        raise StatusError(Code.NOT_FOUND, "NumPy is not installed: TensorFlow Lite needs it") from problem


def _extension() -> ModuleType:
    path = tensorflow_directory() / "lite" / "python" / f"{_EXTENSION}.so"
    spec = importlib.util.spec_from_file_location(_EXTENSION, path)
    if spec is None or spec.loader is None or not path.exists():
        raise StatusError(Code.NOT_FOUND, f"TensorFlow Lite is not installed: no {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[_EXTENSION] = module
    return module


class _Interpreter:
    """One interpreter of the model; used by one thread at a time."""

    def __init__(self, runtime: LiteRuntime, content: bytes) -> None:
        self._numpy, extension = runtime.modules()
        try:
            self._wrapper = extension.CreateWrapperFromBuffer(
                content, _BUILTIN_OPS_WITHOUT_DELEGATES, [], [], False, False, _ONE_THREAD, False
            )
        except (ValueError, RuntimeError) as problem:
            log.error(f"TensorFlow Lite: {problem}")
            raise StatusError(Code.INVALID_ARGUMENT, "Cannot build FlatBufferModel from buffer.") from problem
        self.inputs = self._tensors(self._wrapper.InputIndices(), "Input")
        self.outputs = self._tensors(self._wrapper.OutputIndices(), "Output")

    def _tensors(self, indices: Sequence[int], kind: str) -> dict[str, int]:
        """Number of a tensor by its name. Raises ALREADY_EXISTS for a name that occurs twice."""
        found: dict[str, int] = {}
        for index in map(int, indices):
            name = self._wrapper.TensorName(index, 0)
            if name in found:
                raise StatusError(Code.ALREADY_EXISTS, f"{kind} tensor name: {name} has multiple indices")
            found[name] = index
        return found

    def info(self, index: int) -> Any:
        """TensorInfo of a tensor, with the shape it has now."""
        info = stubs.meta_graph_pb2.TensorInfo(name=self._wrapper.TensorName(index, 0), dtype=self._dtype(index))
        info.tensor_shape.SetInParent()
        for size in self._shape(index):
            info.tensor_shape.dim.add().size = size
        return info

    def batch_size(self) -> int:
        """Size of dimension 0 of the only input, -1 where there are several or none."""
        shape = self._shape(next(iter(self.inputs.values()))) if len(self.inputs) == 1 else ()
        return shape[0] if shape else -1

    def prepare(self) -> None:
        """Allocate memory for a first request. Raises INTERNAL, as for an operation that nobody registered."""
        first = next(iter(self.inputs.values()), None)
        if first is not None and self._dtype(first) == tensors.DT_STRING:
            self._resize(first, (1,))
        self._allocate()

    def run(self, feeds: Mapping[int, Block], fetches: Sequence[int]) -> list[Block]:
        """Run once; inputs take the shapes of what they are fed with."""
        ordered = sorted(feeds.items())
        batch = ordered[0][1].shape[0] if ordered and ordered[0][1].shape else 1
        for index, block in ordered:
            if (block.dtype == tensors.DT_STRING) != (self._dtype(index) == tensors.DT_STRING):
                raise StatusError(Code.INVALID_ARGUMENT, "A string was fed where there is none, or none where one is.")
            self._set(index, block, batch)
        try:
            self._wrapper.Invoke(0)
        except (RuntimeError, ValueError) as problem:
            log.error(f"TensorFlow Lite: {problem}")
            raise StatusError(Code.INTERNAL, "Failed to invoke TfLite interpreter") from problem
        return [self._get(index) for index in fetches]

    def _set(self, index: int, block: Block, batch: int) -> None:
        text = isinstance(block.data, list)
        shape = (batch,) if text else block.shape  # texts lie in one row, whatever shape they were sent in
        if shape != self._shape(index):
            self._resize(index, shape)
            self._allocate()
        if isinstance(block.data, list):
            if len(block.data) < batch:  # there it reads beyond the last text
                raise StatusError(Code.INVALID_ARGUMENT, f"Got {len(block.data)} texts in a batch of {batch}.")
            value = self._numpy.array(block.data[:batch], dtype=object)
        else:
            kind = self._numpy.dtype(self._wrapper.TensorType(index, 0))
            wanted = int(self._numpy.prod(shape, dtype=self._numpy.int64)) * kind.itemsize
            memory = block.data[:wanted].ljust(wanted, b"\0")  # copied as it is: nobody looks at the request's dtype
            value = self._numpy.frombuffer(memory, dtype=kind).reshape(shape)
        self._wrapper.SetTensor(index, value, 0)

    def _get(self, index: int) -> Block:
        value = self._wrapper.GetTensor(index, 0)
        dtype, shape = self._dtype(index), tuple(int(size) for size in value.shape)
        if dtype == tensors.DT_STRING:
            return Block(dtype, shape, [bytes(element) for element in value.reshape(-1)])
        return Block(dtype, shape, value.tobytes())

    def _resize(self, index: int, shape: Sequence[int]) -> None:
        try:
            self._wrapper.ResizeInputTensor(index, self._numpy.array(shape, dtype=self._numpy.int32), False, 0)
        except (RuntimeError, ValueError, OverflowError) as problem:  # the last for a size beyond 32 bits
            log.error(f"TensorFlow Lite: {problem}")
            name = self._wrapper.TensorName(index, 0)
            raise StatusError(Code.INTERNAL, f"Failed to resize input tensor: {name}") from problem

    def _allocate(self) -> None:
        try:
            self._wrapper.AllocateTensors(-1)
        except (RuntimeError, ValueError) as problem:
            log.error(f"TensorFlow Lite: {problem}")
            raise StatusError(Code.INTERNAL, "Failed to allocate tensors") from problem

    def _dtype(self, index: int) -> int:
        name = self._wrapper.TensorType(index, 0).__name__
        dtype = _DTYPES.get(name.removesuffix("_") if name == "bool_" else name)
        if dtype is None:
            raise StatusError(Code.INTERNAL, f"Unknown TfLite type: {name}")
        return dtype

    def _shape(self, index: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._wrapper.TensorSize(index, 0))


class LiteModel:
    """A loaded `model.tflite`; a request waits for one of `interpreters` to be free."""

    def __init__(self, tensorflow: TensorFlow, runtime: LiteRuntime, content: bytes, *, interpreters: int) -> None:
        self._tensorflow = tensorflow
        self._content = content  # the interpreters read the weights in place
        first = _Interpreter(runtime, content)
        self.signatures: Mapping[str, Any] = _signatures(first, content)
        self._inputs, self._outputs = first.inputs, first.outputs
        self.batch_size = first.batch_size()
        """Size of dimension 0 of the only input; -1 where there are several or none (GetModelBatchSize)."""
        self._idle: queue.SimpleQueue[_Interpreter] = queue.SimpleQueue()
        for number in range(max(1, interpreters)):
            interpreter = first if number == 0 else _Interpreter(runtime, content)
            interpreter.prepare()
            self._idle.put(interpreter)

    def run(
        self, feeds: Sequence[Feed], fetches: Sequence[str], *, answers: Sequence[Any], timeout_ms: int | None
    ) -> None:
        """Run the model as `servable.Model.run`. Raises INTERNAL."""
        del timeout_ms  # as there: a run is not cut short
        inputs = {
            self._inputs[_known(feed.name, self._inputs)]: blocks.read(self._tensorflow, feed.proto, alias=feed.alias)
            for feed in feeds
        }
        interpreter = self._idle.get()
        try:
            outputs = interpreter.run(inputs, [self._outputs[_known(name, self._outputs)] for name in fetches])
        finally:
            self._idle.put(interpreter)
        for block, answer in zip(outputs, answers, strict=True):
            tensors.fill(answer, dtype=block.dtype, shape=block.shape, data=block.data)

    def close(self) -> None:
        """Free the model's memory; no run may be in progress."""
        while not self._idle.empty():
            self._idle.get()
        self._content = b""


def _signatures(interpreter: _Interpreter, content: bytes) -> dict[str, Any]:
    """Signatures that the model carries; without any, one that is made from the names of its tensors."""
    inputs = {name: interpreter.info(index) for name, index in interpreter.inputs.items()}
    outputs = {name: interpreter.info(index) for name, index in interpreter.outputs.items()}
    carried = _carried_signatures(content)
    for signature in carried.values():
        for kind, infos, there in (("input", signature.inputs, inputs), ("output", signature.outputs, outputs)):
            for alias, info in infos.items():
                try:
                    info.name = _known(info.name, there)
                except StatusError as problem:
                    context = f"\n\tSignature {kind} {alias} references an unknown tensor"
                    raise StatusError(problem.code, problem.message + context) from problem
    if carried:
        return carried
    log.warning("No signature def found in TFLite model. Generating one.")
    made = stubs.meta_graph_pb2.SignatureDef(method_name=_PREDICT)
    for name, info in inputs.items():
        made.inputs[_legacy(name)].CopyFrom(info)
    for name, info in outputs.items():
        made.outputs[_legacy(name)].CopyFrom(info)
    return {_DEFAULT_SIGNATURE: made}


def _carried_signatures(content: bytes) -> dict[str, Any]:
    try:
        serialized = flatbuffer.serialized_signatures(content)
        return {name: stubs.meta_graph_pb2.SignatureDef.FromString(each) for name, each in serialized.items()}
    except (DecodeError, ValueError) as problem:
        raise StatusError(
            Code.INVALID_ARGUMENT,
            "Invalid SignatureDefs found in TfLite model: Cannot parse signature def found in flatbuffer.",
        ) from problem


def _legacy(name: str) -> str:
    """The name as old converters wrote it, without `:0`."""
    return name.partition(":")[0]


def _known(name: str, tensors_by_name: Mapping[str, Any]) -> str:
    """The name of a tensor as the model has it, which may lack the `:0`. Raises INTERNAL."""
    if name in tensors_by_name:
        return name
    if _legacy(name) in tensors_by_name:
        return _legacy(name)
    raise StatusError(Code.INTERNAL, f"Unknown tensor '{name}'.")
