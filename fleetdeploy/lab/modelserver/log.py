"""Log lines on stderr in the form TensorFlow Serving writes them; each says that a stand-in wrote it."""

import datetime as dt
import os
import sys
import threading
from typing import Final, NoReturn

_LOCK: Final = threading.Lock()


def info(message: str) -> None:
    """Write a line of level I."""
    _write("I", message)


def warning(message: str) -> None:
    """Write a line of level W."""
    _write("W", message)


def error(message: str) -> None:
    """Write a line of level E."""
    _write("E", message)


def fatal(message: str) -> None:
    """Write a line of level F; the caller ends the process."""
    _write("F", message)


def abort(message: str) -> NoReturn:
    """Write a line of level F and end the process by SIGABRT, as a failed check of the real server does."""
    fatal(message)
    sys.stdout.flush()
    os.abort()


def _write(level: str, message: str) -> None:
    now = dt.datetime.now(tz=dt.timezone.utc)
    with _LOCK:
        sys.stderr.write(f"{now:%Y-%m-%d %H:%M:%S.%f}: {level} standin_model_server] {message}\n")
        sys.stderr.flush()
