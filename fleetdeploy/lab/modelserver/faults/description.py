"""What can be asked of a version that shall misbehave: a JSON object with the keys of `Description`.

A key of `null` asks for nothing, which is how a more specific description takes back what a less specific one asks.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from fleetdeploy.lab.modelserver.status import Code, StatusError

_LONGEST: Final = 10**9
"""In seconds or milliseconds; a sleep cannot be much longer."""


class Failure(NamedTuple):
    """An error to give, written `CODE: text`."""

    code: Code
    message: str

    def error(self) -> StatusError:
        """The error itself, a new one each time."""
        return StatusError(self.code, self.message)


@dataclass(frozen=True)
class Description:
    """The faults of one version; the defaults are those of a version without any. Rates are shares from 0 to 1."""

    load_s: float = 0.0
    """A load, and each attempt that is made to fail, takes at least this long."""
    load_error: Failure | None = None
    """What an attempt to load gives."""
    load_error_attempts: int | None = None
    """How many attempts give it, counted over the life of the process; None: all of them."""
    memory_bytes: int | None = None
    """What the version takes of the budget from the begin of its load to the end of its unload; None: its files."""
    unload_s: float = 0.0
    """An unload takes at least this long."""
    latency_ms: float = 0.0
    """Added to a request."""
    latency_rate: float = 1.0
    error_rate: float = 0.0
    error: Failure = Failure(Code.INTERNAL, "injected")
    """What a request gives that fails by `error_rate`."""
    nan: bool = False
    """All values of outputs of float types are NaN."""
    nan_rate: float = 1.0
    hang: str | None = None
    """`load` and `unload` hang for as long as this is asked for; a `request` also until its deadline."""
    hang_rate: float = 1.0
    """Share of requests that hang."""
    crash_after_requests: int | None = None
    """The process dies of the request after so many; answers to requests that still run then are lost."""
    crash_on_load: bool = False
    """The process dies while it loads the version, after `load_s`."""

    @property
    def touches_requests(self) -> bool:
        """Whether anything of it concerns requests."""
        return bool(
            (self.latency_ms and self.latency_rate)
            or self.error_rate
            or (self.nan and self.nan_rate)
            or (self.hang == "request" and self.hang_rate)
            or self.crash_after_requests is not None
        )


Asked = Mapping[str, Any]
"""Keys of a description and their checked values; keys that are not there are not asked for."""


class FaultsFile(NamedTuple):
    """What the file named by STANDIN_FAULTS says."""

    memory_budget_bytes: int | None
    models: Mapping[str, Asked]
    """By `NAME` and by `NAME/VERSION`."""


def read_description(path: Path) -> Asked | None:
    """Read the description that travels with a version; None if there is none. Raises INVALID_ARGUMENT."""
    written = _read_object(path)
    return None if written is None else check(written, where=str(path))


def read_faults_file(path: Path) -> FaultsFile | None:
    """Read `{"memory_budget_bytes": N, "models": {"NAME": {...}, "NAME/VERSION": {...}}}`; None for a missing file.

    Raises INVALID_ARGUMENT.
    """
    written = _read_object(path)
    if written is None:
        return None
    for key in written.keys() - {"memory_budget_bytes", "models"}:
        raise _refused(str(path), key, "is no key of a faults file: memory_budget_bytes, models")
    budget, models = written.get("memory_budget_bytes"), written.get("models")
    if not isinstance(models, dict | None):
        raise _refused(str(path), "models", "is not an object")
    return FaultsFile(
        memory_budget_bytes=None if budget is None else _checked(_count, budget, str(path), "memory_budget_bytes"),
        models={name: check(asked, where=f"{path}: models: {name}") for name, asked in (models or {}).items()},
    )


def check(written: Any, *, where: str) -> Asked:
    """Check a description and give its values their types. Raises INVALID_ARGUMENT with `where` and the key."""
    if not isinstance(written, dict):
        raise StatusError(Code.INVALID_ARGUMENT, f"{where}: a description of faults is an object")
    for key in written.keys() - _KINDS.keys():
        raise _refused(where, key, f"is no fault; faults are {', '.join(_KINDS)}")
    return {
        key: getattr(_NONE, key) if value is None else _checked(_KINDS[key], value, where, key)
        for key, value in written.items()
    }


def _read_object(path: Path) -> dict[str, Any] | None:
    try:
        written = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as problem:
        raise StatusError(Code.INVALID_ARGUMENT, f"{path}: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise StatusError(Code.INVALID_ARGUMENT, f"{path}: is not JSON: {problem}") from problem
    if not isinstance(written, dict):
        raise StatusError(Code.INVALID_ARGUMENT, f"{path}: is not a JSON object")
    return written


def _refused(where: str, key: str, why: str) -> StatusError:
    return StatusError(Code.INVALID_ARGUMENT, f"{where}: {key}: {why}")


def _checked(kind: Callable[[Any], Any], value: Any, where: str, key: str) -> Any:
    try:
        return kind(value)
    except ValueError as problem:
        raise _refused(where, key, f"{problem}; got {json.dumps(value)}") from problem


def _amount(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError("is a number, 0 or more")
    if value > _LONGEST:
        raise ValueError(f"is {_LONGEST} at most")
    return float(value)


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("is a share from 0 to 1")
    return float(value)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("is a whole number, 0 or more")
    return value


def _flag(value: Any) -> bool:
    if value is not True and value is not False:
        raise ValueError("is true or false")
    return bool(value)


def _hang(value: Any) -> str:
    if value not in ("load", "request", "unload"):
        raise ValueError('is "load", "request" or "unload"')
    return str(value)


def _failure(value: Any) -> Failure:
    name, colon, message = value.partition(": ") if isinstance(value, str) else ("", "", "")
    if not colon or name == "OK" or name not in Code.__members__:
        raise ValueError('is "CODE: text" with the name of a code that is an error')
    message.encode()  # JSON can hold half of a surrogate pair, and gRPC cannot send one
    return Failure(Code[name], message)


_NONE: Final = Description()
_KINDS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "load_s": _amount,
    "load_error": _failure,
    "load_error_attempts": _count,
    "memory_bytes": _count,
    "unload_s": _amount,
    "latency_ms": _amount,
    "latency_rate": _share,
    "error_rate": _share,
    "error": _failure,
    "nan": _flag,
    "nan_rate": _share,
    "hang": _hang,
    "hang_rate": _share,
    "crash_after_requests": _count,
    "crash_on_load": _flag,
}
