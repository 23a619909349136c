"""Sizes of memory, with a lower bound: `memory: 16` says 16 bytes, and whoever writes it means 16GiB."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

from fleetdeploy.config.fields.values import SIZE_SCHEMA, parse_size
from fleetdeploy.config.syntax.refusal import Refused

_MIB = 1024 * 1024
_CONTAINER_MIB = 6
"""Docker's own minimum; see "Runtime options with Memory, CPUs, and GPUs" in its documentation."""
_GPU_MIB = 1


def parse_container_memory(value: object) -> int:
    """Bytes of a container's limit, at least 6 MiB; 0 sets none. Raises Refused."""
    return _at_least(_CONTAINER_MIB, value)


def parse_gpu_memory(value: object) -> int:
    """Bytes of a GPU, at least 1 MiB; 0 says nothing. Raises Refused."""
    return _at_least(_GPU_MIB, value)


def _at_least(least_mib: int, value: object) -> int:
    size = parse_size(value)
    if 0 < size < least_mib * _MIB:
        number = re.match(r"[0-9.]+", str(value))
        assert number is not None
        raise Refused(
            f"{value} is {size:,} bytes, and the least that makes sense is {least_mib}MiB",
            f"did you mean {number[0]}GiB? a number without a unit counts bytes",
        )
    return size


def _schema(least_mib: int) -> WithJsonSchema:
    """For editors: a text of too few bytes is left to the check."""
    bytes_ = {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": least_mib * _MIB}
    return WithJsonSchema({**(SIZE_SCHEMA.json_schema or {}), "not": bytes_})


ContainerMemory = Annotated[int, PlainValidator(parse_container_memory), _schema(_CONTAINER_MIB)]
GpuMemory = Annotated[int, PlainValidator(parse_gpu_memory), _schema(_GPU_MIB)]
