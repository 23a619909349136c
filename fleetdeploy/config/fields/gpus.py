"""The values that describe GPUs: compute capabilities and drivers, as a host has them and as a model wants them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import PlainValidator

from fleetdeploy.config.fields.values import written
from fleetdeploy.config.syntax.refusal import NotA

_CAPABILITY = re.compile(r"[1-9][0-9]?\.[0-9]")
_WANTED_CAPABILITY = re.compile(rf"(>=|>|==)? ?({_CAPABILITY.pattern})")
_DRIVER = re.compile(r"[1-9][0-9]{0,4}(?:\.[0-9]{1,5}){0,3}")
_WANTED_DRIVER = re.compile(rf"(>=|>|==)? ?({_DRIVER.pattern})")


def parse_capability(value: object) -> str:
    """A CUDA compute capability. Unquoted it would be a number, and 9.10 become 9.1."""
    return _had(value, _CAPABILITY, "a compute capability", 'major.minor in quotes, such as "8.0"')


def parse_wanted_capability(value: object) -> str:
    """``>=7.0``, ``>7.0`` or ``==7.0``, without blanks; a plain ``7.0`` becomes ``>=7.0``."""
    hint = 'something like ">=7.0", ">7.0" or "==7.0", in quotes'
    return _wanted(value, _WANTED_CAPABILITY, "a wanted compute capability", hint)


def parse_driver(value: object) -> str:
    """An NVIDIA driver, or its first parts. Unquoted it would be a number, and 535.10 become 535.1."""
    return _had(value, _DRIVER, "a driver", 'numbers with points, in quotes, such as "580.159.03" or "580"')


def parse_wanted_driver(value: object) -> str:
    """``>=535``, ``>535`` or ``==535.104.05``, without blanks; a plain ``535`` becomes ``>=535``."""
    return _wanted(
        value, _WANTED_DRIVER, "a wanted driver", 'something like ">=535", ">=535.104.05" or "==580", in quotes'
    )


def _had(value: object, pattern: re.Pattern[str], what: str, expected: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise NotA(what, expected)
    return value


def _wanted(value: object, pattern: re.Pattern[str], what: str, expected: str) -> str:
    found = pattern.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise NotA(what, expected)
    return f"{found[1] or '>='}{found[2]}"


Capability = Annotated[str, PlainValidator(parse_capability), written("compute capability", _CAPABILITY.pattern)]
WantedCapability = Annotated[
    str, PlainValidator(parse_wanted_capability), written("compute capability", _WANTED_CAPABILITY.pattern)
]
Driver = Annotated[str, PlainValidator(parse_driver), written("driver", _DRIVER.pattern)]
WantedDriver = Annotated[str, PlainValidator(parse_wanted_driver), written("driver", _WANTED_DRIVER.pattern)]
