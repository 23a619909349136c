"""Text proto files: configs of the server and of its side files."""

from pathlib import Path
from typing import Any

from google.protobuf import text_format
from google.protobuf.descriptor_pool import DescriptorPool

from fleetdeploy.lab.modelserver import log
from fleetdeploy.lab.modelserver.status import Code, StatusError


def read_text_proto(path: str, message: Any, *, pool: DescriptorPool | None = None) -> Any:
    """Parse a text proto file into `message` (ParseProtoTextFile in tensorflow_serving/util/proto_util.h).

    `pool` knows the messages that may be written out inside an `Any`.

    Raises NOT_FOUND for a missing file, INVALID_ARGUMENT for an empty one and for text that does not parse.
    """
    try:
        text = Path(path).read_bytes()
    except FileNotFoundError as problem:
        raise StatusError(Code.NOT_FOUND, f"{path}; No such file or directory") from problem
    except OSError as problem:
        raise StatusError(Code.PERMISSION_DENIED, f"{path}; {problem.strerror}") from problem
    if not text:  # the real server maps the file into memory, and a map of length 0 is refused
        raise StatusError(Code.INVALID_ARGUMENT, f"{path}; Invalid argument")
    try:
        return text_format.Parse(text, message, descriptor_pool=pool)
    except (text_format.ParseError, UnicodeDecodeError) as problem:
        log.error(f"Error parsing text-format {message.DESCRIPTOR.full_name}: {problem}")
        raise StatusError(Code.INVALID_ARGUMENT, f"Invalid protobuf file: '{path}'") from problem
