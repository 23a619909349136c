"""Host names as an inventory writes them: ranges such as ``gpu[01:08].rack[a:c]``, and a port after a colon.

See Ansible's inventory guide, "Adding ranges of hosts". Where Ansible makes nothing of a range that runs backwards,
it is refused here.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import string
from collections.abc import Sequence

from fleetdeploy.config.syntax.refusal import Refused

MOST_HOSTS = 20_000
_RANGE = re.compile(r"\[([0-9A-Za-z]*):([0-9A-Za-z]+)(?::([0-9]+))?\]")
_PORT = re.compile(r"(?P<name>.+):(?P<port>[0-9]{1,5})")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,252}")
_ALLOWED = "letters, digits, `.`, `-` and `_`, at most 253 of them, and an IPv6 address as it is"


def expand(written: str) -> tuple[tuple[str, ...], int | None]:
    """All host names that ``written`` stands for, and the port after it, if any. Raises Refused."""
    text, port = _split_port(written)
    parts: list[Sequence[str]] = []
    end, total = 0, 1
    for found in _RANGE.finditer(text):
        values = _values(found)
        total *= len(values)
        if total > MOST_HOSTS:
            raise Refused(f"{written[:80]!r} stands for more than {MOST_HOSTS:,} hosts", "check the range")
        parts += [(text[end : found.start()],), values]
        end = found.end()
    parts.append((text[end:],))
    names = tuple("".join(combination) for combination in itertools.product(*parts))
    for name in names[:1] + names[-1:]:
        check_host_name(name)
    return names, port


def check_host_name(name: str) -> None:
    """Raise Refused for a name that is neither a host name nor an IP address."""
    if _HOST.fullmatch(name) or is_ip(name):
        return
    if "{{" in name:
        raise Refused(f"{name[:80]!r} is a template; templates are not rendered here", "write the name itself")
    shown = repr(name if len(name) <= 80 else f"{name[:80]}...")
    if "[" in name or "]" in name:
        raise Refused(f"{shown} has a malformed range", "ranges look like [01:50], [a:f] or [1:9:2]")
    raise Refused(f"{shown} is not a host name", f"allowed are {_ALLOWED}")


def is_ip(text: str) -> bool:
    """True for an IPv4 or IPv6 address, also one with a zone (``fe80::1%eth0``)."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return re.fullmatch(r"[0-9A-Fa-f.:]+(%[A-Za-z0-9_.-]+)?", text) is not None


def _split_port(written: str) -> tuple[str, int | None]:
    bracketed = re.fullmatch(r"\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)\](?::([0-9]{1,5}))?", written)
    if bracketed and is_ip(bracketed[1]):
        return bracketed[1], _port(bracketed[2], written)
    found = _PORT.fullmatch(written)
    if found is None or is_ip(written) or ":" in _RANGE.sub("", found["name"]):
        return written, None
    return found["name"], _port(found["port"], written)


def _port(text: str | None, written: str) -> int | None:
    if text is None:
        return None
    if not 1 <= int(text) <= 65535:
        raise Refused(f"the port of {written[:80]!r} is not one", "expected a number from 1 to 65535")
    return int(text)


def _values(found: re.Match[str]) -> Sequence[str]:
    """The texts a range stands for. A leading zero in its begin sets the width of all."""
    first, last, step_text = found[1] or "0", found[2], found[3]
    step = int(step_text) if step_text and len(step_text) < 9 else 0 if step_text else 1
    if step < 1:
        raise Refused(f"the range {found[0]} has a step of {step_text}", "a step is a number from 1")
    if first.isdigit() and last.isdigit():
        width = len(first) if first.startswith("0") and len(first) > 1 else 0
        if width and len(last) != width:
            raise Refused(
                f"begin and end of the range {found[0]} differ in length",
                "with a leading zero both need the same number of digits",
            )
        if max(len(first), len(last)) > 9 or (int(last) - int(first)) // step >= MOST_HOSTS:
            raise Refused(f"the range {found[0]} stands for more than {MOST_HOSTS:,} hosts", "check the range")
        values: Sequence[str] = [str(number).zfill(width) for number in range(int(first), int(last) + 1, step)]
    elif len(first) == len(last) == 1 and first.isalpha() and last.isalpha():
        letters = string.ascii_letters
        values = letters[letters.index(first) : letters.index(last) + 1 : step]
    else:
        raise Refused(
            f"the range {found[0]} is neither of numbers nor of single letters",
            "ranges look like [01:50], [a:f] or [1:9:2]",
        )
    if not values:
        raise Refused(f"the range {found[0]} runs backwards", f"write [{last}:{first}] if that is meant")
    return values
