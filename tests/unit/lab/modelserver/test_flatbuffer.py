"""The signatures in the metadata of TensorFlow Lite models."""

import struct

import pytest

from fleetdeploy.lab.modelserver.runtime.flatbuffer import serialized_signatures

WITHOUT_METADATA = struct.pack("<I", 12) + b"TFL3" + struct.pack("<HH", 4, 4) + struct.pack("<i", 4)
"""A model whose root table has no field at all: offset of the root, mark, layout of the table, table."""


def test_a_model_without_metadata_has_no_signatures() -> None:
    """A field that a table lacks is read as empty."""
    assert serialized_signatures(WITHOUT_METADATA) == {}


@pytest.mark.parametrize("model", [b"", WITHOUT_METADATA[:10], b"\xff" * 64])
def test_a_damaged_model_is_an_error_not_a_crash(model: bytes) -> None:
    """Whatever the bytes are, the reader stays inside of them."""
    with pytest.raises(ValueError, match="damaged"):
        serialized_signatures(model)
