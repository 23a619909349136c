"""Tensors of answers as `tensor_content` instead of typed fields, for --enable_serialization_as_tensor_content.

See AsProtoTensorContent in tensorflow/core/framework/tensor.cc and EncodeStringList in
tensorflow/core/platform/tensor_coding.cc.
"""

import struct
from typing import Any

from fleetdeploy.lab.modelserver.runtime.tensors import DT_STRING, typed_field, varint


def to_tensor_content(tensor: Any) -> None:
    """Move a TensorProto's values from its typed field to `tensor_content`: memory, or a list of strings."""
    if tensor.dtype == DT_STRING:
        lengths = b"".join(varint(len(value)) for value in tensor.string_val)
        tensor.tensor_content = lengths + b"".join(tensor.string_val)
        tensor.ClearField("string_val")
        return
    typed = typed_field(tensor.dtype)
    values = getattr(tensor, typed.field)
    tensor.tensor_content = struct.pack(f"<{len(values)}{typed.letter}", *values)
    tensor.ClearField(typed.field)
