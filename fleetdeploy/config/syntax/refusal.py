"""How a field's parser says no. The schema layer adds the place, the key and the value as it was written."""

from __future__ import annotations

from collections.abc import Iterable


class Refused(ValueError):
    """A value that cannot be used; ``at`` is the path, inside the value, of the part that is wrong."""

    def __init__(self, message: str, hint: str = "", *, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at


class NotA(Refused):
    """A value that is not what the field holds: ``NotA("a port", "1 to 65535")``."""

    def __init__(self, what: str, expected: str = "", *, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"not {what}", f"expected {expected}" if expected else "", at=at)
        self.what = what


class Several(ValueError):
    """More than one part of a value is wrong."""

    def __init__(self, parts: Iterable[Refused]) -> None:
        self.parts = tuple(parts)
        super().__init__("; ".join(part.message for part in self.parts))
