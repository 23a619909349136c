"""Values of tasks' arguments: commands and web addresses."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import PlainValidator, WithJsonSchema

from fleetdeploy.config.syntax.refusal import NotA, Refused, Several


def parse_argv(value: object) -> tuple[str, ...]:
    """A command as the list of its words; there is no shell that could take a text apart."""
    if not isinstance(value, list) or not value:
        raise NotA("a command", 'a list of its words, such as ["systemctl", "reload", "exporter"]')
    wrong = [
        NotA("a word of a command", "text; quote numbers", at=(index,))
        for index, word in enumerate(value)
        if not isinstance(word, str) or "\0" in word or (index == 0 and not word)
    ]
    if wrong:
        raise Several(wrong)
    return tuple(value)


def parse_web_address(value: object) -> str:
    """An http or https address without a user in it. What is refused is not shown: it may be a secret all the same."""
    expected = Refused("this is not a web address", "expected something like https://chat.example.net/hook, no user")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or " " in value:
        raise expected
    try:
        parts = urlsplit(value)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        raise expected from None
    if not fine or parts.username is not None or parts.fragment:
        raise expected
    return value


Argv = Annotated[
    tuple[str, ...],
    PlainValidator(parse_argv),
    WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
]
WebAddress = Annotated[
    str, PlainValidator(parse_web_address), WithJsonSchema({"type": "string", "pattern": "^https?://[^@#\\s]+$"})
]
