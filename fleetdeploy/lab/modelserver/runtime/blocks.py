"""Tensors as values of Python: cut, joined and padded along their dimensions without any library.

What tensorflow/core/framework/tensor_util.cc (Concat, Split) and tensorflow_serving/batching/batching_util.cc
(AddPadding) do with tensors.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from fleetdeploy.lab.modelserver.runtime import tensors
from fleetdeploy.lab.modelserver.runtime.tensorflow_c import TensorFlow
from fleetdeploy.lab.modelserver.status import Code, StatusError
from fleetdeploy.tfserving import stubs


class Block(NamedTuple):
    """A tensor's value."""

    dtype: int
    """DataType number."""
    shape: tuple[int, ...]
    data: bytes | list[bytes]
    """Row-major memory; for strings the elements."""

    @property
    def row(self) -> int:
        """Length in `data` of one step along dimension 0."""
        return len(self.data) // self.shape[0] if self.shape[0] else 0

    def rows(self, begin: int, end: int) -> "Block":
        """Steps `begin` to `end` along dimension 0."""
        return self._replace(shape=(end - begin, *self.shape[1:]), data=self.data[begin * self.row : end * self.row])

    def proto(self) -> Any:
        """As a TensorProto that a model can be fed with."""
        proto = stubs.tensor_pb2.TensorProto(dtype=self.dtype)
        proto.tensor_shape.SetInParent()
        for size in self.shape:
            proto.tensor_shape.dim.add().size = size
        if isinstance(self.data, list):
            proto.string_val.extend(self.data)
        else:
            proto.tensor_content = self.data
        return proto


def read(tensorflow: TensorFlow, proto: Any, *, alias: str) -> Block:
    """Read a TensorProto as TensorFlow does. Raises INVALID_ARGUMENT naming the `alias` for one that is malformed."""
    tensor = tensors.from_proto(tensorflow, proto, alias=alias)
    try:
        dtype, shape = tensorflow.tensor_type(tensor), tuple(tensorflow.tensor_shape(tensor))
        if dtype == tensors.DT_STRING:
            return Block(dtype, shape, tensorflow.tensor_strings(tensor))
        return Block(dtype, shape, tensorflow.tensor_bytes(tensor))
    finally:
        tensorflow.delete_tensor(tensor)


def concatenate(blocks: Sequence[Block]) -> Block:
    """Join blocks along dimension 0; shapes must agree in the others. Raises INTERNAL for different dtypes."""
    first = blocks[0]
    for block in blocks:
        if block.dtype != first.dtype:
            raise StatusError(
                Code.INTERNAL,
                "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different "
                f"data types. Got {tensors.dtype_name(first.dtype)} and {tensors.dtype_name(block.dtype)}.",
            )
    shape = (sum(block.shape[0] for block in blocks), *first.shape[1:])
    return Block(first.dtype, shape, _joined([block.data for block in blocks], strings=isinstance(first.data, list)))


def pad(block: Block, sizes: Sequence[int]) -> Block:
    """Enlarge every dimension but the first to `sizes` with copies of the first element.

    Raises INVALID_ARGUMENT for a block without elements, and for more than six dimensions.
    """
    if not 1 <= len(block.shape) <= 6:
        raise StatusError(Code.INVALID_ARGUMENT, "Only tensors with rank from 1 to 6 can be padded.")
    wanted = (block.shape[0], *sizes[1:])
    count = math.prod(block.shape)
    if math.prod(wanted) == count:
        return block._replace(shape=wanted)
    if not count:
        raise StatusError(Code.INVALID_ARGUMENT, "Got empty tensor in batch of non-empty tensors.")
    width = len(block.data) // count
    filler, data = block.data[:width], block.data
    for axis in range(len(wanted) - 1, 0, -1):  # innermost first: what lies inside is of the wanted size already
        inner = math.prod(wanted[axis + 1 :])
        length = block.shape[axis] * inner * width
        tail = filler * ((wanted[axis] - block.shape[axis]) * inner)
        pieces = [piece for run in _cut(data, length) for piece in (run, tail)]
        data = _joined(pieces, strings=isinstance(data, list))
    return Block(block.dtype, wanted, data)


def _cut(data: bytes | list[bytes], length: int) -> Iterator[bytes | list[bytes]]:
    return (data[start : start + length] for start in range(0, len(data), length))


def _joined(pieces: Sequence[Any], *, strings: bool) -> bytes | list[bytes]:
    return [element for piece in pieces for element in piece] if strings else b"".join(pieces)
