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
MASKED: Final = "***"
"""What stands in a recorded command line for a value of ``-e``, which may be secret."""
SHORTEST: Final = 4
"""Characters. Anything shorter stands in ordinary words, and taking it out would make every text unreadable."""

_JSON_TOKEN = re.compile(r'(?P<token>"(?:[^"\\]|\\.)*")(?P<colon>\s*:)?|(?P<number>-?[0-9][0-9.eE+-]*)')
_WORD = re.compile(r"[a-z][a-z_]*")
_WRAPPED = (76, 64)
"""Where base64(1) and openssl(1) end their lines."""
_GO_ESCAPES = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})
_NOT_PRINTED = dict.fromkeys(map(ord, "\a\b\v\f\r"))
"""What rich leaves out of everything that it prints."""
_C_ESCAPES = {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Redactor:
    """Knows the secret values in use. Values are added while input is read, before threads are started."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = set()
        self._forms: set[str] = set()
        self._names: dict[str, str] = {}
        self._patterns: tuple[re.Pattern[str], ...] = ()
        for value in values:
            self.add(value)

    def add(self, value: str) -> None:
        """Take this value out of everything from now on. Raises ValueError for one that cannot be taken out.

        That is one too short, and one that stands in a name of :meth:`keep`: a host that is not called by its name, or
        a document with other keys than its reader looks for, would do more harm than a refusal.
        """
        if len(value) < SHORTEST:
            raise ValueError(f"is shorter than {SHORTEST} characters")
        if kind := next((kind for name, kind in self._names.items() if value in name), ""):
            raise ValueError(f"stands in the name of a {kind}")
        self._values.add(value)
        self._forms.update(form for form in _forms(value) if len(form) >= SHORTEST)
        self._patterns = ()

    def keep(self, names: Mapping[str, str]) -> None:
        """Names that outputs cannot do without, each with what it is the name of, such as ``host``.

        Raises ValueError when a value that is known by now stands in one.
        """
        self._names.update(names)
        for name, kind in names.items():
            if any(value in name for value in self._values):
                raise ValueError(f"stands in the name of a {kind}")

    def text(self, text: str) -> str:
        """``text`` with every known value, in any of its forms, replaced."""
        spans = self._spans(text) if self._forms else []
        if not spans:
            return text
        parts, done = [], 0
        for start, end in spans:
            parts += [text[done:start], SHOWN]
            done = end
        return "".join((*parts, text[done:]))

    def json(self, text: str) -> str:
        """JSON text with the values taken out of its strings; a number that is a secret becomes a string.

        Keys that are plain words stay: they are ours, and a program that reads the document looks for them.
        """
        return _JSON_TOKEN.sub(self._token, text) if self._forms else text

    def value(self, value: object) -> object:
        """A JSON value with the secrets taken out of its texts, and of keys that are more than a plain word."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {_kept(key) or self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return SHOWN if str(value) in self._forms else value
        return value if value is None or isinstance(value, bool) else self.text(str(value))

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """Where values stand, from left to right; those that share a character are one."""
        found = sorted(
            (match.start(), match.end(1)) for pattern in self._compiled() for match in pattern.finditer(text)
        )
        spans: list[tuple[int, int]] = []
        for start, end in found:
            if spans and start < spans[-1][1]:
                spans[-1] = (spans[-1][0], max(spans[-1][1], end))
            else:
                spans.append((start, end))
        return spans

    def _compiled(self) -> tuple[re.Pattern[str], ...]:
        """Patterns that find at every place, within other finds too, the longest form that begins there."""
        if not self._patterns:
            longest_first = sorted(self._forms, key=lambda form: (-len(form), form))
            words = "|".join(re.escape(form) for form in longest_first if "\t" not in form)
            # A terminal's lines have blanks where the text has a tab, and nobody knows how many.
            tabbed = [re.escape(form).replace("\\\t", "(?:\t| {1,8})") for form in longest_first if "\t" in form]
            self._patterns = tuple(re.compile(f"(?=({part}))") for part in (words, *tabbed) if part)
        return self._patterns

    def _token(self, found: re.Match[str]) -> str:
        token, colon = found["token"], found["colon"] or ""
        if token is None:
            return f'"{SHOWN}"' if found["number"] in self._forms else found["number"]
        if colon and _WORD.fullmatch(token[1:-1]):
            return found[0]
        try:
            inner = json.loads(token)
        except ValueError:
            return self.text(token) + colon  # not JSON after all, such as a traceback
        clean = self.text(inner)
        return (token if clean == inner else json.dumps(clean)) + colon


def _kept(key: object) -> str:
    """The key when it is a plain word, as all keys of our own documents are."""
    return key if isinstance(key, str) and _WORD.fullmatch(key) else ""


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
