"""Text proto files: configs of the server and of its side files."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pool import DescriptorPool

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.status import Code, StatusError, from_os_error


def read_text_proto(path: str, message: Any, *, pool: DescriptorPool | None = None) -> Any:
    """Parse a text proto file into `message` (ParseProtoTextFile in tensorflow_serving/util/proto_util.h).

    `pool` knows the messages that may be written out inside an `Any`.

    Raises INVALID_ARGUMENT for an empty file and for text that does not parse, and what a file gives that cannot be
    read: NOT_FOUND where it is missing.
    """
    try:
        text = Path(path).read_bytes()
    except OSError as problem:
        raise from_os_error(problem, path) from problem
    if not text:  # the real server maps the file into memory, and a map of length 0 is refused
        raise StatusError(Code.INVALID_ARGUMENT, f"{path}; Invalid argument")
    try:
        return text_format.Parse(text, message, descriptor_pool=pool)
    except (text_format.ParseError, UnicodeDecodeError) as problem:
        log.error(f"Error parsing text-format {message.DESCRIPTOR.full_name}: {problem}")
        raise StatusError(Code.INVALID_ARGUMENT, f"Invalid protobuf file: '{path}'") from problem
