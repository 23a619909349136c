"""The kinds of values that fields hold: sizes, counts of hosts, versions, names, images, addresses.

Each ``parse_`` function takes what stands in the file and returns the typed value or raises
:class:`fleetdeploy.config.syntax.refusal.Refused`; the annotated types below are what schema models use.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePosixPath
from typing import Annotated, Union

from pydantic import AfterValidator, PlainValidator, WithJsonSchema

from fleetdeploy.config.syntax.refusal import NotA, Refused
from fleetdeploy.domain.playbook import Quantity
from fleetdeploy.domain.secret import Secret

MAX_VERSION = 2**63 - 1
_BINARY = {f"{prefix}iB": 1024 ** (power + 1) for power, prefix in enumerate("KMGTP")}
_DECIMAL = {f"{prefix}B": 1000 ** (power + 1) for power, prefix in enumerate("kMGTP")}
_UNITS_BYTES: dict[str, int] = {"B": 1, **_BINARY, **_DECIMAL, "KB": 1000}
_SIZE = re.compile(r"(\d{1,19})(?:\.(\d{1,9}))? ?([A-Za-z]+)", re.ASCII)
_QUANTITY = re.compile(r"([1-9][0-9]{0,8})(%?)", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_USER = re.compile(r"(\d{1,10}|[a-z_][a-z0-9_-]{0,31})(:(\d{1,10}|[a-z_][a-z0-9_-]{0,31}))?", re.ASCII)
_ROOT = re.compile(r"(?:0+|root)(?::|$)", re.ASCII)
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}")
_POOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_REMOTE_PATH = re.compile(r"(/[A-Za-z0-9_.-]+)+")
_DOMAIN_PART = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_PATH_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<name>(?:(?=localhost|[^/]*[.:]){_DOMAIN_PART}(?:\.{_DOMAIN_PART})*(?::[0-9]{{1,5}})?/)?"
    rf"{_PATH_PART}(?:/{_PATH_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>.+))?"
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def parse_size(value: object) -> int:
    """Bytes. ``80GiB`` and ``1.5GiB`` are binary, ``80GB`` decimal, a plain whole number counts bytes."""
    expected = NotA("a size", "something like 80GiB, 512MiB, 16GB, or a number of bytes")
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_VERSION:
        return int(value)
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None or found[3] not in _UNITS_BYTES:
        raise expected
    unit, fraction = _UNITS_BYTES[found[3]], found[2] or ""
    divisor: int = 10 ** len(fraction)
    size, rest = divmod(int(found[1] + fraction) * unit, divisor)
    if rest or size > MAX_VERSION:
        raise expected
    return size


def parse_quantity(value: object) -> Quantity:
    """A count of at least 1, or a percentage from 1% to 100%."""
    text = str(value) if type(value) is int else value
    found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
    if found is None or (found[2] and int(found[1]) > 100):
        raise NotA("a count of hosts", "a whole number from 1, or a percentage from 1% to 100%")
    return Quantity(int(found[1]), percent=bool(found[2]))


def parse_version(value: object) -> int:
    """A TF Serving version: an int64 above 0, written in plain decimal, as number or as quoted digits."""
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not re.fullmatch(r"[1-9][0-9]{0,18}", text) or int(text) > MAX_VERSION:
        raise NotA("a version", "a whole number from 1 to 9223372036854775807, in plain decimal without leading zeros")
    return int(text)


def parse_port(value: object) -> int:
    """A TCP port. Quoted digits are refused: they would be a text in every other tool."""
    if type(value) is not int or not 1 <= value <= 65535:
        raise NotA("a port", "a number from 1 to 65535")
    return value


def parse_name(value: object) -> str:
    """A name that is a directory's and a container's name too: of models, services and labels."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise NotA("a usable name", "a letter or digit, then up to 63 of: letters, digits, `_`, `.`, `-`")
    return value


def parse_image(value: object) -> str:
    """An image reference with a tag, a digest, or both. Raises NotA or Refused."""
    found = _IMAGE.fullmatch(value) if isinstance(value, str) else None
    if found is None or len(found["name"]) > 255:
        raise NotA("an image reference", "[registry[:port]/]name:tag or name@sha256:<64 hex digits>, in lower case")
    if found["digest"] is not None and not _DIGEST.fullmatch(found["digest"]):
        shown = found["digest"][:80]
        raise Refused(f"the digest {shown!r} is malformed", "expected sha256: and 64 lower-case hex digits")
    if found["digest"] is None and found["tag"] in {None, "latest"}:
        raise Refused(
            "this tag moves: hosts would run different images under one name",
            "name a fixed version as tag, better the digest: name@sha256:<64 hex digits>",
        )
    return found.string


def parse_bind(value: object) -> str:
    """An IP address or a network (CIDR) in which the host has an address, in canonical form."""
    if isinstance(value, str):
        try:
            if "/" not in value:
                return str(ipaddress.ip_address(value))
            return str(ipaddress.ip_network(value))
        except ValueError as error:
            if "host bits" in str(error):
                network = ipaddress.ip_network(value, strict=False)
                raise Refused("the address has bits beyond its prefix length", f"write {network}") from None
    raise NotA("an address to bind to", "an IP address or a network such as 10.0.0.0/8")


def binds_everything(bind: str) -> bool:
    """True for 0.0.0.0, ``::`` and networks that hold every address."""
    network = ipaddress.ip_network(bind)
    return network.prefixlen == 0 or network.network_address.is_unspecified


def parse_remote_directory(value: object) -> PurePosixPath:
    """An absolute directory on a host, of plain characters, without ``.`` and ``..``."""
    if not isinstance(value, str) or not _REMOTE_PATH.fullmatch(value.rstrip("/")):
        raise NotA("a directory on the host", "an absolute path of letters, digits, `_`, `.`, `-`")
    path = PurePosixPath(value)
    if {".", ".."} & set(value.split("/")):
        raise Refused("the path has a `.` or `..` in it", "write the path without it")
    return path


def parse_local_path(value: object) -> str:
    """A path of the controller, as it was written."""
    if not isinstance(value, str) or not value.strip() or any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise NotA("a path", "a file or directory, relative to the inventory")
    return value


def parse_template_name(value: object) -> str:
    """A template by its path below the templates directory."""
    if (
        not isinstance(value, str)
        or not re.fullmatch(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", value)
        or {".", ".."} & set(value.split("/"))
    ):
        raise NotA("a template's name", "a file in the templates directory, such as model.config.j2")
    return value


def _matching(pattern: re.Pattern[str], what: str, expected: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise NotA(what, expected)
        return value

    return AfterValidator(check)


def _not_root(user: str) -> str:
    """A model is a program: in a container that runs as root, it would be root behind one barrier only."""
    if _ROOT.match(user):
        raise Refused("the server would run as root", 'name a user with few rights, such as "65534:65534"')
    return user


def parse_text_or_number(value: object) -> str:
    """A text; a number only when it reads the same however it is read."""
    if isinstance(value, str):
        text = value
    elif type(value) in {int, float}:
        text = str(value)
    else:
        raise NotA("text", "text; put it in quotes")
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise Refused("control characters and line breaks are not allowed here", "write it on one line")
    return text


def parse_text_or_secret(value: object) -> str | Secret:
    """A text, a number that reads the same however it is read, or a secret."""
    return value if isinstance(value, Secret) else parse_text_or_number(value)


def parse_flag_value(value: object) -> str:
    """The value of a server flag. Booleans become ``true`` and ``false``, the only spellings the server knows."""
    return str(value).lower() if isinstance(value, bool) else parse_text_or_number(value)


def written(title: str, pattern: str, **more: object) -> WithJsonSchema:
    """What a field of text looks like in a file, for editors; the ``parse_`` function beside it is what decides."""
    plain = re.sub(r"\(\?P<\w+>", "(?:", pattern)
    return WithJsonSchema({"title": title, "type": "string", "pattern": f"^(?:{plain})$", **more})


_IMAGE_NAME = _IMAGE.pattern.partition("(?::(?P<tag>")[0]
_TAG = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_FIXED_IMAGE = rf"{_IMAGE_NAME}(?:(?::{_TAG})?@{_DIGEST.pattern}|:(?!latest$){_TAG})"
_UNITS = "|".join(_UNITS_BYTES)
_ONE_LINE = r"^[^\x00-\x1f\x7f]*$"
_NUMBER_SCHEMA = {"title": "text or number", "type": ["string", "number"], "pattern": _ONE_LINE}
_VAULT = r"^\$ANSIBLE_VAULT;"
_SECRET_SCHEMA: dict[str, object] = {
    "title": "text, number or !secret",
    "type": ["string", "number", "object"],
    "pattern": f"{_ONE_LINE}|{_VAULT}",
    "properties": {
        "env": {"type": "string"},
        "file": {"type": "string"},
        "command": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
}
SIZE_SCHEMA = written(
    "size", rf"\d{{1,19}}(\.\d{{1,9}})? ?({_UNITS})", type=["string", "integer"], minimum=0, maximum=MAX_VERSION
)
COUNT_SCHEMA: dict[str, object] = {
    "title": "count or percentage",
    "type": ["string", "integer"],
    "pattern": "^([1-9][0-9]{0,8}|([1-9][0-9]?|100)%)$",
    "minimum": 1,
    "maximum": 999_999_999,
}
VERSION_SCHEMA: dict[str, object] = {
    "title": "version",
    "type": ["string", "integer"],
    "pattern": "^[1-9][0-9]{0,18}$",
    "minimum": 1,
    "maximum": MAX_VERSION,
}
Size = Annotated[int, PlainValidator(parse_size), SIZE_SCHEMA]
HostCount = Annotated[Quantity, PlainValidator(parse_quantity), WithJsonSchema(COUNT_SCHEMA)]
Version = Annotated[int, PlainValidator(parse_version), WithJsonSchema(VERSION_SCHEMA)]
Port = Annotated[
    int,
    PlainValidator(parse_port),
    WithJsonSchema({"title": "port", "type": "integer", "minimum": 1, "maximum": 65535}),
]
NAME_PATTERN = f"^{_NAME.pattern}$"
Name = Annotated[str, PlainValidator(parse_name), written("name", _NAME.pattern)]
Image = Annotated[str, PlainValidator(parse_image), written("image", _FIXED_IMAGE)]
Bind = Annotated[str, PlainValidator(parse_bind), written("address or network", r"[0-9A-Fa-f:.]+(/[0-9]{1,3})?")]
RemoteDirectory = Annotated[
    PurePosixPath,
    PlainValidator(parse_remote_directory),
    written("absolute path", rf"(?!.*/\.\.?(/|$))({_REMOTE_PATH.pattern})/*"),
]
LocalPath = Annotated[
    str, PlainValidator(parse_local_path), WithJsonSchema({"title": "path", "type": "string", "minLength": 1})
]
TemplateName = Annotated[
    str,
    PlainValidator(parse_template_name),
    written("template", r"(?!(?:.*/)?\.\.?(?:/|$))[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"),
]
FLAG_VALUE_SCHEMA: dict[str, object] = {
    "title": "text, number or boolean",
    "type": ["string", "number", "boolean"],
    "pattern": _ONE_LINE,
}
FlagValue = Annotated[str, PlainValidator(parse_flag_value), WithJsonSchema(FLAG_VALUE_SCHEMA)]
Text = Annotated[str, PlainValidator(parse_text_or_number), WithJsonSchema(_NUMBER_SCHEMA)]
TextOrSecret = Annotated[Union[str, Secret], PlainValidator(parse_text_or_secret), WithJsonSchema(_SECRET_SCHEMA)]
User = Annotated[
    str,
    _matching(_USER, "a user", 'uid, uid:gid, or names, such as "65534:65534"'),
    AfterValidator(_not_root),
    written("user", rf"(?!{_ROOT.pattern}){_USER.pattern}"),
]
EnvironmentName = Annotated[
    str,
    _matching(_ENVIRONMENT_NAME, "a variable's name", "letters, digits and `_`, not starting with a digit"),
    written("name", _ENVIRONMENT_NAME.pattern),
]
PoolName = Annotated[
    str, _matching(_POOL, "a pool's name", "letters, digits, `_`, `.`, `:`, `-`"), written("pool", _POOL.pattern)
]
