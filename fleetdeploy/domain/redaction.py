"""Taking secret values out of text, whatever way the text got them.

Redaction is by value, at the few places where text leaves the process (the emitter, stdout, stderr), because a message
is put together from parts that nobody can watch: an exception's text, what a host answered, a rendered file.
"""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import quote, quote_plus

SHOWN: Final = "<secret>"
SHORTEST: Final = 4
"""Characters. Anything shorter stands in ordinary words, and taking it out would make every text unreadable."""

_JSON_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')
_WRAPPED = (76, 64)
"""Where base64(1) and openssl(1) end their lines."""
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_NOT_PRINTED = dict.fromkeys(map(ord, "\a\b\v\f\r"))
"""What rich leaves out of everything that it prints."""
_C_ESCAPES = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Redactor:
    """Knows the secret values in use. Values are added while input is read, before threads are started."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._forms: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Take this value out of everything from now on. Raises ValueError for one that is too short."""
        if len(value) < SHORTEST:
            raise ValueError(f"shorter than {SHORTEST} characters")
        self._forms.update(form for form in _forms(value) if len(form) >= SHORTEST)
        self._pattern = None

    def text(self, text: str) -> str:
        """``text`` with every known value, in any of its forms, replaced."""
        return self._compiled().sub(SHOWN, text) if self._forms else text

    def json(self, text: str) -> str:
        """JSON text with the values taken out of its strings; a number that is a secret becomes a string."""
        return _JSON_TOKEN.sub(self._token, text) if self._forms else text

    def value(self, value: object) -> object:
        """A JSON value with the secrets taken out of its texts, keys included."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return SHOWN if str(value) in self._forms else value
        return value if value is None or isinstance(value, bool) else self.text(str(value))

    def _compiled(self) -> re.Pattern[str]:
        pattern = self._pattern
        if pattern is None:
            # The longest first: a value that begins with another one must not leave its rest behind.
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            words = "|".join(map(re.escape, longest_first))
            # A terminal's lines have blanks where the text has a tab.
            pattern = self._pattern = re.compile(words.replace("\\\t", "(?:\t| {1,8})"))
        return pattern

    def _token(self, found: re.Match[str]) -> str:
        token = found[0]
        if not token.startswith('"'):
            return f'"{SHOWN}"' if token in self._forms else token
        try:
            inner = json.loads(token)
        except ValueError:
            return self.text(token)  # not JSON after all, such as a traceback
        clean = self.text(inner)
        return token if clean == inner else json.dumps(clean)


def shortened(text: str, most: int) -> str:
    """The beginning of ``text``, cut at a blank: half of a secret is not known for one any more."""
    if len(text) <= most:
        return text
    whole = re.match(r"(?s).*(?=\s)", text[: most + 1])
    return f"{whole[0] if whole else ''} ...".lstrip()


def end_of(text: str, most: int) -> str:
    """The end of ``text``, cut at a blank for the same reason."""
    if len(text) <= most:
        return text
    whole = re.search(r"\s", text[-most - 1 :])
    return f"... {text[-most - 1 :][whole.end() :].lstrip() if whole else ''}".rstrip()


def _forms(value: str) -> Iterator[str]:
    """A value, each of its lines, and what encoders make of them."""
    parts = dict.fromkeys([value, value.strip(), *(line.strip() for line in value.splitlines())])
    for part in parts:
        if len(part) >= SHORTEST:
            yield part
            yield from _encoded(part)


def _encoded(part: str) -> Iterator[str]:
    raw = part.encode("utf-8", "surrogateescape")
    for name in ("ascii", "text"):
        inner = json.dumps(part, ensure_ascii=name == "ascii")[1:-1]
        yield inner
        # As Go writes JSON, dockerd for one, and as JSON stands in a text of JSON.
        yield inner.translate(_GO_ESCAPES)
        yield json.dumps(inner)[1:-1]
    yield repr(part)[1:-1]
    yield repr(raw)[2:-1]
    yield html.escape(part)
    yield part.translate(_NOT_PRINTED)
    yield shlex.quote(part)[1:-1] if "'" in part else part
    yield "".join(_C_ESCAPES.get(char, char) for char in part)
    # As protobuf's text format writes bytes beyond ASCII.
    yield "".join(chr(byte) if 32 <= byte < 127 else f"\\{byte:03o}" for byte in raw)
    for encoded in (
        quote(part, safe="", errors="replace"),
        quote(part, errors="replace"),
        quote_plus(part, errors="replace"),
    ):
        yield encoded
        yield re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), encoded)
    yield raw.hex()
    yield from _base64(raw)


def _base64(raw: bytes) -> Iterator[str]:
    """Both alphabets, the value alone and inside something longer, where it may begin at any of three places.

    Of a value in something longer, the characters that its neighbours have a part in are left out.
    """
    for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
        alone = alphabet(raw).decode().rstrip("=")
        yield alone
        for width in _WRAPPED:
            lines = [alone[start : start + width] for start in range(0, len(alone), width)]
            yield from (line for line in lines if len(line) >= 2 * SHORTEST)
        for before in range(3):
            encoded = alphabet(b"\0" * before + raw).decode().rstrip("=")
            first = (before * 8 + 5) // 6
            last = (before + len(raw)) * 8 // 6
            # A short rest would be found in ordinary words.
            if last - first >= 2 * SHORTEST:
                yield encoded[first:last]
