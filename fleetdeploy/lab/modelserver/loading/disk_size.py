"""The size of a version, by which the real server estimates the memory that it will take."""

from collections import deque
from pathlib import Path

from fleetdeploy.lab.modelserver.status import Code, StatusError, from_os_error


def disk_size_bytes(directory: str) -> int:
    """Sum of the sizes of all files under a directory (GetModelDiskSize in servables/tensorflow/util.cc).

    Raises NOT_FOUND for a directory, or a file in it, that is not there (any more), and PERMISSION_DENIED for a
    directory that may not be read.
    """
    top = Path(directory)
    if not top.exists():
        raise StatusError(Code.NOT_FOUND, f"{directory} not found")
    total, waiting = 0, deque([top])
    while waiting:
        path = waiting.popleft()
        try:
            for child in path.iterdir():
                path = child
                if child.is_dir():
                    waiting.append(child)
                else:
                    total += child.stat().st_size
        except OSError as problem:
            raise from_os_error(problem, path) from problem
    return total
